//! Three ways in, put to the same two tests: a stranger who knows a number, and an owner who is killed.
//!
//! Run it: `cargo run --example three_ways`
//!
//! What to look for: only System V lets the stranger in, because there the number *is* the way in; and only System V
//! keeps memory that nobody has any more, because there the memory belongs to no process.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use binder_sim::driver::{Read, Translation};
use binder_sim::protocol::{self, Object, ObjectFlags, Payload, TransactionData, TransactionFlags};
use binder_sim::world::{Pid, World};
use fd_shm::Region;
use nix::errno::Errno;
use sysv_shm::{Key, Segment};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The key that everybody knows.
const KEY: Key = Key::new(0x3357_0001);

/// The number under which the owner has its region: a high one, so that no other program has it by chance.
const NUMBER: i32 = 200;

// ANCHOR: owner
/// Makes both kinds of memory, writes 42 into each, says so, and waits to be killed.
fn owner() -> Result<()> {
    let segment = Segment::create_new(KEY, 4096)?;
    segment.attach::<AtomicU32>()?.store(42, Ordering::Relaxed);

    let region = Region::create("owned", 4096)?;
    region.map::<AtomicU32>()?.store(42, Ordering::Relaxed);
    let numbered = rustix::io::fcntl_dupfd_cloexec(region.as_fd(), NUMBER)?;
    println!("{}", fs::metadata(format!("/proc/self/fd/{}", numbered.as_raw_fd()))?.ino());
    loop {
        std::thread::park();
    }
}
// ANCHOR_END: owner

// ANCHOR: stranger
/// Knows the key and the number, and was given nothing.
fn stranger() -> Result<()> {
    let seen = Segment::open(KEY, 4)?.attach_read_only::<AtomicU32>()?.load(Ordering::Relaxed);
    tell("System V", &format!("knows the key {KEY}"), &format!("is in, and reads {seen}"));

    let refused = match File::open(format!("/proc/self/fd/{NUMBER}")) {
        Ok(_) => return Err(format!("{NUMBER} means something here").into()),
        Err(error) => Errno::from_raw(error.raw_os_error().unwrap_or_default()),
    };
    let outcome = format!("{refused:?}: in its own table that number is free");
    tell("descriptor", &format!("knows the number {NUMBER}"), &outcome);
    Ok(())
}
// ANCHOR_END: stranger

// ANCHOR: broker
/// The simulated driver, in which a service has given the manager a handle for itself, and a stranger nothing.
fn broker() -> Result<Broker> {
    let mut world = World::new(Translation::Deferred);
    let [manager, service, stranger] = ["manager", "service", "stranger"].map(|name| world.spawn(name));
    for process in [manager, service, stranger] {
        world.open_device(process)?;
        world.mmap(process, 128 * 1024)?;
    }
    world.set_context_manager(manager, ObjectFlags::ACCEPTS_FDS)?;
    let itself = Payload::objects([Object::binder(0x1000, ObjectFlags::NONE)]);
    send(&mut world, service, 0, itself)?;
    let arrived = receive(&mut world, manager)?;
    match arrived.objects.first().map(|placed| &placed.object) {
        Some(&Object::Handle { handle, .. }) => Ok(Broker { world, manager, service, stranger, handle }),
        other => Err(format!("not a handle: {other:?}").into()),
    }
}
// ANCHOR_END: broker

/// The driver and its processes.
struct Broker {
    world: World,
    manager: Pid,
    service: Pid,
    stranger: Pid,
    /// What the manager calls the service.
    handle: u32,
}

impl Broker {
    /// The stranger uses the number that is the manager's.
    fn test_stranger(&mut self) -> Result<()> {
        let said = send(&mut self.world, self.stranger, self.handle, Payload::new())?;
        let error = self.world.extended_error(self.stranger)?;
        let why = error.param.map(|errno| errno.to_string()).unwrap_or_default();
        let outcome = format!("{said}, {why}: the driver gave it no such handle");
        tell("Binder", &format!("knows the handle {}", self.handle), &outcome);
        Ok(())
    }

    /// The service sends a descriptor and is killed; then so is the manager, which has not read it.
    fn test_kill(&mut self) -> Result<()> {
        let number = self.world.open(self.service, "owned", ())?;
        send(&mut self.world, self.service, 0, Payload::objects([Object::fd(number)]))?;
        self.world.exit(self.service)?;
        let in_flight = self.world.in_flight();
        tell(
            "Binder",
            "killed after sending it",
            &format!("lives on in the message: {in_flight} file in flight"),
        );
        self.world.exit(self.manager)?;
        tell(
            "Binder",
            "the reader is killed too",
            &format!("gone: {} files in flight", self.world.in_flight()),
        );
        Ok(())
    }
}

/// Sends a one-way call, and returns what the driver says to that.
fn send(world: &mut World, from: Pid, handle: u32, payload: Payload) -> Result<String> {
    let call = TransactionData::new(handle, 1, payload).flags(TransactionFlags::ONE_WAY);
    let answer = world.write_read(from, vec![protocol::Command::Transaction(call)], Read::NOW)?;
    let said = answer.and_then(|answer| answer.returns.last().map(ToString::to_string));
    said.ok_or_else(|| "the driver said nothing".into())
}

/// Reads the next call.
fn receive(world: &mut World, process: Pid) -> Result<Payload> {
    // A thread's first ioctl comes back at once, so the call may take a second one.
    for _ in 0..2 {
        let answer = world.write_read(process, vec![], Read::NOW)?;
        let call =
            answer.and_then(|answer| answer.returns.into_iter().find_map(|said| said.delivered().cloned()));
        if let Some(call) = call {
            return Ok(call.payload);
        }
    }
    Err("no call has arrived".into())
}

// ANCHOR: tour
fn tour() -> Result<()> {
    let (owner, inode) = start_owner()?;
    let mut broker = broker()?;

    println!("A stranger knows a number, and was given nothing:");
    let stranger = Command::new(std::env::current_exe()?).arg("stranger").status()?;
    broker.test_stranger()?;

    println!("\nThe owner of the memory is killed (SIGKILL), and cleans nothing up:");
    let held = holders(&inode)?;
    drop(owner);
    let segment = Segment::open(KEY, 4)?.remove_on_drop();
    let left = segment.attach_read_only::<AtomicU32>()?.load(Ordering::Relaxed);
    tell("System V", "the segment", &format!("is still there, with {left} in it; somebody has to remove it"));
    let outcome = format!("gone: {held} process held it, now {}", holders(&inode)?);
    tell("descriptor", "the region", &outcome);
    broker.test_kill()?;
    if stranger.success() { Ok(()) } else { Err("the stranger failed".into()) }
}
// ANCHOR_END: tour

/// The owner's process; killed when dropped.
struct Owner(Child);

impl Drop for Owner {
    fn drop(&mut self) {
        // Both fail harmlessly when it has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// An owner in a process of its own, and the inode of its region.
fn start_owner() -> Result<(Owner, String)> {
    let child = Command::new(std::env::current_exe()?).arg("owner").stdout(Stdio::piped()).spawn()?;
    let mut owner = Owner(child);
    let output = owner.0.stdout.take().ok_or("the owner has no output")?;
    let mut inode = String::new();
    BufReader::new(output).read_line(&mut inode)?;
    if inode.is_empty() { Err("the owner failed".into()) } else { Ok((owner, inode.trim().to_owned())) }
}

/// How many processes have an open file with this inode, as far as this user can see.
fn holders(inode: &str) -> Result<usize> {
    let is_it = |entry: fs::DirEntry| {
        let region =
            fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("/memfd:owned"));
        region && fs::metadata(entry.path()).is_ok_and(|file| file.ino().to_string() == inode)
    };
    let processes = fs::read_dir("/proc")?.flatten();
    let tables = processes.filter_map(|process| fs::read_dir(process.path().join("fd")).ok());
    Ok(tables.map(|mut table| table.any(|entry| entry.is_ok_and(is_it))).filter(|holds| *holds).count())
}

fn tell(model: &str, what: &str, outcome: &str) {
    println!("  {model:<12} {what:<28} {outcome}");
}

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        None => tour(),
        Some("owner") => owner(),
        Some("stranger") => stranger(),
        Some(other) => {
            Err(format!("no role {other}: say nothing, the program starts the others itself").into())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("three_ways: {error}");
            ExitCode::FAILURE
        }
    }
}
