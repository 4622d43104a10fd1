//! One mapping of a whole segment: what both kinds of attachment hold.

#![allow(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use libc::c_int;

use crate::error::{Cause, Error, Result};
use crate::head::Head;
use crate::reservation::Reserved;
use crate::{AttachOptions, Segment, SegmentId, copy, diagnosis, huge, stack, sys};

/// The tail begins at the next multiple of this after the head: no cache line is shared by both.
const LINE: usize = 64;

/// One mapping of a whole segment with room for a `T`, detached when dropped.
///
/// # Invariants
///
/// `base` is where `shmat` put it, and it has not been detached. At least `len` bytes from there are mapped
/// (shared, readable, and writable unless attached with SHM_RDONLY) for as long as this lives: the segment
/// cannot shrink, since a segment's size is fixed for life (but for a process that may write to ours anyway:
/// see the crate's page, "Whom to trust"), and it cannot go, since this mapping keeps it. Once `new` or
/// `over` has given it away, `len` is at least `T::LEAST`.
pub(crate) struct Mapped<T: ?Sized> {
    /// Where it begins: a page boundary.
    base: NonNull<u8>,
    /// The segment's size as the kernel gave it.
    len: usize,
    /// The address range that it covers, when it was put over one of ours.
    over: Option<Arc<Reserved>>,
    /// What is at its beginning; nothing of it is owned.
    head: PhantomData<fn(&T)>,
}

// SAFETY: a mapping belongs to the process and not to a thread, and shmdt(2) may be called by any thread.
unsafe impl<T: ?Sized> Send for Mapped<T> {}

// SAFETY: a shared `Mapped` gives nothing but its two numbers; what is done with them is the attachments'
// business.
unsafe impl<T: ?Sized> Sync for Mapped<T> {}

impl<T: Head + ?Sized> Mapped<T> {
    /// `shmat(segment, ..)` - attaches a segment that has room for a `T`.
    pub(crate) fn new(segment: Segment, how: AttachOptions, access: c_int) -> Result<Self> {
        // A page is 4096 bytes or more, so what needs no more than a line is aligned at its beginning.
        const { assert!(T::ALIGN <= LINE) };
        let (id, address) = (segment.id(), how.address());
        let flags = access | how.flags();
        let base = sys::shmat(id.number(), address, flags)
            .map_err(|errno| diagnosis::attach(id, address, flags, errno))?
            .cast();
        // INVARIANT: shmat(2) maps the whole segment. `len` is 0 until the kernel has said how much that is;
        // from here on every way out detaches.
        let mut mapped = Self { base, len: 0, over: None, head: PhantomData };
        // What was known of the segment before is not enough to go by: the id may have been used again since,
        // or this thread may have moved to another IPC namespace, where the same id is another segment. While
        // we hold it attached, the id stays with it, so what IPC_STAT says now is about this mapping.
        let real = size_of_attached(id)?;
        let refused =
            |cause, meaning| Err(Error::refused(diagnosis::attach_call(id, address, flags), cause, meaning));
        if real < segment.at_least() {
            let found = segment.at_least();
            let meaning =
                format!("id {id} is another segment by now, of {real} bytes; at least {found} were found");
            return refused(Cause::Removed, meaning);
        }
        // More than half of the addresses, which 64 bits have no segment for and 32 may: pointers of Rust
        // reach no further.
        if isize::try_from(real).is_err() {
            return refused(Cause::Limit, format!("{real} bytes are more than one object can have"));
        }
        if real < T::LEAST {
            let needed = T::LEAST;
            let meaning =
                format!("the segment has {real} bytes, and what should be seen in it needs {needed}");
            return refused(Cause::TooSmall, meaning);
        }
        if !how.accepts_huge_pages() && huge::may_be(base) {
            return refused(Cause::Invalid, huge::WHY_NOT.into());
        }
        // `AttachOptions` has looked before; once the segment is there, the stack comes no nearer.
        if address != 0 && stack::could_grow_into(base.addr().get(), real) {
            return refused(Cause::Invalid, stack::WHY_NOT.into());
        }
        // INVARIANT: the size of the very segment that is mapped, with room for a `T`.
        mapped.len = real;
        Ok(mapped)
    }

    /// `shmat(segment, range, SHM_REMAP)` - attaches a segment in place of the beginning of `range`, which is
    /// ours.
    pub(crate) fn over(range: &Arc<Reserved>, segment: Segment, access: c_int) -> Result<Self> {
        let (id, address, flags) = (segment.id(), range.base().addr().get(), access | sys::SHM_REMAP);
        let call = || diagnosis::attach_call(id, address, flags);
        // SHM_REMAP replaces whatever lies where the segment comes to lie, so how much that is has to be
        // known before. First attached elsewhere: from here on the id stays with this segment, whose size is
        // known and cannot change.
        let pin = Self::new(segment, AttachOptions::new(), access)?;
        if pin.len > range.len() {
            let (has, room) = (pin.len, range.len());
            let meaning = format!("the segment has {has} bytes, and the reservation has room for {room}");
            return Err(Error::refused(call(), Cause::TooSmall, meaning));
        }
        if !range.take() {
            let meaning = "the reservation is in use, or was lost in an earlier failure";
            return Err(Error::refused(call(), Cause::Invalid, meaning));
        }
        // SAFETY: the `pin.len` bytes there, and the rest of their last page, belong to `range`, and `take`
        // has made sure that nobody else uses them.
        match unsafe { sys::shmat_over(id.number(), range.base().cast(), flags) } {
            // INVARIANT: the segment that `pin` holds, whole; `pin` itself is detached at the end of this
            // function.
            Ok(()) => Ok(Self {
                base: range.base(),
                len: pin.len,
                over: Some(Arc::clone(range)),
                head: PhantomData,
            }),
            Err(errno) => {
                range.lose();
                Err(diagnosis::attach(id, address, flags, errno))
            }
        }
    }

    /// Where the tail begins and ends.
    pub(crate) fn tail(&self) -> Range<usize> {
        T::size_in(self.len).next_multiple_of(LINE).min(self.len)..self.len
    }

    /// The address of `len` bytes at `offset` of the tail; an error when they are not all there.
    pub(crate) fn in_tail(&self, call: &str, offset: usize, len: usize) -> Result<NonNull<u8>> {
        let tail = self.tail();
        match offset.checked_add(len) {
            Some(end) if end <= tail.len() => {
                // SAFETY: at most the length of the tail is added to its beginning, which stays inside the
                // `len` mapped bytes.
                Ok(unsafe { self.base.add(tail.start + offset) })
            }
            _ => {
                let call = format!("{call}({offset}, {len} bytes)");
                let meaning = format!("the tail has {} bytes", tail.len());
                Err(Error::refused(call, Cause::OutOfBounds, meaning))
            }
        }
    }

    /// Copies out of the tail at `offset`, filling `to`.
    pub(crate) fn copy_out(&self, offset: usize, to: &mut [u8]) -> Result<()> {
        let from = self.in_tail("copy_out", offset, to.len())?;
        // SAFETY: `in_tail` vouches for the range, which is readable and lies behind the head: no reference
        // reaches it.
        unsafe { copy::from_shared(to, from.as_ptr()) };
        Ok(())
    }
}

impl<T: ?Sized> Mapped<T> {
    /// Where it begins.
    #[inline]
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// The segment's size.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

/// The size of the segment that this thread has just attached by its `id`.
fn size_of_attached(id: SegmentId) -> Result<usize> {
    match sys::shmctl_stat(id.number()) {
        Ok(raw) => Ok(raw.size),
        // Its owner may have taken our read permission away since we attached it; the size is still no
        // secret.
        Err(errno) => {
            diagnosis::look(id).map(|stat| stat.size).ok_or_else(|| diagnosis::control(id, "IPC_STAT", errno))
        }
    }
}

impl<T: ?Sized> Drop for Mapped<T> {
    fn drop(&mut self) {
        if let Some(range) = &self.over {
            // Not shmdt: it would leave the addresses to whoever asks first.
            range.cover(self.len);
            return;
        }
        // SAFETY: attached by `new` and not detached since; whoever borrowed the memory borrowed `self`.
        let result = unsafe { sys::shmdt(self.base.cast()) };
        debug_assert!(result.is_ok(), "shmdt: {result:?}: somebody else unmapped it");
    }
}

impl<T: ?Sized> fmt::Debug for Mapped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapped").field("base", &self.base).field("len", &self.len).finish_non_exhaustive()
    }
}
