//! One number, one open file, one memory: three questions, of which none answers another.
//!
//! Run it: `cargo run --example three_questions`
//!
//! What to look for: a pair with one number that has nothing in common, and pairs with two numbers that
//! have everything. kcmp says yes only where one descriptor was made from the other. The inode says yes
//! in one row too many: two segments of two IPC namespaces have one inode on one device, and are two
//! memories. The last column is not told by anything: a byte is stored through the one and looked for
//! through the other.

#![allow(unsafe_code)]

use std::error::Error;
use std::fs::{File, Metadata};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};

use fd_shm::handover::{Pull, inherit, pidfd, procfs};
use fd_shm::{ForeignFd, Memfd, same_open_file, scm_rights};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use sysv_shm::{Attachment, Key, Segment};

#[path = "look/mod.rs"]
#[allow(dead_code)] // each example uses what it needs of it
mod look;
use look::maps::mappings;

#[path = "../../fd-shm/examples/support/other.rs"]
#[allow(dead_code)] // each example uses what it needs of it
mod other;
use other::{Other, go, role, start, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Under this name a child inherits.
const NAME: &str = "HANDED_DOWN";

// ANCHOR: row
/// Prints a row: what was done, and what the two have in common.
fn row(what: &str, numbers: &str, open_file: Option<bool>, inode: bool, memory: bool) {
    let say = |answer: Option<bool>| answer.map_or("not to be asked", |yes| if yes { "yes" } else { "no" });
    println!("  {what:42}{numbers:10}{:17}{:11}{}", say(open_file), say(Some(inode)), say(Some(memory)));
}

/// The row for two descriptors: one of ours, and one of ours or of another process.
fn compare(what: &str, one: &File, other: ForeignFd, seen: impl FnOnce() -> Result<u8>) -> Result<()> {
    let here = (std::process::id(), one.as_raw_fd());
    let numbers = format!("{}, {}", here.1, other.1);
    let file = |file: Metadata| (file.dev(), file.ino());
    let theirs = std::fs::metadata(format!("/proc/{}/fd/{}", other.0, other.1))?;
    let inode = file(one.metadata()?) == file(theirs);
    let open_file = same_open_file(here, other)?;
    one.write_all_at(b"!", 0)?;
    let memory = seen()? == b'!';
    one.write_all_at(b".", 0)?;
    row(what, &numbers, Some(open_file), inode, memory);
    Ok(())
}
// ANCHOR_END: row

/// The row for two descriptors of ours.
fn compare_ours(what: &str, one: &File, other: &File) -> Result<()> {
    let seen = || {
        let mut byte = [0];
        other.read_exact_at(&mut byte, 0)?;
        Ok(byte[0])
    };
    compare(what, one, (std::process::id(), other.as_raw_fd()), seen)
}

// ANCHOR: pairs
fn table() -> Result<()> {
    let memory = memory_file()?;
    println!(
        "  {:42}{:10}{:17}{:11}one memory",
        "a memory file, and", "numbers", "one open file", "one inode"
    );
    compare_ours("its duplicate (dup)", &memory, &memory.try_clone()?)?;

    let mut heir = role("heir");
    inherit::hand_down(&mut heir, NAME, memory.as_fd())?;
    Peer::of(start(heir)?)?.compare("what a child inherits", &memory)?;
    let receiver = start(role("receiver"))?;
    scm_rights::send(&receiver.socket, &[0], &[memory.as_fd()])?;
    let receiver = Peer::of(receiver)?;
    receiver.compare("what SCM_RIGHTS brings", &memory)?;
    let pulled = pidfd::Process::open(receiver.has.0)?.pull(receiver.has.1)?;
    compare_ours("what pidfd_getfd takes out of a process", &memory, &pulled.into())?;
    let opened = procfs::Process::open(std::process::id())?.pull(memory.as_raw_fd())?;
    compare_ours("what /proc/PID/fd opens again", &memory, &opened.into())?;
    Peer::of(start(role("maker"))?)?.compare("another file of the same name, elsewhere", &memory)?;

    println!("\n  a segment, and");
    let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
    attachments("itself, attached a second time", &segment.attach()?, &segment.attach()?)?;
    let traveller = start(role("traveller"))?; // says its row itself
    traveller.end()?;
    Ok(())
}
// ANCHOR_END: pairs

/// A file of 4096 bytes in memory, that everybody calls alike.
fn memory_file() -> Result<File> {
    let memfd = Memfd::create("memory")?;
    memfd.set_len(4096)?;
    Ok(OwnedFd::from(memfd).into())
}

/// Another process with a descriptor of its own, which looks into the file when it is told to.
struct Peer {
    process: Other,
    has: ForeignFd,
}

impl Peer {
    fn of(process: Other) -> Result<Self> {
        let (mut pid, mut number) = ([0; 4], [0; 4]);
        (&process.socket).read_exact(&mut pid)?;
        (&process.socket).read_exact(&mut number)?;
        Ok(Self { process, has: (u32::from_ne_bytes(pid), i32::from_ne_bytes(number)) })
    }

    fn compare(&self, what: &str, memory: &File) -> Result<()> {
        compare(what, memory, self.has, || {
            go(&self.process.socket)?;
            let mut byte = [0];
            (&self.process.socket).read_exact(&mut byte)?;
            Ok(byte[0])
        })
    }
}

/// In the other process: says what it has, and reads the first byte as often as it is asked to.
fn peer(descriptor: OwnedFd, mut socket: &UnixStream) -> Result<()> {
    let file = File::from(descriptor);
    let numbers = [std::process::id().cast_signed(), file.as_raw_fd()];
    socket.write_all(&numbers.map(i32::to_ne_bytes).concat())?;
    while wait(socket).is_ok() {
        let mut byte = [0];
        file.read_exact_at(&mut byte, 0)?;
        socket.write_all(&byte)?;
    }
    Ok(())
}

// ANCHOR: segments
/// The row for two attachments, which have no descriptor that could be compared.
fn attachments(what: &str, one: &Attachment<AtomicU32>, other: &Attachment<AtomicU32>) -> Result<()> {
    let maps = mappings(&std::fs::read("/proc/self/maps")?);
    let file = |word: &AtomicU32| {
        let address = u64::try_from(std::ptr::from_ref(word).addr()).ok()?;
        let mapping = maps.iter().find(|mapping| mapping.start == address)?;
        Some((mapping.device, mapping.inode))
    };
    let inode = file(one).ok_or("not mapped")? == file(other).ok_or("not mapped")?;
    one.store(1, Ordering::Relaxed);
    row(what, "none", None, inode, other.load(Ordering::Relaxed) == 1);
    Ok(())
}

/// Makes a segment in a new namespace, and another in a newer one: each is the first there.
fn traveller() -> Result<()> {
    leave()?;
    let first = Segment::create(Key::PRIVATE, 4096)?.attach()?;
    leave()?;
    let second = Segment::create(Key::PRIVATE, 4096)?.attach()?;
    attachments("one of another IPC namespace", &first, &second)
}
// ANCHOR_END: segments

/// Root can do this alone; others need to be root of a user namespace first.
fn leave() -> nix::Result<()> {
    match unshare(CloneFlags::CLONE_NEWIPC) {
        Err(Errno::EPERM) => unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWIPC),
        other => other,
    }
}

/// Why this cannot be shown here, if it cannot.
fn obstacle() -> Result<Option<String>> {
    let ourselves = (std::process::id(), std::io::stdin().as_fd().as_raw_fd());
    if let Err(refused) = same_open_file(ourselves, ourselves) {
        return Ok(Some(refused.to_string()));
    }
    let yama = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    if ["2", "3"].contains(&yama.trim()) {
        return Ok(Some(format!("ptrace_scope is {}", yama.trim())));
    }
    // In a process of its own: namespaces are left once and for all.
    let can = role("leaver").status()?.success();
    Ok((!can).then(|| "unshare(CLONE_NEWIPC), and with CLONE_NEWUSER: refused".into()))
}

fn run() -> Result<ExitCode> {
    match std::env::args().nth(1).as_deref() {
        None => {
            if let Some(reason) = obstacle()? {
                println!("not shown here: {reason}");
                return Ok(ExitCode::from(77)); // the book keeps the committed output then
            }
            table()?;
        }
        Some("heir") => {
            // SAFETY: nothing was opened here yet, and nobody else takes what is inherited.
            let ours = unsafe { inherit::take(NAME) }?;
            peer(ours, &other::socket()?)?;
        }
        Some("receiver") => {
            let socket = other::socket()?;
            let _ballast = socket.try_clone()?; // only so that the numbers differ
            let [fd] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
            peer(fd, &socket)?;
        }
        Some("maker") => {
            let ours = memory_file()?; // first, so that it has the number that the other one has
            peer(ours.into(), &other::socket()?)?;
        }
        Some("traveller") => traveller()?,
        Some("leaver") => leave()?,
        Some(other) => {
            return Err(format!("no role {other}: say nothing, it starts the others itself").into());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("three_questions: {error}");
        ExitCode::FAILURE
    })
}
