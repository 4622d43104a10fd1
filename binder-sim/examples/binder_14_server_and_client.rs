//! The article's server and client, whole: a region is made, found by name, handed over in a reply, and shared.
//!
//! Run it: `cargo run --example binder_14_server_and_client`
//!
//! The driver and the three processes' tables are simulated; what stands in the tables is not. Every open file is
//! a real descriptor of this program, the region is real memory, and what the two map is the same bytes.
//!
//! What to look for: the client knows one word, "frames", and one number, handle 0. The manager gives it a handle
//! for the word; the server gives it a descriptor for a call. Name, size and mask are asked of the descriptor, never
//! of the message. And at the end each goes when it likes: the bytes stay as long as somebody maps them.

use std::error::Error;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};

use binder_sim::driver::Translation;
use binder_sim::protocol::{Command, Object, ObjectFlags, Payload, Return, TransactionData};
use binder_sim::service::{self, ServiceManager, add_service, get_service};
use binder_sim::world::Pid;
use fd_shm::ashmem::Prot;
use fd_shm::{Mapping, Region, shareable};

#[path = "support/stage.rs"]
#[allow(unreachable_pub, dead_code)] // one file for several programs
mod stage;

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Stage = stage::Stage<OwnedFd>;

// ANCHOR: shared
/// What server and client have agreed on: the words at the beginning of the region.
#[repr(C)]
struct Shared {
    /// Written by the server.
    question: AtomicU32,
    /// Written by the client.
    answer: AtomicU32,
}
shareable!(Shared { question: AtomicU32, answer: AtomicU32 });

/// The call that asks the server for its region.
const GET_REGION: u32 = 1;
/// The server's name for its node: an address of its own, in a real one.
const NODE: u64 = 0x5e7;
// ANCHOR_END: shared

// ANCHOR: server
/// The server: a region under a number of its own, mapped, and a node that others can call.
#[derive(Debug)]
struct Server {
    fd: u32,
    mapping: Mapping<Shared>,
}

impl Server {
    /// Makes the region, maps it, writes, and asks the manager for a name.
    fn start(stage: &mut Stage, pid: Pid) -> Result<Server> {
        let region = Region::create("frames", 10_000)?; // ashmem_create_region("frames", 10000)
        let mapping = region.map::<Shared>()?; // mmap(..., PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
        mapping.question.store(42, Ordering::Relaxed);
        mapping.copy_in(0, b"a frame from the server")?;
        let fd = stage.world.open(pid, "frames", region.into())?;
        stage.tell(pid, &format!("makes a region of 10000 bytes, descriptor {fd}, maps it and writes 42"));
        let node = Object::binder(NODE, ObjectFlags::NONE); // it is sent no descriptors, it sends one
        stage.call(pid, vec![Command::Transaction(add_service("frames", node))])?;
        Ok(Server { fd, mapping })
    }

    /// Answers a call with the descriptor, and counts when the driver says that others hold the node.
    fn answer(&self, read: &Return) -> Vec<Command> {
        match *read {
            Return::Transaction(ref call) if call.code == GET_REGION => {
                let reply = TransactionData::new(0, 0, Payload::objects([Object::fd(self.fd)]));
                vec![Command::FreeBuffer(call.buffer), Command::Reply(reply)]
            }
            Return::Reply(ref reply) => vec![Command::FreeBuffer(reply.buffer)],
            Return::IncRefs { ptr, cookie } => vec![Command::IncRefsDone { ptr, cookie }],
            Return::Acquire { ptr, cookie } => vec![Command::AcquireDone { ptr, cookie }],
            _ => vec![],
        }
    }
}
// ANCHOR_END: server

// ANCHOR: lookup
/// Asks the manager for a name, and keeps the handle: what is not acquired goes with the buffer.
fn look_up(stage: &mut Stage, client: Pid, manager: (Pid, &mut ServiceManager)) -> Result<u32> {
    stage.call(client, vec![Command::Transaction(get_service("frames"))])?;
    let (manager, list) = manager;
    stage.serve(manager, |read| list.answer(read))?;
    let came = stage.resume(client);
    let reply = came.iter().find_map(Return::delivered).ok_or("no reply")?;
    let Object::Handle { handle, .. } = *service::found(reply).map_err(|status| status.to_string())? else {
        return Err("the service is our own".into());
    };
    stage.write(client, vec![Command::Acquire(handle), Command::FreeBuffer(reply.buffer)])?;
    Ok(handle)
}
// ANCHOR_END: lookup

// ANCHOR: client
/// Calls the server for its region; gives the number under which it is here now.
fn ask(stage: &mut Stage, client: Pid, handle: u32, server: (Pid, &Server)) -> Result<u32> {
    // `new` sets TF_ACCEPT_FDS: without it the reply would be refused.
    let call = TransactionData::new(handle, GET_REGION, Payload::new());
    stage.call(client, vec![Command::Transaction(call)])?;
    stage.serve(server.0, |read| server.1.answer(read))?;
    let came = stage.resume(client);
    let reply = came.iter().find_map(Return::delivered).ok_or("no reply")?;
    let Some(&Object::Fd { fd, .. }) = reply.payload.objects.first().map(|placed| &placed.object) else {
        return Err("a reply without a descriptor".into());
    };
    stage.write(client, vec![Command::FreeBuffer(reply.buffer)])?;
    Ok(fd)
}

/// What a client does with a descriptor that somebody sent: it asks it what it is, and then maps it.
fn open(stage: &Stage, client: Pid, fd: u32) -> Result<(Region, Mapping<Shared>)> {
    let file = stage.world.file(client, fd).and_then(|file| file.content()).ok_or("nothing is open there")?;
    let region = Region::from_fd(file.try_clone()?)?; // is it a region at all, and can nobody cut it?
    let (name, mask) = (region.name()?, region.prot_mask()?);
    let text = format!("{} of {} bytes, mask {mask}", name.display(), region.len());
    stage.tell(client, &format!("asks descriptor {fd} what it is: {text}"));
    let mapping = region.map::<Shared>()?; // refused if the agreed words do not fit
    Ok((region, mapping))
}
// ANCHOR_END: client

// ANCHOR: story
fn main() -> Result<()> {
    let mut stage = Stage::new(Translation::Deferred);
    let null = || OwnedFd::from(File::open("/dev/null").expect("every machine has it"));
    let manager = stage.process("manager", null)?;
    let server = stage.process("server", null)?;
    let client = stage.process("client", null)?;
    stage.world.open(client, "settings", null())?; // the number that the region has in the server is taken here
    stage.world.set_context_manager(manager, ObjectFlags::NONE)?;
    let mut list = ServiceManager::new();

    println!("The server makes a region and gives itself a name:");
    let ours = Server::start(&mut stage, server)?;
    stage.serve(manager, |read| list.answer(read))?;
    stage.serve(server, |read| ours.answer(read))?;

    println!("\nThe client looks the name up and gets a handle:");
    let handle = look_up(&mut stage, client, (manager, &mut list))?;

    println!("\nIt calls the handle, and the reply carries the descriptor:");
    let fd = ask(&mut stage, client, handle, (server, &ours))?;
    println!("  the server has  {}", stage.table(server));
    println!("  the client has  {}", stage.table(client));

    println!("\nThe client looks at what it has been given:");
    let (region, theirs) = open(&stage, client, fd)?;
    one_memory(&stage, (server, &ours.mapping), (client, &theirs))?;
    mask(&stage, (server, &ours), (client, &region, &theirs))?;
    let over = (theirs, region, fd);
    the_end(&mut stage, (manager, &mut list), (server, ours), (client, over))
}
// ANCHOR_END: story

// ANCHOR: one_memory
/// Each writes, the other reads; and the kernel says that the two mappings are one memory.
fn one_memory(
    stage: &Stage,
    (server, ours): (Pid, &Mapping<Shared>),
    (client, theirs): (Pid, &Mapping<Shared>),
) -> Result<()> {
    let mut frame = [0; 23];
    theirs.copy_out(0, &mut frame)?;
    let question = theirs.question.load(Ordering::Relaxed);
    stage.tell(client, &format!("maps it and reads {question}, \"{}\"", frame.escape_ascii()));
    theirs.answer.store(question + 1, Ordering::Relaxed);
    stage.tell(server, &format!("reads the client's answer: {}", ours.answer.load(Ordering::Relaxed)));
    println!("\nBoth mappings in this program's /proc/self/maps:");
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let lines: Vec<&str> = maps.lines().filter(|line| line.contains("/memfd:frames")).collect();
    lines.iter().for_each(|line| println!("  {line}"));
    let mut files: Vec<_> = lines.iter().map(|line| line.split_whitespace().nth(4)).collect();
    files.dedup();
    println!("  mappings: {}, files behind them (by inode): {}", lines.len(), files.len());
    Ok(())
}
// ANCHOR_END: one_memory

// ANCHOR: mask
/// The mask belongs to the region, so it has arrived with it: whoever narrows it binds everybody.
fn mask(
    stage: &Stage,
    (server, ours): (Pid, &Server),
    (client, region, theirs): (Pid, &Region, &Mapping<Shared>),
) -> Result<()> {
    println!("\nThe server takes writing out of the mask (ASHMEM_SET_PROT_MASK):");
    let file = stage.world.file(server, ours.fd).and_then(|file| file.content()).ok_or("closed")?;
    Region::from_fd(file.try_clone()?)?.set_prot_mask(Prot::READ | Prot::EXEC)?;
    stage.tell(client, &format!("asks its own descriptor for the mask: {}", region.prot_mask()?));
    let refused = region.map::<Shared>().err().map(|refused| refused.to_string()).unwrap_or_default();
    let why = refused.split(": ").nth(1).unwrap_or("nothing against it");
    stage.tell(client, &format!("maps it for writing once more: {why}"));
    theirs.answer.store(44, Ordering::Relaxed);
    let seen = ours.mapping.answer.load(Ordering::Relaxed);
    stage.tell(server, &format!("and still reads {seen}, which the client wrote through its older mapping"));
    Ok(())
}
// ANCHOR_END: mask

// ANCHOR: end
/// Nobody destroys anything: each goes, and what only it held goes with it.
fn the_end(
    stage: &mut Stage,
    (manager, list): (Pid, &mut ServiceManager),
    (server, ours): (Pid, Server),
    (client, (theirs, region, fd)): (Pid, (Mapping<Shared>, Region, u32)),
) -> Result<()> {
    println!("\nThe client closes the descriptor, and the server dies:");
    stage.world.close(client, fd)?;
    drop(region);
    stage.world.exit(server)?;
    drop(ours);
    stage.serve(manager, |read| list.answer(read))?;
    println!("  names that the manager still has: {}", list.names().count());
    stage.tell(client, &format!("still reads {} in its mapping", theirs.question.load(Ordering::Relaxed)));
    drop(theirs);
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let left = maps.lines().filter(|line| line.contains("/memfd:frames")).count();
    println!("The client unmaps it. Mappings of the region left: {left}");
    stage.world.check()?;
    Ok(())
}
// ANCHOR_END: end
