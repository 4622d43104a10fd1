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
    segment.remove()?; // at once, whether attached or not: whatever happens from here on leaks nothing
    let word = word?;
    word.store(1, Ordering::Relaxed);
    println!("parent  pid {}: made id {}, without a key; attached, removed", process::id(), segment.id());
    println!("        at {:p}, mappings: {}, the word is 1", &*word, segment.stat()?.attached);

    // SAFETY: fork(2) in a process with threads lets the child call nothing that takes a lock. This process
    // has one thread.
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
    println!(
        "parent  pid {}: mappings: {}, the word is {}",
        process::id(),
        segment.stat()?.attached,
        word.load(Ordering::Relaxed)
    );
    drop(word);
    match segment.stat() {
        Ok(_) => Err("the segment is still there".into()),
        Err(error) if error.is_removed() => {
            println!("        detached, and with that the segment is gone");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
// ANCHOR_END: parent

// ANCHOR: child
/// Was born with the mapping: no key, no id, no call.
fn child(segment: &Segment, word: &Attachment<AtomicU32>) -> Result<()> {
    println!("child   pid {}: has it at {:p}, as the parent has", process::id(), &**word);
    println!(
        "        mappings: {}, the word is {}",
        segment.stat()?.attached,
        word.fetch_add(1, Ordering::Relaxed)
    );
    Ok(())
}

/// A new program, which inherits no mapping. It was told a number, the id, and so it is let in.
fn told(id: SegmentId) -> Result<()> {
    let segment = Segment::from_id(id)?;
    let word = segment.attach::<AtomicU32>()?;
    println!("told    pid {}: attaches id {id}, which a removal does not prevent on Linux", process::id());
    println!(
        "        mappings: {}, the word is {}",
        segment.stat()?.attached,
        word.fetch_add(1, Ordering::Relaxed)
    );
    Ok(())
}
// ANCHOR_END: child

fn main() -> Result<()> {
    match env::args().nth(1) {
        None => parent(),
        Some(id) => told(SegmentId::new(id.parse()?)),
    }
}
