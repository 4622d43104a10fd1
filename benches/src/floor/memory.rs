//! Memory that two processes have mapped, with nothing between us and its address.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr::NonNull;

use crate::Failure;
use crate::memory::Head;

/// A mapping of shared memory; leaving it is a matter of who made it.
///
/// # Invariants
///
/// `base` is the page-aligned address of `len` bytes of shared memory, mapped readable and writable until
/// the drop, and of a size that nobody can lessen. Bytes before `tail` are reached as the atomics of a
/// [`Head`] alone, those behind it by copies alone.
#[derive(Debug)]
pub(crate) struct RawMemory {
    /// Where it begins.
    base: NonNull<c_void>,
    /// Its size.
    len: usize,
    /// Where the copies begin: behind the words, if there are any.
    tail: usize,
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
        Ok(Self { base, len, tail: 0, leave })
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

    /// The words at the beginning.
    pub(crate) fn head(&self) -> &Head {
        assert!(self.tail == size_of::<Head>(), "no words were set apart");
        // SAFETY: by the invariants mapped and large enough, page-aligned; a `Head` is atomics, which may
        // change under us.
        unsafe { self.base.cast::<Head>().as_ref() }
    }

    /// Copies into the memory, `offset` bytes behind the words.
    #[inline]
    pub(crate) fn write(&self, offset: usize, from: &[u8]) {
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
