//! Attachments: a segment mapped into this process, reached through atomics and bulk copies only.

#![allow(unsafe_code)]

use std::fmt;
use std::ops::Deref;

use crate::copy;
use crate::error::Result;
use crate::head::Head;
use crate::mapped::Mapped;

/// A segment attached for reading and writing: a `T` at its beginning, and behind it a tail of bytes.
///
/// Other processes write to this memory at any moment. So it is never a slice or a plain reference: the head
/// is reached as a `T`, which consists of atomics ([`Head`]), and the tail is copied in and out. The tail
/// begins at the next multiple of 64 after the head, so that no byte is reached in both ways. With `T = ()`
/// everything is tail; with a slice of words, everything is read and written in place.
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
#[doc(alias = "shmdt")]
pub struct Attachment<T: Head + ?Sized = ()> {
    /// The memory, with room for a `T`.
    mapped: Mapped<T>,
}

#[allow(clippy::len_without_is_empty)] // a segment has at least one byte
impl<T: Head + ?Sized> Attachment<T> {
    /// A `T` at the beginning of what `mapped` holds, which was attached without SHM_RDONLY for a `T`.
    pub(crate) fn new(mapped: Mapped<T>) -> Self {
        // INVARIANT: a `Mapped<T>` has the room; without SHM_RDONLY the mapping is writable.
        Self { mapped }
    }

    /// The segment's size in bytes, head and tail.
    #[must_use]
    pub fn len(&self) -> usize {
        self.mapped.len()
    }

    /// How many bytes the tail has.
    #[must_use]
    pub fn tail_len(&self) -> usize {
        self.mapped.tail().len()
    }

    /// Copies `bytes` into the tail at `offset`.
    ///
    /// Readers that look meanwhile may see some of the new bytes and some of the old: let an atomic of the
    /// head say when.
    ///
    /// # Errors
    ///
    /// Refused ([`is_out_of_bounds`](crate::Error::is_out_of_bounds)), and nothing copied, when the range
    /// does not lie in the tail.
    pub fn copy_in(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        let to = self.mapped.in_tail("copy_in", offset, bytes.len())?;
        // SAFETY: `in_tail` vouches for the range, which is writable here and lies behind the head: no
        // reference reaches it.
        unsafe { copy::into_shared(to.as_ptr(), bytes) };
        Ok(())
    }

    /// Copies out of the tail at `offset`, filling `to`.
    ///
    /// # Errors
    ///
    /// Refused ([`is_out_of_bounds`](crate::Error::is_out_of_bounds)), and nothing copied, when the range
    /// does not lie in the tail.
    pub fn copy_out(&self, offset: usize, to: &mut [u8]) -> Result<()> {
        self.mapped.copy_out(offset, to)
    }
}

impl<T: Head + ?Sized> Deref for Attachment<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the first `T::size_in(len)` bytes are mapped and aligned, and by `Placed` they are what is
        // `Shareable`: any bit pattern is a `T` made of atomics, so that other processes may write it while
        // the reference lives.
        unsafe { &*T::at(self.mapped.base().as_ptr(), self.mapped.len()) }
    }
}

impl<T: Head + ?Sized> fmt::Debug for Attachment<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("base", &self.mapped.base())
            .field("len", &self.mapped.len())
            .finish()
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
pub struct ReadAttachment<T: Head + ?Sized = ()> {
    /// The memory, with room for a `T`.
    mapped: Mapped<T>,
}

#[allow(clippy::len_without_is_empty)] // a segment has at least one byte
impl<T: Head + ?Sized> ReadAttachment<T> {
    /// A `T` at the beginning of what `mapped` holds, for looking only.
    pub(crate) fn new(mapped: Mapped<T>) -> Self {
        // INVARIANT: a `Mapped<T>` has the room.
        Self { mapped }
    }

    /// The segment's size in bytes, head and tail.
    #[must_use]
    pub fn len(&self) -> usize {
        self.mapped.len()
    }

    /// How many bytes the tail has.
    #[must_use]
    pub fn tail_len(&self) -> usize {
        self.mapped.tail().len()
    }

    /// Copies out of the tail at `offset`, filling `to`.
    ///
    /// # Errors
    ///
    /// Refused ([`is_out_of_bounds`](crate::Error::is_out_of_bounds)), and nothing copied, when the range
    /// does not lie in the tail.
    pub fn copy_out(&self, offset: usize, to: &mut [u8]) -> Result<()> {
        self.mapped.copy_out(offset, to)
    }
}

impl<T: Head + ?Sized> Deref for ReadAttachment<T> {
    type Target = T::View;

    #[inline]
    fn deref(&self) -> &T::View {
        // SAFETY: the first `T::size_in(len)` bytes are mapped and aligned, and by `Placed` the view has as
        // many; `Shareable` promises that any bit pattern is one, and that it makes only loads that are sound
        // on memory without write access.
        unsafe { &*T::view_at(self.mapped.base().as_ptr(), self.mapped.len()) }
    }
}

impl<T: Head + ?Sized> fmt::Debug for ReadAttachment<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadAttachment")
            .field("base", &self.mapped.base())
            .field("len", &self.mapped.len())
            .finish()
    }
}
