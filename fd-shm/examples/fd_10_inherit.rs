//! Inheritance: a region for one child, and for no other.
//!
//! Run it: `cargo run --example fd_10_inherit`
//!
//! What to look for: the descriptor is close-on-exec in the parent all the time, so the sibling, started in
//! between, does not get it. In the heir alone the mark is off, between fork and exec; the heir takes the
//! descriptor by the name that both know, once, and the mark is on again, so it ends there. Taking is
//! `unsafe`: that a number is open can be asked, and whose it is cannot.

#![allow(unsafe_code)]

use std::error::Error;
use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};

use fd_shm::{Region, handover::inherit, same_open_file};

#[path = "support/other.rs"]
#[allow(dead_code)] // each example uses what it needs of it
mod other;
use other::{go, role, start, tell, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The name that parent and child agreed on.
const FRAMES: &str = "FRAMES";

/// What the heir writes into the region: its pid, and its number for the region.
type Words = [AtomicU32; 2];

// ANCHOR: parent
/// Prepares the heir, starts the sibling before it, and sees what the heir has written.
fn parent() -> Result<()> {
    println!("A parent hands a region down to one of its children.\n");
    let region = Region::create("frames", 4096)?;
    let words = region.map::<Words>()?;
    tell("parent", format!("has the region as descriptor {}", region.as_fd().as_raw_fd()));

    let mut heir = role("heir");
    inherit::hand_down(&mut heir, FRAMES, region.as_fd())?;
    tell("parent", format!("hands it down to the heir, as {FRAMES}"));

    tell("parent", "starts the sibling, then the heir");
    let sibling = start(role("sibling"))?;
    sibling.end()?;
    let heir = start(heir)?;
    wait(&heir.socket)?;
    let [pid, number] = words.each_ref().map(|word| word.load(Ordering::Acquire));
    let number = number.cast_signed();
    let ours = (std::process::id(), region.as_fd().as_raw_fd());
    let same = same_open_file(ours, (pid, number))?;
    tell("parent", format!("finds in it what the heir has written: its descriptor is {number}"));
    let same = if same { "yes" } else { "no" };
    tell(
        "parent",
        format!("asks kcmp whether its {} and the heir's {number} are one open file: {same}", ours.1),
    );
    go(&heir.socket)?;
    heir.end()?;
    Ok(())
}
// ANCHOR_END: parent

// ANCHOR: heir
/// Takes the region by its name, and writes into it under which number it came.
fn heir() -> Result<()> {
    tell("heir", format!("was started with {}", open()?));
    // SAFETY: all that is open here came by `fork` and `exec` or is close-on-exec, and nobody else takes it.
    let taken = unsafe { inherit::take(FRAMES) }?;
    let number = taken.as_raw_fd();
    tell("heir", format!("takes {FRAMES}: descriptor {number}, close-on-exec from here on"));
    // SAFETY: as before. That this function itself has given the number away, it knows.
    let again = unsafe { inherit::take(FRAMES) };
    tell("heir", format!("takes {FRAMES} again: {}", again.err().ok_or("taken twice")?));
    start(role("offspring"))?.end()?;

    let region = Region::from_fd(taken)?;
    let words = region.map::<Words>()?;
    let [pid, number_here] = &*words;
    pid.store(std::process::id(), Ordering::Release);
    number_here.store(number.cast_unsigned(), Ordering::Release);
    let socket = other::socket()?;
    go(&socket)?;
    Ok(wait(&socket)?)
}
// ANCHOR_END: heir

/// Any other child: looks for what it was started with.
fn bystander(name: &str) -> Result<()> {
    tell(name, format!("was started with {}", open()?));
    // SAFETY: as in the heir.
    let refused = unsafe { inherit::take(FRAMES) }.err().ok_or("has it")?;
    tell(name, format!("takes {FRAMES}: {refused}"));
    Ok(())
}

/// What is open besides the standard streams.
fn open() -> Result<String> {
    let links = fs::read_dir("/proc/self/fd")?.flatten().map(|entry| entry.path());
    let links: Vec<_> = links.collect(); // the listing's own is closed now, and is not found below
    let mut found: Vec<_> = links
        .iter()
        .filter_map(|link| Some((link.file_name()?.to_str()?, fs::read_link(link).ok()?)))
        .filter(|(number, _)| !["0", "1", "2"].contains(number))
        .map(|(number, file)| format!("{number}, which is {}", file.display()))
        .collect();
    found.sort();
    Ok(if found.is_empty() { "nothing but the standard streams".into() } else { found.join("; ") })
}

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        None => parent(),
        Some("heir") => heir(),
        Some(name @ ("sibling" | "offspring")) => bystander(name),
        Some(other) => Err(format!("no role {other}: say nothing, the parent starts the others").into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fd_10_inherit: {error}");
            ExitCode::FAILURE
        }
    }
}
