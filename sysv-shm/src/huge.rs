//! Huge pages: their sizes, and whether a segment that was just attached is made of them.

use std::fs;
use std::ptr::NonNull;

use nix::errno::Errno;

use crate::{smaps, sys};

/// The smallest huge page: of x86-64, and of any other 64-bit Linux (arm64, RISC-V).
const SMALLEST: usize = if cfg!(target_arch = "x86_64") { 2 << 20 } else { 64 << 10 };

/// Why a segment of huge pages is not attached unless asked for.
pub(crate) const WHY_NOT: &str = "it is made of huge pages, or cannot be told from one: when none is free, \
                                  touching it is SIGBUS (AttachOptions::accept_huge_pages takes that risk)";

/// Whether the segment attached at `base` may be made of huge pages, whose pool can run dry under its users.
///
/// The kernel tells this of a mapping, not of a segment. The questions are asked from the cheapest to the
/// dearest, and nearly every attachment is through after the first.
pub(crate) fn may_be(base: NonNull<u8>) -> bool {
    // A mapping of huge pages begins at a multiple of their size; any other does once in 512 times, or in 16.
    if !base.addr().get().is_multiple_of(SMALLEST) {
        return false;
    }
    // can_madv_lru_vma in mm/madvise.c: refused for huge pages, and for memory locked by mlockall(2), or
    // altogether before Linux 5.4.
    match sys::madvise_cold(base.cast()) {
        Ok(()) => false,
        Err(Errno::EINVAL) => seen_in_smaps(base.addr().get()).unwrap_or(true),
        Err(_) => true,
    }
}

/// What /proc says of the mapping at `base`; `None` when it says nothing.
fn seen_in_smaps(base: usize) -> Option<bool> {
    let text = fs::read("/proc/self/smaps").ok()?;
    let text = String::from_utf8_lossy(&text);
    let mapping = smaps::mappings(&text).find(|mapping| mapping.start == base as u64)?;
    Some(mapping.page_size? > sys::page_size() as u64)
}

/// How many huge pages of `bytes` each there are and how many are free, as far as the kernel says.
pub(crate) fn pool(bytes: usize) -> Option<(u64, u64)> {
    let of = |what| {
        let path = format!("/sys/kernel/mm/hugepages/hugepages-{}kB/{what}", bytes >> 10);
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    Some((of("nr_hugepages")?, of("free_hugepages")?))
}
