//! Which call of Linux gives a page of a memory file back, as a purge does, and
//! which only sounds as if it did.
//!
//! Run it: `cargo run --example fd_38_no_substitute`
//!
//! What to look for: `madvise` is advice about this process's view of the page, and the page is the file's.
//! What takes it out of the file is a hole, by either of its two calls, and both end with the first seal
//! against writing. None of them ever says afterwards that something was lost: `pin` does.

#![allow(unsafe_code)] // a raw mapping: stores into it, and madvise(2)

use std::error::Error;
use std::os::fd::AsFd;

use fd_shm::{Memfd, Seals};
use memmap2::{MmapOptions, MmapRaw};
use nix::errno::Errno;
use rustix::fs::{FallocateFlags, fallocate, fstat};
use rustix::mm::{Advice, madvise};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PAGE: usize = 4096;

/// What is called, on one page of four.
const CALLS: [(&str, Option<Advice>); 6] = [
    ("madvise(MADV_DONTNEED)", Some(Advice::LinuxDontNeed)),
    ("madvise(MADV_FREE)", Some(Advice::LinuxFree)),
    ("madvise(MADV_COLD)", Some(Advice::LinuxCold)),
    ("madvise(MADV_PAGEOUT)", Some(Advice::LinuxPageOut)),
    ("madvise(MADV_REMOVE)", Some(Advice::LinuxRemove)),
    ("fallocate(PUNCH_HOLE)", None),
];

// ANCHOR: try
/// One call, on a file of its own whose four pages are touched.
fn attempt(advice: Option<Advice>, seals: Seals) -> Result<[String; 3]> {
    let memfd = Memfd::create("pages")?;
    memfd.set_len(4 * PAGE as u64)?;
    let mapping = MmapOptions::new().len(4 * PAGE).map_raw(&memfd.as_fd())?;
    for page in 0..4 {
        let byte = mapping.as_mut_ptr().wrapping_add(page * PAGE);
        // SAFETY: the byte is mapped and in the file, which nobody else has, and
        // nothing has a reference to it.
        unsafe { byte.write_volatile(b'x') };
    }
    memfd.add_seals(seals)?;
    let done = match advice {
        Some(advice) => advise(&mapping, advice),
        None => fallocate(&memfd, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 0, PAGE as u64),
    };
    let answer = done.map_or_else(|e| format!("{:?}", Errno::from_raw(e.raw_os_error())), |()| "done".into());
    let has = fstat(&memfd)?.st_blocks / 8;
    let mut byte = [0];
    rustix::io::pread(&memfd, &mut byte, 0)?;
    let content = if byte == *b"x" { "as it was" } else { "zeros" };
    Ok([answer, format!("{has} of 4"), content.into()])
}

/// `madvise(2)` for the first page.
fn advise(mapping: &MmapRaw, advice: Advice) -> rustix::io::Result<()> {
    // SAFETY: the page is mapped, and nothing here has a reference to it.
    unsafe { madvise(mapping.as_mut_ptr().cast(), PAGE, advice) }
}
// ANCHOR_END: try

fn main() -> Result<()> {
    for (seals, when) in [(Seals::SHRINK, "The size is sealed:"), (Seals::FUTURE_WRITE, "Writing is sealed:")]
    {
        println!("{when}\n");
        println!("  called for one page       answer    pages with memory   the page holds");
        for (call, advice) in CALLS {
            let [answer, pages, content] = attempt(advice, seals)?;
            println!("  {call:26}{answer:10}{pages:20}{content}");
        }
        if seals == Seals::SHRINK {
            println!();
        }
    }
    Ok(())
}
