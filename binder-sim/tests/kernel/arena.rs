//! Memory for payloads in which nothing can be read behind the end of a block.

#![allow(unsafe_code)]

use binder_sim::wire::Arena;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect};
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

/// Room for each block: more than a mapping of the device takes.
const ROOM: usize = 8 << 20;

/// How many blocks there are: with 32 bits, so few that eleven threads have room for theirs.
const BLOCKS: usize = if cfg!(target_pointer_width = "64") { 64 } else { 24 };

/// A page, which is what can be kept from being read.
const PAGE: usize = 4096;

/// Blocks, each with a page behind it that nobody can read.
///
/// Memory is only reserved: pages come when they are written.
#[derive(Debug)]
pub(crate) struct Guarded {
    /// Where the first block begins.
    base: NonNull<c_void>,
    /// How many blocks hold something.
    used: usize,
    /// For each block, how many bytes before its end are readable.
    readable: [usize; BLOCKS],
}

// SAFETY: the memory belongs to this value alone.
unsafe impl Send for Guarded {}

impl Guarded {
    /// All blocks, empty.
    pub(crate) fn new() -> Guarded {
        let length = NonZeroUsize::new(ROOM * BLOCKS).expect("not zero");
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: the kernel chooses where; no other mapping is touched.
        let base = unsafe { mmap_anonymous(None, length, ProtFlags::PROT_NONE, flags) }.expect("memory");
        Guarded { base, used: 0, readable: [0; BLOCKS] }
    }

    /// Forgets what the blocks hold.
    pub(crate) fn clear(&mut self) {
        self.used = 0;
    }
}

impl Guarded {
    /// What stands in a block by now.
    pub(crate) fn look(&self, address: u64, length: usize) -> Vec<u8> {
        let start = usize::try_from(address).expect("an address");
        let start: *const u8 = std::ptr::with_exposed_provenance(start);
        let mut bytes = vec![0; length];
        // SAFETY: `put` made these bytes, and no call that could write them is under way.
        unsafe { start.copy_to_nonoverlapping(bytes.as_mut_ptr(), length) };
        bytes
    }
}

impl Arena for Guarded {
    fn put(&mut self, bytes: &[u8]) -> u64 {
        assert!(self.used < BLOCKS && bytes.len() <= ROOM - PAGE, "a script with more memory than there is");
        // The block ends where the page that nobody can read begins.
        let end = (self.used + 1) * ROOM - PAGE;
        let size = bytes.len().next_multiple_of(PAGE);
        if self.readable[self.used] < size {
            // SAFETY: within the reservation.
            let start = unsafe { self.base.byte_add(end - size) };
            // SAFETY: these pages are our own, and nothing else lies in them.
            unsafe { mprotect(start, size, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE) }
                .expect("own pages");
            self.readable[self.used] = size;
        }
        // SAFETY: within the reservation.
        let start = unsafe { self.base.byte_add(end - bytes.len()) };
        // SAFETY: made writable above, and only the kernel uses it, while a call of ours is under way.
        unsafe { start.cast::<u8>().copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        self.used += 1;
        start.as_ptr().expose_provenance() as u64
    }
}
