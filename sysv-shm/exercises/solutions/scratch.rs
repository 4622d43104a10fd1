//! Solution: memory that cannot be left behind.

use std::sync::atomic::AtomicU32;

use sysv_shm::{Attachment, Key, Result, Segment};

/// At least 64 words of memory, for this process and the children that it forks.
pub(crate) fn scratch(size: usize) -> Result<Attachment<[AtomicU32; 64]>> {
    // The owner is dropped on every way out, and removes the segment: attached or not.
    let owned = Segment::create(Key::PRIVATE, size)?.remove_on_drop();
    owned.attach()
}
