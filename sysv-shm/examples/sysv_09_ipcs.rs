//! `ipcs` in sixty lines: everything that an IPC namespace has, and who uses it.
//!
//! Run it: `cargo run --example sysv_09_ipcs`, which first makes something to be seen,
//! or:     `cargo run --example sysv_09_ipcs -- list`, which only looks.
//!
//! What to look for: no permission is needed to see that a segment is there. Who has it attached is not
//! written in the segment; it is found by looking into every process.

use std::error::Error;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::geteuid;
use sysv_shm::{
    Key, Segment, SegmentLimits, SegmentOptions, SegmentStat, SegmentUsage, SemaphoreLimits, SemaphoreSet,
    SemaphoreUsage, segments, semaphore_sets,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: ipcs
fn ipcs() -> Result<()> {
    println!("key          mode  owner          bytes  state");
    for segment in segments()? {
        let SegmentStat { key, mode, uid, size, attached, creator_pid, id, .. } = segment;
        let (key, owner, state) = (key.to_string(), owner(uid), state(&segment));
        println!("{key:<12} {mode:04o}  {owner:<10} {size:>9}  {state}, made by pid {creator_pid}, id {id}");
        if attached > 0 {
            attachments(&Segment::from(id))?;
        }
    }
    for set in semaphore_sets()? {
        let (key, owner) = (set.key.to_string(), owner(set.uid));
        println!("{key:<12} {:04o}  {owner:<10}         -  a set of {}, id {}", set.mode, set.count, set.id);
    }

    let (limits, usage) = (SegmentLimits::now()?, SegmentUsage::now()?);
    println!("\nsegments     {} of at most {}", usage.segments, limits.max_segments);
    println!(
        "pages        {} of at most {}; {} in memory",
        usage.pages, limits.max_pages, usage.resident_pages
    );
    let (limits, usage) = (SemaphoreLimits::now()?, SemaphoreUsage::now()?);
    println!(
        "semaphores   {} of at most {}, in {} sets",
        usage.semaphores, limits.max_semaphores, usage.sets
    );
    Ok(())
}

/// Who has it attached, with how much of it in memory, and the fair share of that.
fn attachments(segment: &Segment) -> Result<()> {
    let attached = segment.attached_by()?;
    for process in &attached.processes {
        let access = if process.can_write() { "writes" } else { "reads" };
        println!(
            "             {access} it: {}, mappings {}, in memory {} kB, fair share {} kB, pid {}",
            process.command,
            process.mappings.len(),
            process.rss() >> 10,
            process.pss() >> 10,
            process.pid
        );
    }
    if attached.unseen_mappings() > 0 {
        println!("             unseen mappings {}", attached.unseen_mappings());
    }
    Ok(())
}

fn owner(uid: u32) -> String {
    if uid == geteuid().as_raw() { "you".into() } else { format!("uid {uid}") }
}

fn state(segment: &SegmentStat) -> &'static str {
    match segment {
        _ if segment.removed => "removed, still attached",
        _ if segment.is_orphan() => "an orphan",
        _ if segment.attached > 0 => "attached",
        _ => "not attached",
    }
}
// ANCHOR_END: ipcs

fn main() -> Result<()> {
    if std::env::args().nth(1).is_some_and(|argument| argument == "list") {
        return ipcs();
    }
    println!("ipcs  pid {}\n", process::id());
    let shared =
        SegmentOptions::new().mode(0o640).create_new(Key::new(0x5348_4d09), 64 << 10)?.remove_on_drop();
    let (writer, reader) = (shared.attach::<AtomicU32>()?, shared.attach_read_only::<AtomicU32>()?);
    writer.store(reader.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    let _hidden = SegmentOptions::new().mode(0).create_new(Key::PRIVATE, 5000)?.remove_on_drop();
    let nameless = Segment::create(Key::PRIVATE, 4096)?;
    let _kept = nameless.attach_read_only::<()>()?;
    nameless.remove()?; // at once: it goes with the attachment
    let _set = SemaphoreSet::create_new(Key::new(0x5348_4d09), 3)?.remove_on_drop();
    ipcs()
}
