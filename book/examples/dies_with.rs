//! What dies with what: descriptors, mappings and messages taken away one by one, and the memory watched.
//!
//! Run it: `cargo run --example dies_with`
//!
//! What to look for: neither a close nor an unmapping ends the memory, the last of them does, whichever it is. A
//! message that nobody has read counts as well, and so does a process that is killed. Nobody removes anything. A segment
//! is the other way round: nothing but a removal ends it, and a removal only once it is detached.

use std::error::Error;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::atomic::{AtomicU8, Ordering};

use fd_shm::{Mapping, Region, scm_rights};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::fs::{fstat, inotify};
use rustix::io::Errno;
use sysv_shm::{Key, Segment, SegmentId};

#[path = "../../fd-shm/examples/support/other.rs"]
#[allow(dead_code)] // one file for several examples: nobody tells a story here
mod other;
use other::{go, role, start, wait};

#[path = "../../fd-shm/examples/support/layers.rs"]
#[allow(dead_code)] // one file for several examples, each of which uses its part
mod layers;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const LEN: usize = 4096;

// ANCHOR: witness
/// Sees the end of a memory file, without being one of those that keep it.
///
/// A watch of inotify's holds no open file. It is told when the inode has lost its last one, and a memory file has no
/// entry in a directory that could keep it longer.
struct Witness {
    /// The queue of inotify's events.
    queue: OwnedFd,
    /// The file's inode.
    inode: u64,
    /// The number that it had in this process.
    number: RawFd,
}

impl Witness {
    fn of(region: &Region) -> Result<Self> {
        let number = region.as_fd().as_raw_fd();
        let queue = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
        inotify::add_watch(&queue, format!("/proc/self/fd/{number}"), inotify::WatchFlags::DELETE_SELF)?;
        Ok(Self { queue, inode: fstat(region)?.st_ino, number })
    }

    /// Whether the memory is still there.
    fn is_there(&self) -> Result<bool> {
        match rustix::io::read(&self.queue, &mut [0; 256]) {
            Err(Errno::AGAIN) => Ok(true),
            event => Ok(event? == 0),
        }
    }

    /// One line: what this process has of the file, tried, and whether there is a file.
    fn row(&self, what: &str, mapping: Option<&Mapping<AtomicU8>>) -> Result<()> {
        let link = fs::read_link(format!("/proc/self/fd/{}", self.number)).unwrap_or_default();
        let descriptor = if link.as_os_str() == "/memfd:watched (deleted)" { "works" } else { "-" };
        let mapping = mapped(self.inode, mapping.map(|byte| &**byte))?;
        let memory = if self.is_there()? { "there" } else { "gone" };
        println!("  {what:46}{descriptor:12}{mapping:9}{memory}");
        Ok(())
    }
}
// ANCHOR_END: witness

/// Tries a mapping, and has the maps file say whether there is one.
fn mapped(inode: u64, byte: Option<&AtomicU8>) -> Result<&'static str> {
    let listed = !layers::mappings(process::id(), inode)?.is_empty();
    match byte.map(|byte| byte.load(Ordering::Relaxed)) {
        Some(7) if listed => Ok("works"),
        None if !listed => Ok("-"),
        loaded => Err(format!("{loaded:?} is loaded, and in the maps file it is {listed}").into()),
    }
}

/// A file with a 7 in it, its mapping, and its witness.
fn watched() -> Result<(Region, Mapping<AtomicU8>, Witness)> {
    let region = Region::create("watched", LEN)?;
    let mapping = region.map::<AtomicU8>()?;
    mapping.store(7, Ordering::Relaxed);
    let witness = Witness::of(&region)?;
    Ok((region, mapping, witness))
}

// ANCHOR: file
/// The four ends of a memory file.
fn files() -> Result<()> {
    println!("A memory file                                   descriptor  mapping  memory");
    let (region, mapping, witness) = watched()?;
    witness.row("is made and mapped", Some(&mapping))?;
    drop(region);
    witness.row("the descriptor is closed", Some(&mapping))?;
    drop(mapping);
    witness.row("the mapping is unmapped", None)?;

    println!();
    let (region, mapping, witness) = watched()?;
    drop(mapping);
    witness.row("another is unmapped first", None)?;
    drop(region);
    witness.row("and then closed", None)?;

    println!();
    let (region, mapping, witness) = watched()?;
    let (sender, receiver) = UnixStream::pair()?;
    scm_rights::send(&sender, &[0], &[region.as_fd()])?;
    drop((region, mapping));
    witness.row("a third is sent to nobody, and given up here", None)?;
    drop((sender, receiver));
    witness.row("the socket with the message is closed", None)?;

    println!();
    let (region, mapping, witness) = watched()?;
    let holder = start(role("holder"))?;
    scm_rights::send(&holder.socket, &[0], &[region.as_fd()])?;
    wait(&holder.socket)?;
    drop((region, mapping));
    witness.row("a fourth is held by another process alone", None)?;
    kill(Pid::from_raw(holder.pid().cast_signed()), Signal::SIGKILL)?;
    holder.end()?;
    witness.row("that is killed", None)
}

/// Maps what it is sent, gives the number up, and waits to be killed.
fn holder() -> Result<()> {
    let socket = other::socket()?;
    let [fd] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
    let _mapping = Region::from_fd(fd)?.map::<()>()?;
    go(&socket)?;
    Ok(wait(&socket)?)
}
// ANCHOR_END: file

// ANCHOR: segment
/// The one end of a segment.
fn segment() -> Result<()> {
    println!("\nA System V segment                              id          mapping  memory");
    let segment = Segment::create(Key::PRIVATE, LEN)?.remove_on_drop();
    let id = segment.id();
    let attached = segment.attach::<AtomicU8>()?;
    attached.store(7, Ordering::Relaxed);
    row(id, "is made and attached", Some(&attached))?;
    drop(attached);
    row(id, "is detached", None)?;
    let attached = segment.attach::<AtomicU8>()?;
    row(id, "is attached again", Some(&attached))?;
    segment.remove()?;
    row(id, "is removed", Some(&attached))?;
    drop(attached);
    row(id, "is detached", None)
}

/// Asks for it by its id, and tries its mapping.
fn row(id: SegmentId, what: &str, attached: Option<&AtomicU8>) -> Result<()> {
    let mapping = mapped(id.to_string().parse()?, attached)?;
    let [id, memory] = match Segment::from_id(id).and_then(|segment| segment.stat()) {
        Ok(_) => ["works", "there"],
        Err(error) if error.is_removed() => ["-", "gone"],
        Err(error) => return Err(error.into()),
    };
    println!("  {what:46}{id:12}{mapping:9}{memory}");
    Ok(())
}
// ANCHOR_END: segment

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some("holder") {
        return holder();
    }
    files()?;
    segment()
}
