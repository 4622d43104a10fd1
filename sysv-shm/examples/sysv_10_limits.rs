//! The limits of an IPC namespace, each met once, and what the refusal says.
//!
//! Run it: `cargo run --example sysv_10_limits`
//!
//! What to look for: the kernel has two errnos for all of this, and `EINVAL` alone has four meanings. The text
//! after the errno is the crate's, which looks which limit it was.
//!
//! It needs 4096 segments for the last one, so it goes into a namespace of its own first, and leaves them
//! there.

use std::error::Error;
use std::fs;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use sysv_shm::{Key, Segment};

const KEY: Key = Key::new(0x5348_4d0a);

/// The exit code that says: this machine cannot show it.
const NOT_SHOWN: u8 = 77;

// ANCHOR: limits
fn main() -> Result<ExitCode, Box<dyn Error>> {
    if let Err(error) = own_namespace() {
        println!("not shown here: unshare(CLONE_NEWIPC), and with CLONE_NEWUSER: {error}");
        return Ok(ExitCode::from(NOT_SHOWN));
    }
    let limit = |name| fs::read_to_string(format!("/proc/sys/kernel/{name}"));
    for name in ["shmmax", "shmall", "shmmni"] {
        println!("kernel.{name} = {}", limit(name)?.trim_end());
    }
    let (most_bytes, most) = (limit("shmmax")?.trim_end().parse()?, limit("shmmni")?.trim_end().parse()?);

    refused("A segment of nothing", &Segment::create(KEY, 0));
    refused("One byte above the limit", &Segment::create(KEY, most_bytes + 1));
    refused("At the limit", &Segment::create(KEY, most_bytes));

    Segment::create_new(KEY, 5000)?;
    refused("More than the segment has", &Segment::open(KEY, 5001));

    for _ in 1..most {
        Segment::create(Key::PRIVATE, 1)?; // the first of them has the key
    }
    refused("One segment above the limit", &Segment::create(Key::PRIVATE, 1));
    Ok(ExitCode::SUCCESS)
}
// ANCHOR_END: limits

/// Prints the refusal in two lines: the call and its errno, and what it means here.
fn refused(what: &str, outcome: &sysv_shm::Result<Segment>) {
    println!("\n{what}:");
    match outcome {
        Ok(segment) => println!("  made id {}", segment.id()),
        Err(error) => {
            let text = error.to_string();
            let meaning = text.find("): E").and_then(|at| Some(at + text.get(at..)?.find(", ")?));
            let (call, meaning) = text.split_at(meaning.unwrap_or(text.len()));
            println!("  {call}\n  {}", meaning.trim_start_matches(", "));
        }
    }
}

/// Root can have one for the asking; others have to be root of a user namespace first.
fn own_namespace() -> nix::Result<()> {
    match unshare(CloneFlags::CLONE_NEWIPC) {
        Err(Errno::EPERM) => unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWIPC),
        other => other,
    }
}
