//! Attachments: a segment mapped into this process, reached through atomics and bulk copies only.

#![allow(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::ptr::NonNull;

use libc::c_int;

use crate::error::{Cause, Error, Result};
use crate::segment::Segment;
use crate::shareable::Shareable;
use crate::{copy, diagnosis, sys};

/// The tail begins at the next multiple of this after the head: no cache line is shared by both.
const LINE: usize = 64;

/// One mapping of a whole segment, detached when dropped.
///
/// # Invariants
///
/// `base` is what `shmat` gave and has not been detached. At least `len` bytes from there are mapped (shared,
/// readable, and writable unless attached with SHM_RDONLY) for as long as this lives: the segment cannot
/// shrink, since a segment's size is fixed for life, and it cannot go, since this mapping keeps it.
#[derive(Debug)]
struct Mapped {
    /// Where it begins: a page boundary.
    base: NonNull<u8>,
    /// The segment's size as the kernel gave it.
    len: usize,
}

// SAFETY: a mapping belongs to the process and not to a thread, and shmdt(2) may be called by any thread.
unsafe impl Send for Mapped {}

// SAFETY: a shared `Mapped` gives nothing but its two numbers; what is done with them is the attachments'
// business.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// Attaches `segment` and makes sure of its size.
    fn new<T: Shareable>(segment: Segment, flags: c_int) -> Result<Self> {
        // A page is 4096 bytes or more, so what needs no more than a line is aligned at its beginning.
        const { assert!(align_of::<T>() <= LINE && align_of::<T::View>() <= LINE) };
        let (id, size) = (segment.id(), segment.size());
        let call = || diagnosis::attach_call(id, flags);
        if size < size_of::<T>() {
            let needed = size_of::<T>();
            let meaning =
                format!("the segment has {size} bytes, and what should be seen in it needs {needed}");
            return Err(Error::refused(call(), Cause::TooSmall, meaning));
        }
        let base =
            sys::shmat(id.number(), flags).map_err(|errno| diagnosis::attach(id, flags, size, errno))?.cast();
        // INVARIANT: shmat(2) maps the whole segment. `len` is 0 until the kernel has said how much that is;
        // from here on every way out detaches.
        let mut mapped = Self { base, len: 0 };
        // The handle's size is not enough to go by: since it was looked up, the id may have been used again,
        // or this thread may have moved to another IPC namespace, where the same id is another segment. While
        // we hold it attached, the id stays with it, so what IPC_STAT says now is about this mapping.
        let real = segment.stat()?.size;
        if real != size {
            let meaning = format!("id {id} is another segment by now, of {real} bytes instead of {size}");
            return Err(Error::refused(call(), Cause::Removed, meaning));
        }
        // INVARIANT: the size of the very segment that is mapped.
        mapped.len = real;
        Ok(mapped)
    }

    /// Where the tail begins and how long it is, with a `T` as head.
    fn tail<T>(&self) -> Range<usize> {
        size_of::<T>().next_multiple_of(LINE).min(self.len)..self.len
    }

    /// The address of `len` bytes at `offset` of the tail; an error when they are not all there.
    fn in_tail<T>(&self, call: &str, offset: usize, len: usize) -> Result<NonNull<u8>> {
        let tail = self.tail::<T>();
        match offset.checked_add(len) {
            Some(end) if end <= tail.len() => {
                // SAFETY: at most the length of the tail is added to its beginning, which stays inside the
                // `len` mapped bytes.
                Ok(unsafe { self.base.add(tail.start + offset) })
            }
            _ => {
                let call = format!("{call}({offset}, {len} bytes)");
                let meaning = format!("the tail has {} bytes", tail.len());
                Err(Error::refused(call, Cause::Invalid, meaning))
            }
        }
    }

    fn copy_out<T>(&self, offset: usize, to: &mut [u8]) -> Result<()> {
        let from = self.in_tail::<T>("copy_out", offset, to.len())?;
        // SAFETY: `in_tail` vouches for the range, which is readable and lies behind the head: no reference
        // reaches it.
        unsafe { copy::from_shared(to, from.as_ptr()) };
        Ok(())
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: attached by `new` and not detached since; whoever borrowed the memory borrowed `self`.
        let result = unsafe { sys::shmdt(self.base.cast()) };
        debug_assert!(result.is_ok(), "shmdt: {result:?}: somebody else unmapped it");
    }
}

/// A segment attached for reading and writing: a `T` at its beginning, and behind it a tail of bytes.
///
/// Other processes write to this memory at any moment. So it is never a slice or a plain reference: the head
/// is reached as a [`Shareable`] `T`, which consists of atomics, and the tail is copied in and out. The tail
/// begins at the next multiple of 64 after the head, so that no byte is reached in both ways. With `T = ()`
/// everything is tail.
///
/// Dropping it detaches it (`shmdt`); the segment stays. A child made by `fork` has the attachment too, at
/// the same address.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use sysv_shm::{Key, Segment};
///
/// let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
/// let attachment = segment.attach::<AtomicU32>()?;
/// attachment.copy_in(0, b"a message")?; // first the bytes ...
/// attachment.store(1, Ordering::Release); // ... then the word that says they are there
///
/// let mut message = [0; 9];
/// attachment.copy_out(0, &mut message)?;
/// assert_eq!(&message, b"a message");
/// assert_eq!(attachment.tail_len(), 4096 - 64);
/// # Ok::<(), sysv_shm::Error>(())
/// ```
///
/// Plain data cannot be seen in it, for a peer would write it under our eyes:
///
/// ```compile_fail,E0277
/// # use sysv_shm::{Key, Segment};
/// let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
/// let plain = segment.attach::<u32>()?;
/// # Ok::<(), sysv_shm::Error>(())
/// ```
///
/// # Invariants
///
/// The segment has room for a `T`, and is mapped readable and writable. The head is reached as `T` only, the
/// tail by `copy` only.
///
/// # References
///
/// shmop(2)
pub struct Attachment<T: Shareable = ()> {
    /// The memory.
    mapped: Mapped,
    /// What is at its beginning; nothing of it is owned.
    head: PhantomData<fn() -> T>,
}

#[allow(clippy::len_without_is_empty)] // a segment has at least one byte
impl<T: Shareable> Attachment<T> {
    pub(crate) fn new(segment: Segment) -> Result<Self> {
        // INVARIANT: `Mapped::new` checks the room; without SHM_RDONLY the mapping is writable.
        Ok(Self { mapped: Mapped::new::<T>(segment, 0)?, head: PhantomData })
    }

    /// The segment's size in bytes, head and tail.
    #[must_use]
    pub fn len(&self) -> usize {
        self.mapped.len
    }

    /// How many bytes the tail has.
    #[must_use]
    pub fn tail_len(&self) -> usize {
        self.mapped.tail::<T>().len()
    }

    /// Copies `bytes` into the tail at `offset`.
    ///
    /// Readers that look meanwhile may see some of the new bytes and some of the old: let an atomic of the
    /// head say when.
    ///
    /// # Errors
    ///
    /// Refused, and nothing copied, when the range does not lie in the tail.
    pub fn copy_in(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        let to = self.mapped.in_tail::<T>("copy_in", offset, bytes.len())?;
        // SAFETY: `in_tail` vouches for the range, which is writable here and lies behind the head: no
        // reference reaches it.
        unsafe { copy::into_shared(to.as_ptr(), bytes) };
        Ok(())
    }

    /// Copies out of the tail at `offset`, filling `to`.
    ///
    /// # Errors
    ///
    /// Refused, and nothing copied, when the range does not lie in the tail.
    pub fn copy_out(&self, offset: usize, to: &mut [u8]) -> Result<()> {
        self.mapped.copy_out::<T>(offset, to)
    }
}

impl<T: Shareable> Deref for Attachment<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the first `size_of::<T>()` bytes are mapped and aligned; `Shareable` promises that any bit
        // pattern is a `T` made of atomics, so that other processes may write it while the reference lives.
        unsafe { self.mapped.base.cast().as_ref() }
    }
}

impl<T: Shareable> fmt::Debug for Attachment<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment").field("base", &self.mapped.base).field("len", &self.mapped.len).finish()
    }
}

/// A segment attached for reading only: as [`Attachment`], with loads and copies out, no stores.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use sysv_shm::{Key, Segment};
///
/// let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
/// let (writer, reader) = (segment.attach::<AtomicU32>()?, segment.attach_read_only::<AtomicU32>()?);
/// writer.store(7, Ordering::Release);
/// assert_eq!(reader.load(Ordering::Acquire), 7);
/// # Ok::<(), sysv_shm::Error>(())
/// ```
///
/// # Invariants
///
/// The segment has room for a `T`, and is mapped readable. The head is reached as `T::View` only, the tail by
/// `copy` only.
///
/// # References
///
/// shmop(2)
pub struct ReadAttachment<T: Shareable = ()> {
    /// The memory.
    mapped: Mapped,
    /// What is at its beginning; nothing of it is owned.
    head: PhantomData<fn() -> T>,
}

#[allow(clippy::len_without_is_empty)] // a segment has at least one byte
impl<T: Shareable> ReadAttachment<T> {
    pub(crate) fn new(segment: Segment) -> Result<Self> {
        // INVARIANT: `Mapped::new` checks the room.
        Ok(Self { mapped: Mapped::new::<T>(segment, libc::SHM_RDONLY)?, head: PhantomData })
    }

    /// The segment's size in bytes, head and tail.
    #[must_use]
    pub fn len(&self) -> usize {
        self.mapped.len
    }

    /// How many bytes the tail has.
    #[must_use]
    pub fn tail_len(&self) -> usize {
        self.mapped.tail::<T>().len()
    }

    /// Copies out of the tail at `offset`, filling `to`.
    ///
    /// # Errors
    ///
    /// Refused, and nothing copied, when the range does not lie in the tail.
    pub fn copy_out(&self, offset: usize, to: &mut [u8]) -> Result<()> {
        self.mapped.copy_out::<T>(offset, to)
    }
}

impl<T: Shareable> Deref for ReadAttachment<T> {
    type Target = T::View;

    #[inline]
    fn deref(&self) -> &T::View {
        // SAFETY: the first `size_of::<T>()` bytes are mapped and aligned; `Shareable` promises that `View`
        // has the size of `T`, that any bit pattern is one, and that it makes only loads that are sound on
        // memory without write access.
        unsafe { self.mapped.base.cast().as_ref() }
    }
}

impl<T: Shareable> fmt::Debug for ReadAttachment<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadAttachment")
            .field("base", &self.mapped.base)
            .field("len", &self.mapped.len)
            .finish()
    }
}
