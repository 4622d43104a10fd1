//! What is written and read: bytes that are different in each place, and their sum, so that nothing can be
//! skipped.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Failure;

/// A region is read in pieces of this size: large enough for memcpy, small enough to be summed while still
/// in the cache.
const PIECE: usize = 16 << 10;

/// Bytes to be written: a pattern that depends on the place.
pub(crate) fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at.wrapping_mul(31) ^ (at >> 8)).to_le_bytes()[0]).collect()
}

/// Puts a number into the first eight bytes, so that no message is like the one before it.
pub(crate) fn stamp(message: &mut [u8], number: u64) {
    if let Some(first) = message.first_chunk_mut() {
        *first = number.to_ne_bytes();
    }
}

/// The sum of all bytes, eight at a time; what is left over at the end counts as a number with zeros.
///
/// Never inlined: all subjects run the same loop, at the same address. Compiled into each of them, it comes to
/// lie across the end of a cache line in some, where a mebibyte takes 10 us longer to sum.
#[inline(never)]
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    words.iter().chain([&last]).fold(0, |sum, word| sum.wrapping_add(u64::from_ne_bytes(*word)))
}

/// The sum of `size` bytes which `read(offset, piece)` brings piece by piece into private memory.
pub(crate) fn sum_pieces(
    size: usize,
    buffer: &mut [u8; PIECE],
    mut read: impl FnMut(usize, &mut [u8]) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let mut total = 0_u64;
    let mut offset = 0;
    while offset < size {
        let len = PIECE.min(size - offset);
        let piece = &mut buffer[..len];
        read(offset, piece)?;
        total = total.wrapping_add(sum(piece));
        offset += len;
    }
    Ok(total)
}

/// The sum of words that lie in memory which others may write, each of them loaded once.
///
/// The compiler does not join loads of atomics into wider ones, but it does let the additions run side by
/// side: from a cache that is as fast as the sum of plain words. Never inlined, as [`sum`].
#[inline(never)]
pub(crate) fn sum_words(words: &[AtomicU64]) -> u64 {
    words.iter().fold(0, |sum, word| sum.wrapping_add(word.load(Ordering::Relaxed)))
}

/// A place for pieces.
///
/// It begins on a page, as the mappings do from which it is filled. From the allocator every subject would
/// get another offset, and memcpy is not equally fast at all of them.
#[repr(C, align(4096))]
pub(crate) struct Buffer([u8; PIECE]);

impl Deref for Buffer {
    type Target = [u8; PIECE];

    fn deref(&self) -> &[u8; PIECE] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8; PIECE] {
        &mut self.0
    }
}

/// A new place for pieces.
pub(crate) fn buffer() -> Box<Buffer> {
    Box::new(Buffer([0; PIECE]))
}

/// An error unless the other side has read what was written.
pub(crate) fn expect_sum(found: u64, written: u64) -> Result<(), Failure> {
    if found == written {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the other process read bytes that sum up to {found:#x} instead of {written:#x}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_sum_up_to_the_whole() {
        for size in [0, 1, 8, 64, PIECE - 1, PIECE, PIECE + 9, 3 * PIECE] {
            let bytes = pattern(size);
            let pieces = sum_pieces(size, &mut buffer(), |offset, piece| {
                piece.copy_from_slice(&bytes[offset..offset + piece.len()]);
                Ok(())
            });
            assert_eq!(pieces.expect("summed"), sum(&bytes), "{size}");
        }
    }

    #[test]
    fn words_sum_up_to_their_bytes() {
        for count in [0, 1, 7, 8, 9, 16, 100] {
            let bytes = pattern(8 * count);
            let words: Vec<_> =
                bytes.as_chunks().0.iter().map(|&word| AtomicU64::new(u64::from_ne_bytes(word))).collect();
            assert_eq!(sum_words(&words), sum(&bytes), "{count} words");
        }
    }

    #[test]
    fn a_stamp_changes_the_sum_by_the_difference_of_the_numbers() {
        let mut message = pattern(64);
        stamp(&mut message, 0);
        let base = sum(&message);
        stamp(&mut message, 7);
        assert_eq!(sum(&message), base.wrapping_add(7));
    }
}
