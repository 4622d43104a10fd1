//! Address ranges of our own, over which a segment may be put.

#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use nix::errno::Errno;

use crate::attachment::{Attachment, ReadAttachment};
use crate::error::{Cause, Error, Result};
use crate::head::Head;
use crate::mapped::Mapped;
use crate::{Segment, diagnosis, sys};

/// A range of addresses that is kept free for a segment.
///
/// `SHM_REMAP` puts a segment in place of whatever is mapped there: the stack, the heap, another attachment.
/// That is safe in one case only, which is this one: the range belongs to the caller, nothing is in it, and
/// the segment is not longer than the range. A reservation is that range (`mmap` with PROT_NONE: addresses,
/// no memory). It is for programs whose segment has to come back at the same address: a larger one after a
/// smaller one, or the next after a removed one.
///
/// On 32-bit ARM the kernel may put a segment at every fourth page only, and a reservation may begin elsewhere:
/// there an attachment in it can fail with EINVAL.
///
/// One attachment at a time lies in it, at its beginning. When that is dropped, the range is covered by
/// PROT_NONE again in the same step that detaches, so that at no moment somebody else can get the addresses.
/// The range itself goes with the last of the reservation and its attachment.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use sysv_shm::{Key, Reservation, Segment};
///
/// let (small, large) = (Segment::create(Key::PRIVATE, 4096)?, Segment::create(Key::PRIVATE, 1 << 20)?);
/// let (small, large) = (small.remove_on_drop(), large.remove_on_drop());
///
/// let place = Reservation::new(1 << 20)?;
/// let first = place.attach::<AtomicU32>(&small)?;
/// assert_eq!(std::ptr::from_ref(&*first).addr(), place.address());
/// drop(first);
/// let second = place.attach::<AtomicU32>(&large)?; // at the same address
/// assert_eq!(std::ptr::from_ref(&*second).addr(), place.address());
/// # Ok::<(), sysv_shm::Error>(())
/// ```
///
/// # References
///
/// shmop(2), mmap(2); `do_shmat` in the kernel's `ipc/shm.c`
#[derive(Debug)]
pub struct Reservation {
    /// The range, which an attachment in it keeps too.
    range: Arc<Reserved>,
}

#[allow(clippy::len_without_is_empty)] // a reservation of no bytes is refused
impl Reservation {
    /// `mmap(NULL, len, PROT_NONE, ..)` - keeps `len` bytes of addresses, in whole pages, where the kernel
    /// likes.
    ///
    /// # Errors
    ///
    /// ENOMEM: no such room in the address space. EAGAIN: after `mlockall(MCL_FUTURE)`, more than
    /// RLIMIT_MEMLOCK. Refused without a call when `len` is 0, or rounded up more than can be counted.
    pub fn new(len: usize) -> Result<Self> {
        let call = || format!("mmap(NULL, {len}, PROT_NONE)");
        let Some(len) = len.checked_next_multiple_of(sys::page_size()).filter(|&len| len > 0) else {
            return Err(Error::refused(
                call(),
                Cause::Invalid,
                "a reservation has at least one byte, and an end",
            ));
        };
        let base = sys::mmap_reserve(len).map_err(|errno| {
            let meaning = match errno {
                Errno::EAGAIN => diagnosis::locked_from_the_start(),
                _ => "no such room in this process's address space".to_owned(),
            };
            Error::kernel(call(), errno, Cause::Limit, meaning)
        })?;
        // INVARIANT: new, and ours alone.
        let range = Reserved { base: base.cast(), len, state: AtomicU8::new(FREE) };
        Ok(Self { range: Arc::new(range) })
    }

    /// Where it begins, and where an attachment in it begins.
    #[must_use]
    pub fn address(&self) -> usize {
        self.range.base.addr().get()
    }

    /// Its length in bytes: whole pages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.range.len
    }

    /// `shmat(id, address, SHM_REMAP)` - puts the segment at the beginning of the range.
    ///
    /// It is attached elsewhere for a moment, too: only while it is attached does its id stay with it, and
    /// so does its size, which decides what SHM_REMAP replaces.
    ///
    /// # Errors
    ///
    /// As [`Segment::attach`]. Refused when the segment is longer than the range, and while the range is in
    /// use. If the kernel fails in the second step (ENOMEM; EACCES when the mode has changed in between), nobody
    /// can say what became of the range: it is given up for good, and every later attempt is refused.
    pub fn attach<T: Head + ?Sized>(&self, segment: &Segment) -> Result<Attachment<T>> {
        Ok(Attachment::new(Mapped::over(&self.range, *segment, 0)?))
    }

    /// `shmat(id, address, SHM_REMAP | SHM_RDONLY)` - the same for looking only.
    ///
    /// # Errors
    ///
    /// As [`attach`](Reservation::attach), with read permission being enough.
    pub fn attach_read_only<T: Head + ?Sized>(&self, segment: &Segment) -> Result<ReadAttachment<T>> {
        Ok(ReadAttachment::new(Mapped::over(&self.range, *segment, sys::SHM_RDONLY)?))
    }
}

/// Nothing but PROT_NONE lies in the range.
const FREE: u8 = 0;
/// A segment lies at its beginning.
const TAKEN: u8 = 1;
/// A call failed half-way: parts of the range may belong to somebody else by now.
const LOST: u8 = 2;

/// A range of addresses of this process.
///
/// # Invariants
///
/// Unless `state` is `LOST`, all of the range is mapped, by us: PROT_NONE, or (`TAKEN`) one segment at its
/// beginning, which one `Mapped` holds.
#[derive(Debug)]
pub(crate) struct Reserved {
    /// Where it begins: a page boundary.
    base: NonNull<u8>,
    /// Its length: whole pages.
    len: usize,
    /// `FREE`, `TAKEN` or `LOST`.
    state: AtomicU8,
}

// SAFETY: addresses belong to the process, not to a thread, and any thread may unmap them.
unsafe impl Send for Reserved {}

// SAFETY: what is shared is two numbers and an atomic, which decides who may use the range.
unsafe impl Sync for Reserved {}

impl Reserved {
    /// Where it begins.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Its length.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Makes the caller the only user, if there is none.
    pub(crate) fn take(&self) -> bool {
        // Acquire: pairs with the Release in `cover`, so that the next attachment comes after the covering.
        self.state.compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Gives the range up: from now on nothing is mapped or unmapped there.
    pub(crate) fn lose(&self) {
        self.state.store(LOST, Ordering::Relaxed);
    }

    /// Ends the use of whoever holds it, who has `len` bytes at its beginning attached: covers them with
    /// PROT_NONE, which detaches.
    pub(crate) fn cover(&self, len: usize) {
        // SAFETY: the `len` bytes are part of the range (`Mapped::over` has compared them), and their only
        // user is done with them.
        match unsafe { sys::mmap_cover(self.base.cast(), len) } {
            // INVARIANT: all of it is PROT_NONE again.
            Ok(()) => self.state.store(FREE, Ordering::Release),
            Err(_) => self.lose(),
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if *self.state.get_mut() != LOST {
            // SAFETY: all of it is ours, and whoever was attached there held this, so is gone.
            let result = unsafe { sys::munmap(self.base.cast(), self.len) };
            debug_assert!(result.is_ok(), "munmap: {result:?}");
        }
    }
}
