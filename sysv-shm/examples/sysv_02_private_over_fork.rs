//! A segment without a key, shared with a child by `fork`, and with a stranger by telling the id.
//!
//! Run it: `cargo run --example sysv_02_private_over_fork`
//!
//! What to look for: the segment is removed before anybody shares it, and works all the same; the child has
//! the mapping at the parent's address without asking for anything; and in the end nothing has to be cleaned
//! up.
#![allow(unsafe_code)] // fork(2)

use std::env;
use std::error::Error;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use sysv_shm::{Attachment, Key, Segment, SegmentId};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: parent
fn parent() -> Result<()> {
    let segment = Segment::create(Key::PRIVATE, 4096)?;
    let word = segment.attach::<AtomicU32>();
    segment.remove()?; // at once, and whether it is attached or not
    let word = word?;
    word.store(1, Ordering::Relaxed);
    tell("parent", "made a segment without a key, attached it, removed it", &segment, &word)?;

    // SAFETY: after a fork(2) in a process with threads, the child must not take a lock that one of them may
    // hold. This process has one thread.
    match unsafe { fork()? } {
        ForkResult::Child => process::exit(i32::from(child(&segment, &word).is_err())),
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Exited(_, 0) => {}
            ended => return Err(format!("the child: {ended:?}").into()),
        },
    }
    let told = Command::new(env::current_exe()?).arg(segment.id().to_string()).status()?;
    if !told.success() {
        return Err(format!("the one who was told: {told}").into());
    }
    tell("parent", "looks again", &segment, &word)?;

    drop(word);
    let gone = segment.stat().is_err_and(|error| error.is_removed());
    println!("        detaches it, and the id leads nowhere: {}", if gone { "yes" } else { "no" });
    Ok(())
}
// ANCHOR_END: parent

// ANCHOR: others
/// A copy of its parent, with all its mappings: no key, no id, no call.
fn child(segment: &Segment, word: &Attachment<AtomicU32>) -> Result<()> {
    word.fetch_add(1, Ordering::Relaxed);
    tell("child", "was born with the mapping, at the same address", segment, word)
}

/// A new program, which inherits no mapping. It was told a number, the id, and so it is let in.
fn told(id: SegmentId) -> Result<()> {
    let segment = Segment::from_id(id)?;
    let word = segment.attach::<AtomicU32>()?;
    word.fetch_add(1, Ordering::Relaxed);
    tell("told", "was told the id, and attached it although it is removed", &segment, &word)
}

fn tell(role: &str, what: &str, segment: &Segment, word: &Attachment<AtomicU32>) -> Result<()> {
    let (id, mappings, value) = (segment.id(), segment.stat()?.attached, word.load(Ordering::Relaxed));
    println!("{role:<7} pid {}: {what}", process::id());
    println!("        id {id}, at {:p}, mappings: {mappings}, the word is {value}", &**word);
    Ok(())
}
// ANCHOR_END: others

fn main() -> Result<()> {
    match env::args().nth(1) {
        None => parent(),
        Some(id) => told(SegmentId::new(id.parse()?)),
    }
}
