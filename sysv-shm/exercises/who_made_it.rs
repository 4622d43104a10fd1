//! Exercise: who made it?

use sysv_shm::{Key, Result, Segment};

/// Finds the segment that has `key`, or makes it, and says whether this very call made it.
///
/// Whoever made it has to fill it. Of all callers, exactly one is told `true` for each segment. Somebody may
/// remove the segment at any moment, and that is no reason to fail.
pub(crate) fn create_or_find(key: Key, size: usize) -> Result<(Segment, bool)> {
    // HOLE: the kernel keeps only the process that made it. Answer for the call, and take this line out.
    let segment = Segment::create(key, size)?;
    let made = segment.stat()?.creator_pid == std::process::id();
    Ok((segment, made))
}
