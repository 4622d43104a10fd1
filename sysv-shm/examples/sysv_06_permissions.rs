//! What a segment's mode bits let one do, asked of the kernel, bit by bit.
//!
//! Run it: `cargo run --example sysv_06_permissions`
//!
//! What to look for: who asks for nothing gets the id of any segment; who asks with `IPC_EXCL`, or for too
//! many bytes, learns that the key is taken before anybody looks at the mode; and the owner's digit is the
//! only one that counts for the owner.
//!
//! The program asks as the owner of its segments, without the capability that opens them all to root. So root
//! and everybody else see the same.

use std::error::Error;
use std::sync::atomic::AtomicU32;

use nix::errno::Errno;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use sysv_shm::{Key, OwnedSegment, Segment, SegmentOptions};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const KEY: Key = Key::new(0x5348_4d06);
const SIZE: usize = 4096;

// ANCHOR: table
fn main() -> Result<()> {
    give_up_ipc_owner()?;
    println!("        shmget, which asks for        shmat               shmctl");
    println!("mode    nothing   reading   both      reading   both      IPC_STAT");
    for mode in [0o600, 0o400, 0o200, 0o066, 0o000] {
        let segment = with_mode(mode)?;
        let get = |bits| outcome(&SegmentOptions::new().mode(bits).open(KEY, 0));
        let (nothing, reading, both) = (get(0), get(0o400), get(0o600));
        let look = outcome(&segment.attach_read_only::<AtomicU32>());
        let write = outcome(&segment.attach::<AtomicU32>());
        let stat = outcome(&segment.stat());
        println!("0{mode:03o}    {nothing:<9} {reading:<9} {both:<9} {look:<9} {write:<9} {stat}");
        segment.remove()?; // the right of its owner, whatever the mode says
    }
    println!("\n0066  lets everybody in but its owner: the first class that one belongs to decides.");
    println!("0000  is to its owner what 0600 is to a stranger: the id for the asking, and no more.");
    order()
}
// ANCHOR_END: table

// ANCHOR: order
/// Three refusals of a segment that grants nothing, and which of the reasons the kernel finds first.
fn order() -> Result<()> {
    let segment = with_mode(0o000)?;
    println!("\nA segment of {SIZE} bytes that grants nothing. Asked for");
    let tell = |what, result: sysv_shm::Result<_>| println!("  {what:<36} {}", outcome::<Segment>(&result));
    tell("a new segment under its key", Segment::create_new(KEY, SIZE));
    tell("one more byte than it has", Segment::open(KEY, SIZE + 1));
    tell("the right to read", Segment::open(KEY, SIZE));
    println!("The first two are said to anybody: the key is taken, and so large is its segment.");
    Ok(segment.remove()?)
}
// ANCHOR_END: order

/// A segment under the key, of this mode; removed at the latest when dropped.
fn with_mode(mode: u32) -> Result<OwnedSegment> {
    Ok(SegmentOptions::new().mode(mode).create_new(KEY, SIZE)?.remove_on_drop())
}

/// `ok`, or the errno.
fn outcome<T>(result: &sysv_shm::Result<T>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(error) => error.raw_os_error().map_or_else(|| error.to_string(), name),
    }
}

fn name(errno: i32) -> String {
    format!("{:?}", Errno::from_raw(errno))
}

// ANCHOR: capability
/// `CAP_IPC_OWNER` passes all mode bits. Root has it; without it, root is the owner of its segments as
/// anybody else is.
fn give_up_ipc_owner() -> Result<()> {
    let mut ours = capabilities(None)?;
    ours.effective.remove(CapabilitySet::IPC_OWNER);
    Ok(set_capabilities(None, ours)?)
}
// ANCHOR_END: capability
