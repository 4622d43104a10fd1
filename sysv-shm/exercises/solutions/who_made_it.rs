//! Solution: who made it?

use sysv_shm::{Key, Result, Segment};

/// Finds the segment that has `key`, or makes it, and says whether this very call made it.
pub(crate) fn create_or_find(key: Key, size: usize) -> Result<(Segment, bool)> {
    loop {
        match Segment::create_new(key, size) {
            Err(error) if error.is_already_exists() => {}
            made => return made.map(|segment| (segment, true)),
        }
        match Segment::open(key, size) {
            // Removed between the two calls: the key is free, and this may be the call that takes it.
            Err(error) if error.is_not_found() || error.is_removed() => {}
            found => return found.map(|segment| (segment, false)),
        }
    }
}
