//! Lengths and offsets from a peer: believed, they are SIGBUS; asked of the
//! file and checked, they are errors.
//!
//! Run it: `cargo run --example fd_06_out_of_range`
//!
//! What to look for: the seal is there and does not help a reader that believes the message. `mmap` maps more
//! than the file holds without a word; the pages behind its end exist only as SIGBUS.

#![allow(unsafe_code)] // the plain reader's look at memory that the file does not have

use std::error::Error;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use fd_shm::{Region, scm_rights};
use memmap2::MmapOptions;
use rustix::process::{Resource, Rlimit, setrlimit};

#[path = "support/other.rs"]
#[allow(dead_code)] // one file for several examples; these two need no signs to go on
mod other;
use other::{role, start, tell};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What the peer says about its region: in the message, and in the region's first word.
const CLAIM: u32 = 1 << 20;

// ANCHOR: plain
/// Maps as much as the message says, and looks where the region says.
fn plain_reader() -> Result<()> {
    let socket = other::socket()?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?; // it dies on purpose
    let mut claim = [0; 4];
    let [memfd] = scm_rights::receive(&socket, &mut claim, 1)?.into_exactly()?;
    let len = usize::try_from(u32::from_ne_bytes(claim))?;
    let mapping = MmapOptions::new().len(len).map_raw(&memfd)?;
    tell("reader", format!("mapped {len} bytes, as the message says"));
    let last = mapping.as_mut_ptr().wrapping_add(len - 1);
    // SAFETY: in the mapping, and atomic. That the file has such a byte is what nobody has asked.
    let last = unsafe { AtomicU8::from_ptr(last) };
    tell("reader", format!("the last byte is {}", last.load(Ordering::Relaxed)));
    Ok(())
}
// ANCHOR_END: plain

// ANCHOR: checked
/// Asks the file for its size, and lets each range be checked.
fn checked_reader() -> Result<()> {
    let socket = other::socket()?;
    let [descriptor] = scm_rights::receive(&socket, &mut [0; 4], 1)?.into_exactly()?;
    let region = Region::from_fd(descriptor)?;
    let mapping = region.map::<AtomicU32>()?;
    tell(
        "reader",
        format!(
            "mapped {} bytes, as the file says, and {} of them are tail",
            mapping.len(),
            mapping.tail_len()
        ),
    );

    let claimed = usize::try_from(mapping.load(Ordering::Relaxed))?;
    let mut bytes = [0; 16];
    for offset in [claimed, mapping.tail_len() - 15, usize::MAX - 7] {
        tell("reader", mapping.copy_out(offset, &mut bytes).err().ok_or("copied what is not there")?);
    }
    mapping.copy_out(mapping.tail_len() - 16, &mut bytes)?;
    tell("reader", "the last 16 bytes of the tail: copied");
    tell("reader", region.map::<[AtomicU32; 2000]>().err().ok_or("a head that does not fit")?);
    Ok(())
}
// ANCHOR_END: checked

fn peer() -> Result<()> {
    println!("A peer sends a sealed region of 4096 bytes, and says that it has {CLAIM}.");
    let region = Region::create("claims", 4096)?;
    region.map::<AtomicU32>()?.store(CLAIM, Ordering::Relaxed);
    for (heading, name) in [("To a reader that believes it", "plain"), ("To a reader that asks", "checked")] {
        println!("\n{heading}:");
        let reader = start(role(name))?;
        scm_rights::send(&reader.socket, &CLAIM.to_ne_bytes(), &[region.as_fd()])?;
        tell("reader", reader.end()?);
    }
    Ok(())
}

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => peer(),
        Some("plain") => plain_reader(),
        Some("checked") => checked_reader(),
        Some(role) => Err(format!("no role {role}: plain, checked, or nothing for all").into()),
    }
}
