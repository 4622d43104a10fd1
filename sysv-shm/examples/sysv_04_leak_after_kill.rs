//! A segment whose maker was killed: found, and cleared.
//!
//! Run it: `cargo run --example sysv_04_leak_after_kill`
//!
//! What to look for: the kill takes the attachment and leaves the segment, with its key, its data and its
//! memory. That nobody uses it can only be guessed, from two numbers; so the clearing is tried dry first.

use std::error::Error;
use std::process::{self, ExitCode};
use std::{env, thread};

use sysv_shm::{Key, Reap, Reaped, Segment, SegmentStat, SegmentUsage, orphans, reap};

#[path = "support/stage.rs"]
#[allow(unreachable_pub, dead_code)] // one file, shared by all examples; this one uses its part
mod stage;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const KEY: Key = Key::new(0x5348_4d04);
const WORK: &[u8; 14] = b"half-done work";

// ANCHOR: worker
/// Has every intention to clean up, and no time to do it.
fn worker() -> Result<()> {
    println!("worker  pid {}", process::id());
    let segment = Segment::create_new(KEY, 64 << 10)?.remove_on_drop(); // which nothing will drop
    let attachment = segment.attach::<()>()?;
    attachment.copy_in(0, WORK)?;
    println!("        made 64 KiB under the key {KEY}, and works on it");
    loop {
        thread::park(); // until it is killed
    }
}
// ANCHOR_END: worker

// ANCHOR: leak
fn leak() -> Result<ExitCode> {
    let mut stage = stage::Stage::new()?;
    let worker = stage.enter("worker")?;
    stage.show_until("works on it")?;
    let segment = Segment::open(KEY, 0)?.remove_on_drop(); // so that the example leaks nothing itself
    describe("while it works", &segment.stat()?)?;

    drop(worker); // kill -9, and wait for the end
    println!("\nThe worker has been killed, and has ended.");
    describe("after the kill", &segment.stat()?)?;
    let mut found = [0; WORK.len()];
    Segment::open(KEY, 0)?.attach_read_only::<()>()?.copy_out(0, &mut found)?;
    println!("  under its key           \"{}\"", String::from_utf8_lossy(&found));

    println!("\nClearing, as a dry run, would remove:");
    let dry = reap(Reap::DryRun)?;
    print(&dry);
    if dry.segments.iter().any(|orphan| orphan.id != segment.id()) {
        println!("not shown here: somebody else's segments are among them, and not ours to remove");
        return Ok(ExitCode::from(77));
    }
    println!("Clearing removed:");
    print(&reap(Reap::Remove)?);
    println!("  orphans left            {}", orphans()?.len());
    println!(
        "  under its key           {}",
        if Segment::open(KEY, 0).is_ok() { "a segment" } else { "nothing" }
    );
    Ok(ExitCode::SUCCESS)
}
// ANCHOR_END: leak

/// The two numbers that tell, and what they tell.
fn describe(when: &str, stat: &SegmentStat) -> Result<()> {
    println!("  {when:<22}  made by pid {}, mappings {}", stat.creator_pid, stat.attached);
    println!("  so it is an orphan      {}", if stat.is_orphan() { "yes" } else { "no" });
    println!("  pages charged           {}", SegmentUsage::now()?.pages);
    Ok(())
}

fn print(reaped: &Reaped) {
    for orphan in &reaped.segments {
        println!(
            "  key {}, {} bytes, made by pid {}, id {}",
            orphan.key, orphan.size, orphan.creator_pid, orphan.id
        );
    }
    for (_, error) in &reaped.refused {
        println!("  not removed: {error}");
    }
}

fn main() -> Result<ExitCode> {
    match env::args().nth(1).as_deref() {
        Some("worker") => worker().map(|()| ExitCode::SUCCESS),
        _ => leak(),
    }
}
