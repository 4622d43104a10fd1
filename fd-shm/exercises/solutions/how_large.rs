//! Solution: how large is it, for ever?

use fd_shm::{Result, Seals};

/// The number of bytes that this file will always have at least; nothing when its holders can still cut it.
pub(crate) fn how_large(
    seals: impl Fn() -> Result<Seals>,
    len: impl Fn() -> Result<u64>,
) -> Result<Option<u64>> {
    // A seal that was seen stays, so the size that is asked for afterwards can only grow.
    if !seals()?.contains(Seals::SHRINK) {
        return Ok(None);
    }
    len().map(Some)
}
