//! Memory that two processes have mapped, with nothing between us and its address.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::AtomicU64;

use crate::Failure;
use crate::memory::Head;

/// A mapping of shared memory; leaving it is a matter of who made it.
///
/// # Invariants
///
/// `base` is the page-aligned address of `len` bytes of shared memory, mapped readable and writable until
/// the drop, and of a size that nobody can lessen. Bytes before `tail` are reached as the atomics of a
/// [`Head`] alone, those behind it by copies alone, or with `words` as atomics of eight bytes alone.
#[derive(Debug)]
pub(crate) struct RawMemory {
    /// Where it begins.
    base: NonNull<c_void>,
    /// Its size.
    len: usize,
    /// Where the copies begin: behind the words, if there are any.
    tail: usize,
    /// Whether what is behind the words of the head is words too.
    words: bool,
    /// Ends the mapping: shmdt or munmap.
    leave: unsafe fn(*mut c_void, usize) -> i32,
}

impl RawMemory {
    /// Takes over a mapping.
    ///
    /// # Safety
    ///
    /// `base` and `len` are as the invariants say; `leave(base, len)` ends the mapping and can be called
    /// once.
    pub(super) unsafe fn new(
        base: *mut c_void,
        len: usize,
        leave: unsafe fn(*mut c_void, usize) -> i32,
    ) -> Result<Self, Failure> {
        // INVARIANT: the caller vouches for all of it.
        let base = NonNull::new(base).ok_or_else(|| Failure::new("mapped at address 0"))?;
        Ok(Self { base, len, tail: 0, words: false, leave })
    }

    /// Sets the words at the beginning apart; copies count from behind them.
    pub(crate) fn with_head(mut self) -> Result<Self, Failure> {
        if self.len < size_of::<Head>() {
            return Err(Failure::new("a mapping without room for the words"));
        }
        // INVARIANT: no copy has been made yet through this value, which is moved in and out.
        self.tail = size_of::<Head>();
        Ok(self)
    }

    /// Makes what is behind the head words, too; it is copied no more.
    pub(crate) fn with_words(mut self) -> Self {
        // INVARIANT: no copy has been made yet through this value, which is moved in and out.
        self.words = true;
        self
    }

    /// The words behind the head.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        assert!(self.words, "not made words");
        let count = (self.len - self.tail) / size_of::<AtomicU64>();
        // SAFETY: the tail begins in the mapping, or at its end.
        let first = unsafe { self.base.byte_add(self.tail) }.cast::<AtomicU64>();
        // SAFETY: by the invariants mapped for so many words, and reached as atomics alone, which may change
        // under us; a page-aligned base and a head of whole cache lines align them.
        unsafe { slice::from_raw_parts(first.as_ptr(), count) }
    }

    /// The words at the beginning.
    pub(crate) fn head(&self) -> &Head {
        assert!(self.tail == size_of::<Head>(), "no words were set apart");
        // SAFETY: by the invariants mapped and large enough, page-aligned; a `Head` is atomics, which may
        // change under us.
        unsafe { self.base.cast::<Head>().as_ref() }
    }

    /// `madvise(base, len, advice)` on the whole mapping.
    pub(crate) fn advise(&self, advice: i32) -> Result<(), Failure> {
        // SAFETY: by the invariants mapped; no advice that is given here takes pages or bytes away.
        match unsafe { libc::madvise(self.base.as_ptr(), self.len, advice) } {
            0 => Ok(()),
            _ => Err(Failure::last(format!("madvise(base, {}, {advice})", self.len))),
        }
    }

    /// Copies into the memory, `offset` bytes behind the words.
    #[inline]
    pub(crate) fn write(&self, offset: usize, from: &[u8]) {
        assert!(!self.words, "words are not copied");
        let room = self.len - self.tail;
        assert!(offset <= room && from.len() <= room - offset, "beyond the mapping");
        // SAFETY: `offset` lies in the mapping.
        let to = unsafe { self.base.byte_add(self.tail + offset) };
        // SAFETY: the range lies in the mapping, checked above; private memory cannot overlap it.
        unsafe { libc::memcpy(to.as_ptr(), from.as_ptr().cast(), from.len()) };
    }

    /// Copies out of the memory, `offset` bytes behind the words.
    #[inline]
    pub(crate) fn read(&self, offset: usize, into: &mut [u8]) {
        assert!(!self.words, "words are not copied");
        let room = self.len - self.tail;
        assert!(offset <= room && into.len() <= room - offset, "beyond the mapping");
        // SAFETY: `offset` lies in the mapping.
        let from = unsafe { self.base.byte_add(self.tail + offset) };
        // SAFETY: the range lies in the mapping, checked above; private memory cannot overlap it.
        unsafe { libc::memcpy(into.as_mut_ptr().cast(), from.as_ptr(), into.len()) };
    }
}

impl Drop for RawMemory {
    fn drop(&mut self) {
        // SAFETY: by the invariants this mapping is ours and is ended here, once. What it returns cannot be
        // acted on.
        unsafe { (self.leave)(self.base.as_ptr(), self.len) };
    }
}
