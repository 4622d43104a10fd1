//! A segment after its removal: without a name, and alive.
//!
//! Run it: `cargo run --example sysv_03_life_after_removal`
//!
//! What to look for: the key and the id part company. Removal takes the key at once; the id, and the memory,
//! stay until the last mapping goes. Meanwhile the key can lead to another segment.

use std::error::Error;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use sysv_shm::{Attachment, Key, Segment};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const KEY: Key = Key::new(0x5348_4d03);

// ANCHOR: life
fn main() -> Result<()> {
    println!("                             the key leads to   the id leads to    mappings   it reads");
    let owned = Segment::create_new(KEY, 4096)?.remove_on_drop();
    let old = *owned; // a handle beside the owner, for what comes after the removal
    let first = old.attach::<AtomicU32>()?;
    first.store(42, Ordering::Relaxed);
    show("made and attached", &old, Some(&first));

    owned.remove()?;
    show("removed", &old, Some(&first));

    let second = Segment::from_id(old.id())?.attach::<AtomicU32>()?;
    show("attached again, by its id", &old, Some(&second));

    let new = Segment::create_new(KEY, 4096)?.remove_on_drop();
    let newer = new.attach::<AtomicU32>()?;
    newer.store(43, Ordering::Relaxed);
    show("a new one under the key", &old, Some(&second));

    println!("\nTwo memories of one name, all of it mapped by this process:");
    describe("old", &old, &second)?;
    describe("new", &new, &newer)?;
    println!();

    drop((first, second));
    show("the old one's mappings gone", &old, None);
    Ok(())
}
// ANCHOR_END: life

// ANCHOR: show
/// Where the key and the id of the old segment lead now, and what is in its memory.
fn show(event: &str, old: &Segment, memory: Option<&Attachment<AtomicU32>>) {
    let by_key = match Segment::open(KEY, 0) {
        Ok(found) if found.id() == old.id() => "the old segment".into(),
        Ok(_) => "the new segment".into(),
        Err(error) => errno(&error),
    };
    let (by_id, mappings) = match old.stat() {
        Ok(stat) => ("the old segment".into(), stat.attached),
        Err(error) => (errno(&error), 0),
    };
    let reads = memory.map_or("-".into(), |memory| memory.load(Ordering::Relaxed).to_string());
    println!("{event:<28} {by_key:<18} {by_id:<18} {mappings:>6} {reads:>10}");
}
// ANCHOR_END: show

fn errno(error: &sysv_shm::Error) -> String {
    error.raw_os_error().map_or("refused".into(), |errno| format!("{:?}", Errno::from_raw(errno)))
}

// ANCHOR: describe
/// What the kernel says of the segment, and the lines of our own maps that are mappings of it: those whose
/// inode is its id.
fn describe(which: &str, segment: &Segment, memory: &AtomicU32) -> Result<()> {
    let stat = segment.stat()?;
    let holds = memory.load(Ordering::Relaxed);
    println!("  {which}  holds {holds}, key {}, removed: {}", stat.key, stat.removed);
    for line in fs::read_to_string("/proc/self/maps")?.lines() {
        // address perms offset dev inode path
        let fields: Vec<&str> = line.split_whitespace().collect();
        if fields.get(4) == Some(&segment.id().to_string().as_str()) && line.contains("/SYSV") {
            println!("       {}", fields.join(" "));
        }
    }
    Ok(())
}
// ANCHOR_END: describe
