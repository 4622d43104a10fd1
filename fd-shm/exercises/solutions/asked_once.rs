//! Solution: a peer that changes its mind.

use fd_shm::Result;

/// The longest message that was agreed on.
pub(crate) const LONGEST: usize = 64;

/// The peer's message, or nothing when it is none: too long, or with a first byte
/// that is not the sum of the others.
///
/// `len` loads the length that the peer has stored in the region, and `copy_out` copies bytes out of the
/// region. The peer writes both whenever it likes.
pub(crate) fn message(
    len: impl Fn() -> usize,
    copy_out: impl Fn(&mut [u8]) -> Result<()>,
) -> Result<Option<Vec<u8>>> {
    // One load, one copy. What is checked from here on is ours, and nobody else can change it.
    let len = len();
    if len > LONGEST {
        return Ok(None);
    }
    let mut copy = vec![0; len];
    copy_out(&mut copy)?;
    let is_whole = copy.split_first().is_some_and(|(sum, rest)| *sum == sum_of(rest));
    Ok(is_whole.then_some(copy))
}

/// The sum of all bytes, without what is carried.
pub(crate) fn sum_of(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}
