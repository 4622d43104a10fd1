//! Inheritance without a new program: fork alone, and what becomes of the two tables.
//!
//! Run it: `cargo run --example fd_15_fork`
//!
//! What to look for: the child has every number of the parent's, close-on-exec or not, for there is no
//! exec. The tables are two from then on, so what one closes or opens is nothing to the other, and one
//! number comes to mean two files. The open files behind them are still one: an offset that the child
//! moves has moved for the parent.
#![allow(unsafe_code)] // fork(2)

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{self, ExitCode};
use std::sync::atomic::{AtomicU32, Ordering};

use fd_shm::{Mapping, Memfd, Region, same_open_file};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use rustix::io::{FdFlags, fcntl_getfd};

#[path = "support/other.rs"]
#[allow(dead_code)] // nobody is started here: only the turns are of use
mod other;
use other::{go, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What both have from before the fork.
struct Before {
    /// A word in a region, mapped.
    word: Mapping<AtomicU32>,
    /// A memory file with some text, read up to the fifth byte.
    notes: File,
    /// An ordinary variable.
    variable: u32,
}

// ANCHOR: fork
/// Forks, and tells of both tables after each step.
fn story() -> Result<()> {
    let region = Region::create("frames", 4096)?;
    let mut notes = memory_file("notes")?;
    notes.write_all(b"some text")?;
    notes.seek(SeekFrom::Start(5))?;
    let before = Before { word: region.map()?, notes, variable: 1 };
    let (ours, theirs) = UnixStream::pair()?;

    println!("  {:26}{:34}the child's table", "what happens", "the parent's table");
    row("(before)", None)?;
    // SAFETY: after a fork(2) in a process with threads, the child must not take a lock that one of them may
    // hold. This process has one thread.
    match unsafe { fork()? } {
        ForkResult::Child => {
            drop(ours); // or it would never see the parent close it
            let done = child(before, &theirs).inspect_err(|error| eprintln!("child: {error}"));
            process::exit(i32::from(done.is_err()))
        }
        ForkResult::Parent { child } => {
            drop(theirs);
            let told = tell(&region, before, child.as_raw().unsigned_abs(), &ours);
            drop(ours);
            match waitpid(child, None)? {
                WaitStatus::Exited(_, 0) => told,
                ended => Err(format!("the child: {ended:?}").into()),
            }
        }
    }
}

/// The child, in turns: no other program, so everything of the parent's is at hand.
fn child(mut before: Before, turn: &UnixStream) -> Result<()> {
    wait(turn)?;
    before.notes.read_exact(&mut [0; 4])?;
    before.word.store(7, Ordering::Release);
    before.variable = 7;
    go(turn)?;

    wait(turn)?;
    drop(before.notes);
    go(turn)?;

    wait(turn)?;
    let own = memory_file("own")?; // the lowest free number
    go(turn)?;
    wait(turn)?;
    drop(own);
    Ok(())
}
// ANCHOR_END: fork

/// The parent's side of the turns.
fn tell(region: &Region, mut before: Before, child: u32, turn: &UnixStream) -> Result<()> {
    let next = || go(turn).and_then(|()| wait(turn));
    let (frames, notes) = (region.as_fd().as_raw_fd(), before.notes.as_raw_fd());
    row("the parent forks", Some(child))?;
    next()?;
    let moved = before.notes.stream_position()?;
    let (word, variable) = (before.word.load(Ordering::Acquire), before.variable);
    let shared = one_open_file(child, notes)?;
    next()?;
    row(&format!("the child closes its {notes}"), Some(child))?;
    let later = memory_file("later")?;
    row(&format!("the parent opens {}", later.as_raw_fd()), Some(child))?;
    next()?;
    row("the child opens a file", Some(child))?;

    let mark = fcntl_getfd(region)?.contains(FdFlags::CLOEXEC);
    println!("\n  {frames} is close-on-exec, and was no less inherited: {}", yes(mark));
    println!(
        "  one open file behind {frames} here and {frames} there (kcmp): {}",
        one_open_file(child, frames)?
    );
    println!("  one open file behind {notes} here and {notes} there: {shared}, and in the end {}", {
        one_open_file(child, notes)?
    });
    println!("  the child read 4 bytes of the notes: the parent's offset went from 5 to {moved}");
    println!("  the child stored 7 through the mapping that it was born with: the parent finds {word}");
    println!("  and 7 in a variable of its own: the parent finds {variable}");
    Ok(go(turn)?)
}

/// Whether the number stands for one open file here and in the child.
fn one_open_file(child: u32, number: i32) -> Result<&'static str> {
    Ok(yes(same_open_file((process::id(), number), (child, number))?))
}

fn yes(holds: bool) -> &'static str {
    if holds { "yes" } else { "no" }
}

fn memory_file(name: &str) -> Result<File> {
    Ok(File::from(OwnedFd::from(Memfd::create(name)?)))
}

/// One line of the story: both tables, as the kernel lists them.
fn row(what: &str, child: Option<u32>) -> Result<()> {
    let theirs = child.map_or(Ok("-".into()), table)?;
    println!("  {what:26}{:34}{theirs}", table(process::id())?);
    Ok(())
}

/// The memory files in a process's table, by their numbers.
fn table(pid: u32) -> Result<String> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        let file = fs::read_link(entry.path()).unwrap_or_default(); // the listing's own is gone by now
        let label = file.to_str().and_then(|file| file.strip_prefix("/memfd:")?.strip_suffix(" (deleted)"));
        if let (Some(label), Some(number)) = (label, entry.file_name().to_str()) {
            entries.push((number.parse::<i32>()?, format!("{number} {label}")));
        }
    }
    entries.sort();
    Ok(entries.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(", "))
}

fn main() -> Result<ExitCode> {
    let ourselves = (process::id(), io::stdin().as_fd().as_raw_fd());
    if let Err(refused) = same_open_file(ourselves, ourselves) {
        println!("not shown here: {refused}"); // a filter in the way of kcmp
        return Ok(ExitCode::from(77));
    }
    story()?;
    Ok(ExitCode::SUCCESS)
}
