//! SCM_RIGHTS: one descriptor or 253 in a message, and what belongs together stays together.
//!
//! Run it: `cargo run --example fd_11_scm_rights_many`
//!
//! What to look for: what is in flight holds the open files by itself, so the sender closes them at once. A
//! Unix stream keeps no messages apart, except that a read ends behind one that carries descriptors: so no
//! read returns the descriptors of two, but bytes from before may come with it ("nonepart 1"). A message
//! takes 253 descriptors and not 254. And a region that arrives twice is kept once.

use std::error::Error;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use fd_shm::Region;
use fd_shm::handover::OpenFiles;
use fd_shm::scm_rights::{self, MAX_DESCRIPTORS};

#[path = "support/other.rs"]
#[allow(dead_code)] // each example uses what it needs of it
mod other;
use other::{role, tell};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: sender
/// Sends everything before there is anybody to read it.
fn sender() -> Result<()> {
    println!("A sender fills a Unix stream, closes what it has sent, and only then starts the receiver.\n");
    let regions: fd_shm::Result<Vec<_>> =
        (0..=MAX_DESCRIPTORS).map(|number| Region::create(&format!("frame {number}"), 4096)).collect();
    let regions = regions?;
    let all: Vec<BorrowedFd<'_>> = regions.iter().map(AsFd::as_fd).collect();

    let (stream, theirs) = UnixStream::pair()?;
    let send = |text: &str, descriptors: &[BorrowedFd<'_>]| {
        tell("sender", format!("sends \"{text}\", descriptors: {}", descriptors.len()));
        scm_rights::send(&stream, text.as_bytes(), descriptors)
    };
    send("one", &all[..1])?;
    send("two", &all[1..3])?;
    tell("sender", send("all", &all).err().ok_or("254 went into one message")?);
    send("none", &[])?;
    send("part 1", &all[..MAX_DESCRIPTORS])?;
    send("part 2", &all[MAX_DESCRIPTORS..])?;
    drop(regions);

    let status = role("receiver").stdin(OwnedFd::from(theirs)).status()?;
    if status.success() { Ok(()) } else { Err(format!("the receiver: {status}").into()) }
}
// ANCHOR_END: sender

// ANCHOR: receiver
/// Reads with room to spare, and sees which bytes came together with which descriptors.
fn receiver() -> Result<()> {
    let stream = other::socket()?;
    let mut known = OpenFiles::new();
    let mut text = [0; 64];
    while known.len() <= MAX_DESCRIPTORS {
        let message = scm_rights::receive(&stream, &mut text, MAX_DESCRIPTORS)?;
        let (bytes, count) = (text[..message.len].escape_ascii(), message.descriptors.len());
        for descriptor in message.descriptors {
            known.keep(descriptor, Region::from_fd)?;
        }
        tell(
            "receiver",
            format!("reads \"{bytes}\", descriptors: {count}; open files so far: {}", known.len()),
        );
    }
    Ok(())
}
// ANCHOR_END: receiver

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        None => sender(),
        Some("receiver") => receiver(),
        Some(other) => Err(format!("no role {other}: say nothing, the sender starts the receiver").into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fd_11_scm_rights_many: {error}");
            ExitCode::FAILURE
        }
    }
}
