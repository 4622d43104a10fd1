//! 64 MiB for another process: through Binder's buffer, in pieces, and as one descriptor.
//!
//! Run it: `cargo run --example large_data`. The driver of the first part is the simulated one; the second part is two
//! processes.
//!
//! What to look for: what is refused is refused for its size alone, about 1 MiB for all that a receiver has not given
//! back. In pieces every byte goes through the driver. As a descriptor 32 bytes do, whatever the memory's size, and
//! nobody has copied anything when the receiver reads the first pixel.

use std::error::Error;
use std::os::fd::AsFd;
use std::process::ExitCode;

use binder_sim::driver::{Read, Translation};
use binder_sim::protocol::{Command, Object, ObjectFlags, Payload, Return, TransactionData};
use binder_sim::world::{Pid, World};
use fd_shm::ashmem::{Prot, SharedMemory};
use fd_shm::scm_rights;

#[path = "../../fd-shm/examples/support/other.rs"]
#[allow(dead_code)] // shared by examples, of which each uses its part
mod other;
use other::{go, role, start, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const SIZE: usize = 64 << 20;

/// What libbinder asks the driver for: 1 MiB less two pages, for all that a process has received and not freed.
const ROOM: usize = (1 << 20) - 2 * 4096;

/// One piece of many.
const PIECE: usize = 64 << 10;

// ANCHOR: binder
/// A sender and a receiver with the simulated driver between them, and a count of what it has copied.
struct Binder {
    world: World,
    sender: Pid,
    receiver: Pid,
    calls: usize,
    copied: usize,
}

impl Binder {
    fn new() -> Result<Self> {
        let mut world = World::new(Translation::Deferred);
        let [sender, receiver] = ["sender", "receiver"].map(|name| world.spawn(name));
        for process in [sender, receiver] {
            world.open_device(process)?;
            world.mmap(process, ROOM)?;
        }
        world.set_context_manager(receiver, ObjectFlags::ACCEPTS_FDS)?;
        Ok(Self { world, sender, receiver, calls: 0, copied: 0 })
    }

    /// Calls the receiver, which takes the payload, gives its buffer back and replies; or says why not.
    fn call(&mut self, payload: Payload) -> Result<std::result::Result<(), String>> {
        let size = payload.bytes.len() + usize::try_from(payload.offsets_size)?;
        let call = Command::Transaction(TransactionData::new(0, 1, payload));
        self.write(self.sender, vec![call])?;
        let Some(Return::Transaction(call)) = self.read(self.receiver)? else {
            let error = self.world.extended_error(self.sender)?;
            return Ok(Err(error.to_string()));
        };
        let reply = Command::Reply(TransactionData::new(0, 0, Payload::new()));
        self.write(self.receiver, vec![Command::FreeBuffer(call.buffer), reply])?;
        let Some(Return::Reply(reply)) = self.read(self.sender)? else { return Err("no reply".into()) };
        self.write(self.sender, vec![Command::FreeBuffer(reply.buffer)])?;
        (self.calls, self.copied) = (self.calls + 1, self.copied + size);
        Ok(Ok(()))
    }
}
// ANCHOR_END: binder

impl Binder {
    fn write(&mut self, process: Pid, commands: Vec<Command>) -> Result<()> {
        self.world.write_read(process, commands, Read::NONE)?.ok_or("it waits")?;
        Ok(())
    }

    /// What the driver has for this process, behind what it says of the process's own commands.
    fn read(&mut self, process: Pid) -> Result<Option<Return>> {
        // A thread's first ioctl comes back at once, with nothing; each of the others ends with what it brings.
        for _ in 0..3 {
            let answer = self.world.write_read(process, vec![], Read::NOW)?.ok_or("it waits")?;
            if let Some(delivered) = answer.returns.into_iter().find(|said| said.delivered().is_some()) {
                return Ok(Some(delivered));
            }
        }
        Ok(None)
    }
}

// ANCHOR: three
/// The same data on three ways.
fn through_the_driver() -> Result<()> {
    println!(
        "Through the driver (simulated), with room for {ROOM} bytes in the receiver, libbinder's figure:\n"
    );
    for size in [SIZE, 1_050_000, 950_000] {
        let mut binder = Binder::new()?;
        let outcome = match binder.call(Payload::bytes(&vec![1; size]))? {
            Ok(()) => format!("{:5} call,  {:>9} bytes copied by the driver", binder.calls, binder.copied),
            Err(refused) => refused,
        };
        println!("  {size:>9} bytes in one call      {outcome}");
    }
    let mut binder = Binder::new()?;
    for _ in 0..SIZE / PIECE {
        binder.call(Payload::bytes(&[1; PIECE]))??;
    }
    let (calls, copied) = (binder.calls, binder.copied);
    println!("  {SIZE:>9} bytes, {PIECE} each    {calls:5} calls, {copied:>9} bytes copied by the driver");

    let mut binder = Binder::new()?;
    let number = binder.world.open(binder.sender, "picture", ())?;
    binder.call(Payload::objects([Object::fd(number)]))??;
    let (calls, copied) = (binder.calls, binder.copied);
    println!("  {SIZE:>9} bytes, a descriptor    {calls:5} call,  {copied:>9} bytes copied by the driver");
    Ok(())
}
// ANCHOR_END: three

// ANCHOR: sender
/// Makes the picture, lets nobody else write it, and sends the descriptor.
fn sender() -> Result<()> {
    println!("\nBetween two processes, as Android's SharedMemory:\n");
    let picture = SharedMemory::create("picture", SIZE)?;
    let mapping = picture.map_read_write()?;
    picture.set_protect(Prot::READ)?;
    let mut sum = 0;
    for (offset, row) in rows() {
        mapping.write(offset, &row)?;
        sum += checksum(&row);
    }
    println!("  sender    fills {SIZE} bytes, which it alone can write, and sends a descriptor");
    let receiver = start(role("receiver"))?;
    scm_rights::send(&receiver.socket, &[0], &[picture.as_fd()])?;
    wait(&receiver.socket)?;
    println!("  sender    had the sum {sum}");
    mapping.write(0, b"!")?;
    println!("  sender    writes one byte more");
    go(&receiver.socket)?;
    receiver.end()?;
    Ok(())
}

/// Maps what has arrived, and looks at every byte of it.
fn receiver() -> Result<()> {
    let socket = other::socket()?;
    let [descriptor] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
    let picture = SharedMemory::from_fd(descriptor)?;
    println!("  receiver  asks the descriptor for its size: {}", picture.size());
    let mapping = picture.map_read_only()?;
    let (mut sum, mut row) = (0, [0; PIECE]);
    for offset in (0..picture.size()).step_by(PIECE) {
        mapping.read(offset, &mut row)?;
        sum += checksum(&row);
    }
    println!("  receiver  has read all of it, and has the sum {sum}");
    go(&socket)?;
    wait(&socket)?;
    mapping.read(0, &mut row[..1])?;
    println!("  receiver  finds it where it was: \"{}\"", char::from(row[0]));
    Ok(())
}
// ANCHOR_END: sender

/// The picture's rows, each with where it begins.
fn rows() -> impl Iterator<Item = (usize, [u8; PIECE])> {
    (0_u8..=u8::MAX).cycle().zip((0..SIZE).step_by(PIECE)).map(|(colour, offset)| (offset, [colour; PIECE]))
}

fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        None => through_the_driver().and_then(|()| sender()),
        Some("receiver") => receiver(),
        Some(other) => {
            Err(format!("no role {other}: say nothing, the program starts the other itself").into())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("large_data: {error}");
            ExitCode::FAILURE
        }
    }
}
