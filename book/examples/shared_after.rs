//! What two parties share after each way to have the same memory twice: tried, cell by cell.
//!
//! Run it: `cargo run --example shared_after`
//!
//! What to look for: the memory is shared in every row that has a way to it, and everything above it is not.
//! Offset and O_NONBLOCK go together, because both belong to the open file. close-on-exec goes with neither,
//! because it belongs to the number. And nobody shares a mapping but threads: what one process maps or unmaps
//! is nothing to another.

#![allow(unsafe_code)] // fork(2), and a private mapping

use std::cell::RefCell;
use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::process::{self, ExitCode};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;

use fd_shm::handover::inherit;
use fd_shm::{Region, same_open_file, scm_rights};
use memmap2::MmapOptions;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use rustix::fs::{OFlags, SeekFrom, fcntl_getfl, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::param::page_size;

#[path = "../../fd-shm/examples/support/other.rs"]
#[allow(dead_code)] // one file for several examples: nobody tells a story here
mod other;
use other::{role, start, wait};

#[path = "../../fd-shm/examples/support/layers.rs"]
#[allow(dead_code)] // one file for several examples, each of which uses its part
mod layers;
use layers::{Descriptor, Entry, descriptor, entries};

#[path = "support/memory.rs"]
#[allow(dead_code)] // one file for several examples, each of which uses its part
mod memory;
use memory::{Mapped, Memory};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How many pages everything here has.
const PAGES: usize = 4;

/// The name under which a child inherits.
const NAME: &str = "HANDED_DOWN";

// ANCHOR: ends
/// What we have ourselves: the memory, and a mapping of it until we unmap.
struct Ours {
    memory: Memory,
    mapped: RefCell<Option<Mapped>>,
    address: usize,
}

/// What the other party has: a task (a process, or a thread), and there a number, an address, both or
/// neither.
#[derive(Clone, Copy)]
struct Theirs {
    task: u32,
    number: Option<RawFd>,
    address: Option<usize>,
}

/// A way to have it twice. It calls back while the other party has it.
type Way = fn(&Ours, &mut dyn FnMut(Theirs) -> Result<()>) -> Result<()>;

/// A thread has what we have.
fn a_thread(ours: &Ours, found: &mut dyn FnMut(Theirs) -> Result<()>) -> Result<()> {
    let (arrives, arrived) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            // Either fails only when the other side has given up.
            let _ = arrives.send(rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs());
            let _ = may_leave.recv();
        });
        let task = arrived.recv()?;
        let done = found(Theirs { task, number: ours.number(), address: Some(ours.address) });
        drop(leave);
        done
    })
}

/// A child of a fork has what we had.
fn a_fork(ours: &Ours, found: &mut dyn FnMut(Theirs) -> Result<()>) -> Result<()> {
    let (turn, theirs) = UnixStream::pair()?;
    // SAFETY: after a fork(2) in a process with threads, the child must not take a lock that one of them may
    // hold. This process has one thread at this moment, and the child takes none.
    match unsafe { fork()? } {
        ForkResult::Child => {
            drop(turn);
            drop(wait(&theirs)); // for the end of the socket
            process::exit(0)
        }
        ForkResult::Parent { child } => {
            let task = child.as_raw().unsigned_abs();
            let done = found(Theirs { task, number: ours.number(), address: Some(ours.address) });
            drop(turn);
            waitpid(child, None)?;
            done
        }
    }
}

/// A new program, to which the number was left open.
fn an_exec(ours: &Ours, found: &mut dyn FnMut(Theirs) -> Result<()>) -> Result<()> {
    let mut command = role("heir");
    if let Memory::File(region) = &ours.memory {
        inherit::hand_down(&mut command, NAME, region.as_fd())?;
    }
    let mut heir = start(command)?;
    let number = reported(&mut heir.socket)?;
    found(Theirs { task: heir.pid(), number, address: None })?;
    heir.end()?;
    Ok(())
}

/// Another process, which was sent the descriptor.
fn a_message(ours: &Ours, found: &mut dyn FnMut(Theirs) -> Result<()>) -> Result<()> {
    let mut receiver = start(role("receiver"))?;
    scm_rights::send(&receiver.socket, &[0], &[ours.region()?.as_fd()])?;
    let number = reported(&mut receiver.socket)?;
    found(Theirs { task: receiver.pid(), number, address: None })?;
    receiver.end()?;
    Ok(())
}

fn a_dup(ours: &Ours, found: &mut dyn FnMut(Theirs) -> Result<()>) -> Result<()> {
    let again = ours.region()?.try_clone()?;
    found(Theirs { task: process::id(), number: Some(again.as_fd().as_raw_fd()), address: None })
}

fn an_open(ours: &Ours, found: &mut dyn FnMut(Theirs) -> Result<()>) -> Result<()> {
    let path = format!("/proc/self/fd/{}", ours.region()?.as_fd().as_raw_fd());
    let again = File::options().read(true).write(true).open(path)?;
    found(Theirs { task: process::id(), number: Some(again.as_raw_fd()), address: None })
}

/// `mmap`, or `shmat`, once more.
fn a_mapping(ours: &Ours, found: &mut dyn FnMut(Theirs) -> Result<()>) -> Result<()> {
    let again = ours.memory.map()?;
    found(Theirs { task: process::id(), number: None, address: Some(again.address()) })
}

fn a_private_mapping(ours: &Ours, found: &mut dyn FnMut(Theirs) -> Result<()>) -> Result<()> {
    // SAFETY: the region cannot shrink, and what is mapped here is reached through /proc alone.
    let private = unsafe { MmapOptions::new().map_copy(&ours.region()?.as_fd()) }?;
    found(Theirs { task: process::id(), number: None, address: Some(private.as_ptr().addr()) })
}
// ANCHOR_END: ends

impl Ours {
    fn new(memory: Memory) -> Result<Self> {
        let mapped = memory.map()?;
        let address = mapped.address();
        Ok(Self { memory, mapped: RefCell::new(Some(mapped)), address })
    }

    fn region(&self) -> Result<&Region> {
        match &self.memory {
            Memory::File(region) => Ok(region),
            Memory::Segment(_) => Err("a segment has no descriptor".into()),
        }
    }

    fn number(&self) -> Option<RawFd> {
        self.region().ok().map(|region| region.as_fd().as_raw_fd())
    }

    /// Stores a value, if there is one, and loads.
    fn first(&self, store: Option<u8>) -> Result<u8> {
        let mapped = self.mapped.borrow();
        let byte = mapped.as_ref().ok_or("unmapped")?.first();
        if let Some(value) = store {
            byte.store(value, Ordering::Relaxed);
        }
        Ok(byte.load(Ordering::Relaxed))
    }
}

// ANCHOR: questions
/// Whether the two numbers are one open file, and what else our descriptor has in common with theirs.
fn descriptors(region: &Region, task: u32, number: RawFd) -> Result<[&'static str; 4]> {
    let ours = (process::id(), region.as_fd().as_raw_fd());
    let file = same_open_file(ours, (task, number))?;
    // Each is set and cleared here, and looked at there.
    let follows =
        |set: &dyn Fn(bool) -> rustix::io::Result<()>, is_set: fn(Descriptor) -> bool| -> Result<bool> {
            let mut both = true;
            for on in [true, false] {
                set(on)?;
                both &= is_set(descriptor(task, number)?) == on;
            }
            Ok(both)
        };
    let flags = fcntl_getfl(region)?;
    let offset = follows(
        &|on| rustix::fs::seek(region, SeekFrom::Start(if on { 7 } else { 0 })).map(drop),
        |theirs| theirs.offset == 7,
    )?;
    let nonblock =
        follows(&|on| fcntl_setfl(region, if on { flags | OFlags::NONBLOCK } else { flags }), |theirs| {
            theirs.nonblock
        })?;
    let mark =
        follows(&|on| fcntl_setfd(region, if on { FdFlags::CLOEXEC } else { FdFlags::empty() }), |theirs| {
            theirs.close_on_exec
        })?;
    Ok([file, offset, nonblock, mark].map(|one| if one { "shared" } else { "own" }))
}

/// Both stores in turn, and whether the other side sees it.
fn is_shared(ours: &Ours, theirs: Theirs) -> Result<&'static str> {
    let (path, at) = match theirs {
        Theirs { task, address: Some(address), .. } => (format!("/proc/{task}/mem"), address as u64),
        Theirs { task, number: Some(number), .. } => (format!("/proc/{task}/fd/{number}"), 0),
        _ => return Ok("-"),
    };
    // The other's memory by its own address where it has one, and else by its number.
    let file = File::options().read(true).write(true).open(path)?;
    let theirs_see = |value| -> Result<bool> {
        ours.first(Some(value))?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at)?;
        Ok(byte == [value])
    };
    let before = theirs_see(1)?;
    file.write_all_at(&[2], at)?;
    let ours_sees = ours.first(None)? == 2;
    Ok(match (before, ours_sees, theirs_see(3)?) {
        (true, true, true) => "shared",
        (true, false, false) => "until a store",
        (false, false, false) => "own",
        other => return Err(format!("no word for {other:?}").into()),
    })
}

/// We unmap, and see whether the other party's mapping is gone with ours.
fn is_one_mapping(ours: &Ours, theirs: Theirs) -> Result<&'static str> {
    let inode = ours.memory.inode()?;
    drop(ours.mapped.take());
    let mappings = layers::mappings(theirs.task, inode)?;
    let Some(address) = theirs.address else {
        // In this process there was nothing but ours; another one might have been given a mapping.
        return Ok(if theirs.task == process::id() || !mappings.is_empty() { "-" } else { "none" });
    };
    Ok(if mappings.iter().any(|mapped| mapped.address == address) { "own" } else { "shared" })
}
// ANCHOR_END: questions

/// Goes one way, asks all questions, and prints a line of the table.
fn row(what: &str, way: Way, memory: Memory) -> Result<()> {
    let ours = Ours::new(memory)?;
    let mut cells = None;
    way(&ours, &mut |theirs| {
        let upper = match theirs.number {
            Some(number) => descriptors(ours.region()?, theirs.task, number)?,
            None => ["-"; 4],
        };
        let memory = is_shared(&ours, theirs)?;
        cells = Some((upper, memory, is_one_mapping(&ours, theirs)?));
        Ok(())
    })?;
    let ([file, offset, nonblock, mark], memory, mapping) = cells.ok_or("nobody was there")?;
    println!("  {what:26}{file:11}{offset:9}{nonblock:12}{mark:15}{memory:15}{mapping}");
    Ok(())
}

fn table() -> Result<()> {
    let heading = |what: &str| {
        println!("{what:28}open file  offset   O_NONBLOCK  close-on-exec  memory         mapping");
    };
    heading("a memory file");
    let ways: [(&str, Way); 8] = [
        ("another thread", a_thread),
        ("dup", a_dup),
        ("fork", a_fork),
        ("fork and exec", an_exec),
        ("SCM_RIGHTS", a_message),
        ("open of /proc/self/fd/N", an_open),
        ("mmap again", a_mapping),
        ("mmap again, MAP_PRIVATE", a_private_mapping),
    ];
    ways.into_iter().try_for_each(|(what, way)| row(what, way, Memory::file(PAGES * page_size())?))?;
    println!();
    heading("a System V segment");
    let ways: [(&str, Way); 4] = [
        ("another thread", a_thread),
        ("fork", a_fork),
        ("fork and exec", an_exec),
        ("shmat again", a_mapping),
    ];
    ways.into_iter().try_for_each(|(what, way)| row(what, way, Memory::segment(PAGES * page_size())?))
}

/// What a child's page table has of a mapping that it was born with.
fn after_a_fork() -> Result<()> {
    let ours = Ours::new(Memory::file(PAGES * page_size())?)?;
    (0..PAGES)
        .try_for_each(|page| ours.mapped.borrow().as_ref().map_or(Ok(()), |mapped| mapped.store(page, 1)))?;
    let count = |task| -> Result<usize> {
        Ok(entries(task, ours.address, PAGES)?.into_iter().filter(|entry| *entry == Entry::File).count())
    };
    a_fork(&ours, &mut |theirs| {
        println!(
            "\nRight after a fork, of {PAGES} pages: the parent's page table has entries for {},",
            count(process::id())?
        );
        println!(
            "the child's for {}. It has the mapping, and finds the pages by faults of its own.",
            count(theirs.task)?
        );
        Ok(())
    })
}

/// In another process: reports the number of what has come, or -1, and holds it until we are done.
fn report(fd: Option<OwnedFd>) -> Result<()> {
    let mut socket = other::socket()?;
    let number = fd.as_ref().map_or(-1, AsRawFd::as_raw_fd);
    socket.write_all(&number.to_ne_bytes())?;
    drop(wait(&socket)); // for its end
    Ok(())
}

/// What it has reported.
fn reported(socket: &mut UnixStream) -> Result<Option<RawFd>> {
    let mut number = [0; 4];
    socket.read_exact(&mut number)?;
    Ok(Some(RawFd::from_ne_bytes(number)).filter(|number| *number >= 0))
}

fn main() -> Result<ExitCode> {
    match std::env::args().nth(1).as_deref() {
        // SAFETY: nothing was opened here yet, and nobody else takes what is inherited.
        Some("heir") => report(unsafe { inherit::take(NAME) }.ok())?,
        Some("receiver") => {
            let [fd] = scm_rights::receive(&other::socket()?, &mut [0], 1)?.into_exactly()?;
            report(Some(fd))?;
        }
        _ => {
            let ourselves = (process::id(), io::stdin().as_fd().as_raw_fd());
            if let Err(refused) = same_open_file(ourselves, ourselves) {
                println!("not shown here: {refused}"); // a filter in the way of kcmp
                return Ok(ExitCode::from(77));
            }
            table()?;
            after_a_fork()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
