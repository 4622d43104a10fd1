//! Exercise: memory that cannot be left behind.

use std::sync::atomic::AtomicU32;

use sysv_shm::{Attachment, Key, Result, Segment};

/// At least 64 words of memory, for this process and the children that it forks.
///
/// Once this has returned, nothing is left when they have ended, however they end; and nothing when it fails.
pub(crate) fn scratch(size: usize) -> Result<Attachment<[AtomicU32; 64]>> {
    // HOLE: there is a way out of here that leaves a segment. Close it, and take this line out.
    let segment = Segment::create(Key::PRIVATE, size)?;
    let memory = segment.attach()?;
    segment.remove()?;
    Ok(memory)
}
