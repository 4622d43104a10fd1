//! A fixed region in this process's address space: a typed head of atomics, and a tail reached by copies.
//!
//! ```text
//!  0              size of T         rounded up to 64                                   len
//!  +--------------------------------+--------------------------------------------------+
//!  | T: atomics, one size each      | tail: copy_in, copy_out                          |
//!  +--------------------------------+--------------------------------------------------+
//! ```
//!
//! The layout is chosen once, by `T`, when the mapping is made. So a word of the head is reachable at one
//! atomic size only, and no copy ever overlaps it: racing accesses of different sizes to one byte would be
//! undefined. Where `T` ends with a slice of words, it takes all that there is, and next to nothing is left
//! for the tail.

#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use memmap2::{MmapOptions, MmapRaw};
use nix::errno::Errno;

use crate::copy;
use crate::error::{Error, Kind, Meanings, Result};
use crate::fixed::FixedFd;
use crate::head::Head;
use crate::seals::{self, Seals};

/// The head ends, and the tail begins, at a multiple of this: a cache line of today's processors.
const LINE: usize = 64;

/// What the kernel means when it does not map.
const MMAP: Meanings = &[
    (
        Errno::EPERM,
        Kind::Sealed,
        "sealed against writing (F_SEAL_WRITE or F_SEAL_FUTURE_WRITE): map it read-only",
    ),
    (Errno::EACCES, Kind::PermissionDenied, "the descriptor is open for reading only: map it read-only"),
    (Errno::ENOMEM, Kind::Limit, "no address space, or too many mappings (vm.max_map_count), for this size"),
    (Errno::EAGAIN, Kind::Limit, "locked memory would exceed RLIMIT_MEMLOCK"),
];

/// The pages of a region, and where its tail begins.
///
/// # Invariants
///
/// * `raw` maps a region that can never shrink, or a part of one, so all of `raw.len()` bytes can be touched
///   for as long as this lives, by the invariants of [`FixedFd`].
/// * The `T` that it was made for is inside at the beginning, with `T::size_in(raw.len())` bytes, which are
///   reached as that `T` alone.
/// * `tail` is at most `raw.len()`, and at or after the end of that `T`.
struct Pages {
    /// Unmaps when dropped.
    raw: MmapRaw,
    /// Where the tail begins.
    tail: usize,
}

impl Pages {
    /// Maps `region` by `map`, with room for a `T` at its head.
    fn new<T: Head + ?Sized>(
        region: &FixedFd,
        map: impl FnOnce(&MmapOptions) -> io::Result<MmapRaw>,
        prot: &str,
    ) -> Result<Self> {
        Self::of_part::<T>(region.as_fd(), 0, region.len(), map, prot)
    }

    /// Maps `len` bytes from `offset` on, both inside a region that cannot shrink, and `offset` on a page.
    fn of_part<T: Head + ?Sized>(
        fd: BorrowedFd<'_>,
        offset: usize,
        len: usize,
        map: impl FnOnce(&MmapOptions) -> io::Result<MmapRaw>,
        prot: &str,
    ) -> Result<Self> {
        // A mapping begins on a page, so this is what makes the head aligned. Checked when `T` is compiled.
        const { assert!(T::ALIGN <= LINE) };
        let call = || match (fd.as_raw_fd(), offset) {
            (fd, 0) => format!("mmap({len}, {prot}, MAP_SHARED, {fd})"),
            (fd, offset) => format!("mmap({len}, {prot}, MAP_SHARED, {fd}, {offset})"),
        };
        if T::LEAST > len {
            let text = format!("the region is too small: its head needs {} bytes", T::LEAST);
            return Err(Error::refused(call(), Kind::TooSmall, text));
        }
        let raw =
            map(MmapOptions::new().offset(offset as u64).len(len)).map_err(|e| match e.raw_os_error() {
                Some(errno) => Error::system(call(), errno, MMAP),
                None => Error::refused(call(), Kind::InvalidInput, e.to_string()),
            })?;
        // INVARIANT: `region` cannot shrink, the head fits, and rounding up keeps the tail behind it.
        Ok(Self { raw, tail: T::size_in(len).next_multiple_of(LINE).min(len) })
    }

    /// The number of bytes in the tail.
    #[inline]
    fn tail_len(&self) -> usize {
        // The invariant on `tail` keeps this from wrapping.
        self.raw.len() - self.tail
    }

    /// The address of `len` bytes at `offset` of the tail, if they are all in it.
    #[inline]
    fn tail_at(&self, call: &str, offset: usize, len: usize) -> Result<*mut u8> {
        let tail_len = self.tail_len();
        if offset > tail_len || len > tail_len - offset {
            return Err(past_the_end(call, offset, len, tail_len));
        }
        // `offset` is in the tail, so the sum is in the mapping, and cannot wrap.
        Ok(self.raw.as_mut_ptr().wrapping_add(self.tail + offset))
    }

    /// Copies out of the tail.
    #[inline]
    fn copy_out(&self, offset: usize, to: &mut [u8]) -> Result<()> {
        let from = self.tail_at("copy_out", offset, to.len())?;
        // SAFETY: `tail_at` found the range mapped and inside the tail, which is reached through copies
        // alone.
        unsafe { copy::from_shared(to, from) };
        Ok(())
    }
}

/// The error of a range that is not in the tail; out of line, so that a copy costs little more than the
/// copying.
#[cold]
fn past_the_end(call: &str, offset: usize, len: usize, tail_len: usize) -> Error {
    let text = format!("past the end, the tail has {tail_len} bytes");
    Error::refused(format!("{call}({offset}, {len} bytes)"), Kind::OutOfBounds, text)
}

/// All of a region, mapped for reading and writing: `T` at its beginning, the rest by copies.
///
/// Other processes read and write the same bytes at the same time, so nothing in here is ever a `&[u8]`: the
/// head is made of atomics ([`Head`]), and the tail is copied in and out. Dereferences to the head. With a
/// slice of words as its head, all of it is read and written in place. The mapping outlives the descriptor
/// that it was made from; dropping it unmaps.
///
/// Two mappings of one region, in one process or in several, may look at it with different `T`. Nothing
/// breaks then, since they have different addresses and so are different memory to the language, as another
/// process's are; but the values mean nothing: the layout is part of what both sides have agreed on.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// let region = fd_shm::Region::create("frames", 4096)?;
/// let frames = region.map::<AtomicU64>()?;
/// frames.copy_in(0, b"first frame")?;
/// frames.store(1, Ordering::Release);
///
/// let mut seen = [0; 11];
/// frames.copy_out(0, &mut seen)?;
/// assert_eq!((&seen, frames.len(), frames.tail_len()), (b"first frame", 4096, 4032));
/// # Ok::<(), fd_shm::Error>(())
/// ```
///
/// Plain bytes are not to be had:
///
/// ```compile_fail,E0308
/// let mapping = fd_shm::Region::create("frames", 4096)?.map::<()>()?;
/// let bytes: &[u8] = &mapping;
/// # Ok::<(), fd_shm::Error>(())
/// ```
///
/// # References
///
/// `mmap(2)`.
pub struct Mapping<T: Head + ?Sized = ()> {
    /// The pages, writable.
    pages: Pages,
    /// The head is seen as a `&T`.
    head: PhantomData<&'static T>,
}

impl<T: Head + ?Sized> Mapping<T> {
    /// Maps all of `region`.
    pub(crate) fn new(region: &FixedFd) -> Result<Self> {
        let fd = region.as_fd().as_raw_fd();
        let pages = Pages::new::<T>(region, |options| options.map_raw(fd), "PROT_READ | PROT_WRITE")?;
        Ok(Self { pages, head: PhantomData })
    }

    /// Maps a part of a region for this crate's own use: `len` bytes from `offset` on, both within what
    /// cannot shrink, and `offset` on a page.
    pub(crate) fn of_part(fd: BorrowedFd<'_>, offset: usize, len: usize) -> Result<Self> {
        let map = |options: &MmapOptions| options.map_raw(fd.as_raw_fd());
        let pages = Pages::of_part::<T>(fd, offset, len, map, "PROT_READ | PROT_WRITE")?;
        Ok(Self { pages, head: PhantomData })
    }

    /// The number of bytes of the region: its real length, not rounded up to pages.
    #[allow(clippy::len_without_is_empty)] // never empty: an invariant of `FixedFd`
    #[must_use]
    pub fn len(&self) -> usize {
        self.pages.raw.len()
    }

    /// The number of bytes after the head: what [`copy_in`](Self::copy_in) and [`copy_out`](Self::copy_out)
    /// reach.
    #[must_use]
    pub fn tail_len(&self) -> usize {
        self.pages.tail_len()
    }

    /// Copies `from` into the tail at `offset`, at memcpy speed. Others may see the bytes arrive in any
    /// order: tell them that they are there with a release store in the head.
    ///
    /// # Errors
    ///
    /// [`is_out_of_bounds`](Error::is_out_of_bounds) when the range reaches past the end; nothing is copied
    /// then.
    #[inline]
    pub fn copy_in(&self, offset: usize, from: &[u8]) -> Result<()> {
        let to = self.pages.tail_at("copy_in", offset, from.len())?;
        // SAFETY: `tail_at` found the range mapped and inside the tail, which is reached through copies
        // alone; these pages are writable.
        unsafe { copy::into_shared(to, from) };
        Ok(())
    }

    /// Copies the tail at `offset` into `to`, at memcpy speed. Bytes that somebody writes meanwhile may come
    /// out torn: look at the copy, never at the region, when what it says matters.
    ///
    /// # Errors
    ///
    /// [`is_out_of_bounds`](Error::is_out_of_bounds) when the range reaches past the end; nothing is copied
    /// then.
    #[inline]
    pub fn copy_out(&self, offset: usize, to: &mut [u8]) -> Result<()> {
        self.pages.copy_out(offset, to)
    }
}

impl<T: Head + ?Sized> Deref for Mapping<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the invariants of `Pages` keep the head mapped and inside, a page is aligned for any `T`
        // (checked in `Pages::of_part`), and by `Placed` it consists of what is `Shareable`: any bytes are
        // valid, and others may write them at any moment.
        unsafe { &*T::at(self.pages.raw.as_mut_ptr(), self.pages.raw.len()) }
    }
}

impl<T: Head + ?Sized> fmt::Debug for Mapping<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping").field("len", &self.len()).field("tail_len", &self.tail_len()).finish()
    }
}

/// `mmap(PROT_READ, MAP_SHARED)`, or what comes to the same.
fn map_for_loads(options: &MmapOptions, fd: BorrowedFd<'_>) -> io::Result<MmapRaw> {
    shared_or_private(options.map_raw_read_only(fd.as_raw_fd()), options, fd)
}

/// The shared mapping; or, where a seal against writing has forbidden it, a private one.
///
/// Linux 6.7 and later, and the older lines since 2025, forbid no such thing. Before that a mapping for loads counts
/// as one for stores if the descriptor can write, since mprotect could make it one. A file that is sealed
/// against writing has none of those, and does not change any more: so a private mapping, in which a load makes
/// no copy, is of the same pages and has the same bytes.
fn shared_or_private(
    shared: io::Result<MmapRaw>,
    options: &MmapOptions,
    fd: BorrowedFd<'_>,
) -> io::Result<MmapRaw> {
    let is_sealed = || seals::get(fd).is_ok_and(|seals| seals.contains(Seals::WRITE));
    match shared {
        Err(refused) if refused.raw_os_error() == Some(Errno::EPERM as i32) && is_sealed() => {
            // SAFETY: nobody changes the file while it is mapped: it is sealed against writing, which is for
            // ever, and what is mapped here cannot shrink.
            unsafe { options.map_copy_read_only(fd.as_raw_fd()) }.map(MmapRaw::from)
        }
        mapped => mapped,
    }
}

/// All of a region, mapped for loads only: the view of `T` at its beginning, the rest by copies out.
///
/// A type of its own, since a store to pages without PROT_WRITE is SIGSEGV: what cannot be written has no
/// method that writes. The contents still change under it.
///
/// # Examples
///
/// ```
/// let region = fd_shm::Region::create("read", 4096)?;
/// region.map::<()>()?.copy_in(7, b"seen")?;
/// let mut seen = [0; 4];
/// region.map_read_only::<()>()?.copy_out(7, &mut seen)?;
/// assert_eq!(&seen, b"seen");
/// # Ok::<(), fd_shm::Error>(())
/// ```
///
/// ```compile_fail,E0599
/// let region = fd_shm::Region::create("read", 4096)?;
/// region.map_read_only::<()>()?.copy_in(0, b"no")?;
/// # Ok::<(), fd_shm::Error>(())
/// ```
pub struct ReadMapping<T: Head + ?Sized = ()> {
    /// The pages, not writable.
    pages: Pages,
    /// The head is seen as a `&T::View`.
    head: PhantomData<&'static T>,
}

impl<T: Head + ?Sized> ReadMapping<T> {
    /// Maps all of `region`.
    pub(crate) fn new(region: &FixedFd) -> Result<Self> {
        let pages = Pages::new::<T>(region, |options| map_for_loads(options, region.as_fd()), "PROT_READ")?;
        Ok(Self { pages, head: PhantomData })
    }

    /// Maps a part of a region, as `Mapping::of_part` does.
    pub(crate) fn of_part(fd: BorrowedFd<'_>, offset: usize, len: usize) -> Result<Self> {
        let map = |options: &MmapOptions| map_for_loads(options, fd);
        Ok(Self { pages: Pages::of_part::<T>(fd, offset, len, map, "PROT_READ")?, head: PhantomData })
    }

    /// The number of bytes of the region: its real length, not rounded up to pages.
    #[allow(clippy::len_without_is_empty)] // never empty: an invariant of `FixedFd`
    #[must_use]
    pub fn len(&self) -> usize {
        self.pages.raw.len()
    }

    /// The number of bytes after the head: what [`copy_out`](Self::copy_out) reaches.
    #[must_use]
    pub fn tail_len(&self) -> usize {
        self.pages.tail_len()
    }

    /// Copies the tail at `offset` into `to`, as [`Mapping::copy_out`] does.
    ///
    /// # Errors
    ///
    /// [`is_out_of_bounds`](Error::is_out_of_bounds) when the range reaches past the end; nothing is copied
    /// then.
    #[inline]
    pub fn copy_out(&self, offset: usize, to: &mut [u8]) -> Result<()> {
        self.pages.copy_out(offset, to)
    }
}

impl<T: Head + ?Sized> Deref for ReadMapping<T> {
    type Target = T::View;

    #[inline]
    fn deref(&self) -> &T::View {
        // SAFETY: as for `Mapping`; a `T::View` has the layout of `T` and only loads, which these pages
        // allow.
        unsafe { &*T::view_at(self.pages.raw.as_ptr(), self.pages.raw.len()) }
    }
}

impl<T: Head + ?Sized> fmt::Debug for ReadMapping<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadMapping").field("len", &self.len()).field("tail_len", &self.tail_len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Region;

    #[test]
    fn what_is_sealed_against_writing_is_read_where_the_kernel_shares_it_with_no_reader() {
        let region = Region::create("read", 4096).expect("a region");
        region.map::<()>().expect("mapped").copy_in(0, b"sealed").expect("in the tail");
        let refused = || Err(io::Error::from_raw_os_error(Errno::EPERM as i32));
        let map = |options: &MmapOptions| shared_or_private(refused(), options, region.as_fd());
        let mapped = || Pages::of_part::<()>(region.as_fd(), 0, region.len(), map, "PROT_READ");

        let error = mapped().err().expect("it can still be written");
        assert!(error.is_sealed(), "{error}");
        seals::add(&region, Seals::WRITE).expect("nobody has it mapped for writing");
        let mut seen = [0; 6];
        mapped().expect("a private mapping").copy_out(0, &mut seen).expect("in the tail");
        assert_eq!(&seen, b"sealed");
    }
}
