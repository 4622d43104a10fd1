//! Segments: the memory that System V names by a number.

use std::fmt;
use std::ops::Deref;

use libc::c_int;

use crate::attachment::{Attachment, ReadAttachment};
use crate::control::{self, Change};
use crate::error::Result;
use crate::head::Head;
use crate::{AttachOptions, Key, SegmentOptions, SegmentStat, diagnosis, sys};

/// A segment's id: what `shmget` gives, and what every other call takes.
///
/// An id is as good as a handle that anybody may guess: whoever knows it can attach the segment, if the mode
/// bits let him. It is `sequence * 32768 + index`, so it is not used again soon after a removal, but one day
/// it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentId(i32);

impl SegmentId {
    /// The id with this number, which may name nothing.
    #[must_use]
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// The number, as `shmat` and `shmctl` take it.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A segment: a stretch of memory of fixed size that belongs to an IPC namespace, not to any process.
///
/// This is a handle, not an owner: it is copied freely, and dropping it does nothing. The segment stays when
/// its creator exits or crashes, with everything in it, until somebody calls [`remove`](Segment::remove) (or
/// the namespace or the machine ends). [`remove_on_drop`](Segment::remove_on_drop) makes an owner of it.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use sysv_shm::{Key, Segment};
///
/// let segment = Segment::create(Key::PRIVATE, 4096)?;
/// let attachment = segment.attach::<AtomicU32>()?;
/// segment.remove()?; // the memory goes with the last attachment now, even if this process is killed
/// attachment.store(7, Ordering::Release);
/// # Ok::<(), sysv_shm::Error>(())
/// ```
///
/// # References
///
/// shmget(2), sysvipc(7); the kernel's `ipc/shm.c`
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    /// What the kernel calls it.
    id: SegmentId,
    /// How many bytes it had at least when it was found. Only a promise of that moment: an attachment asks
    /// again.
    at_least: usize,
}

impl Segment {
    /// `shmget(key, size, IPC_CREAT | 0600)` - finds the segment that has `key`, or makes it.
    ///
    /// A new segment is filled with zeros and costs its whole size at once (memory is committed, not
    /// touched). An existing one is taken as it is if it has at least `size` bytes and lets this process read
    /// and write: [`size`](Segment::size) asks how large it really is, and whatever it holds is still there.
    ///
    /// # Errors
    ///
    /// | errno | meaning |
    /// | --- | --- |
    /// | EACCES | the existing segment does not let this process read and write |
    /// | EINVAL | the existing segment is smaller; or there is none, and `size` is 0 or too large |
    /// | ENOSPC | the namespace has as many segments (`kernel.shmmni`) or pages (`kernel.shmall`) as it may |
    /// | ENOMEM | no memory |
    /// | ENFILE | the system has no free file (`fs.file-max`): a segment takes one |
    #[doc(alias = "shmget")]
    pub fn create(key: Key, size: usize) -> Result<Self> {
        SegmentOptions::new().create(key, size)
    }

    /// `shmget(key, size, IPC_CREAT | IPC_EXCL | 0600)` - makes a segment under a key that nobody has.
    ///
    /// With [`Key::PRIVATE`] the same as [`create`](Segment::create): always a new segment.
    ///
    /// # Errors
    ///
    /// EEXIST: the key is taken, by whomever. Else as [`create`](Segment::create).
    pub fn create_new(key: Key, size: usize) -> Result<Self> {
        SegmentOptions::new().create_new(key, size)
    }

    /// `shmget(key, at_least, 0400)` - finds the segment that has `key`, if it is large enough.
    ///
    /// # Errors
    ///
    /// | errno | meaning |
    /// | --- | --- |
    /// | ENOENT | no segment of this IPC namespace has the key |
    /// | EINVAL | the segment is smaller |
    /// | EACCES | the segment does not let this process read |
    ///
    /// Refused without a call for [`Key::PRIVATE`], under which `shmget` would make a segment and not find
    /// one.
    #[inline]
    pub fn open(key: Key, at_least: usize) -> Result<Self> {
        SegmentOptions::new().open(key, at_least)
    }

    /// The segment with this id, for example one that somebody told us, if there is one now.
    ///
    /// `Segment::from(id)` is the same without asking the kernel: what is done with it next will tell.
    ///
    /// # Errors
    ///
    /// EINVAL: no segment of this IPC namespace has the id (any more).
    pub fn from_id(id: SegmentId) -> Result<Self> {
        let segment = Self::from(id);
        segment.size()?;
        Ok(segment)
    }

    /// `shmget` with checked arguments.
    #[inline]
    pub(crate) fn get(key: Key, size: usize, flags: c_int) -> Result<Self> {
        let id = sys::shmget(key.number(), size, flags)
            .map_err(|errno| diagnosis::get(key, size, flags, errno))?;
        Ok(Self { id: SegmentId::new(id), at_least: size })
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> SegmentId {
        self.id
    }

    /// How many bytes it was found to have at least.
    pub(crate) fn at_least(&self) -> usize {
        self.at_least
    }

    /// `shmctl(id, IPC_STAT)` - the size in bytes: the real one, not the one asked for. It never changes.
    ///
    /// An attachment knows it without a call: [`Attachment::len`].
    ///
    /// # Errors
    ///
    /// EINVAL, EIDRM: it was removed, and the last attachment is gone. Permission is not needed: the size is
    /// no secret (`SHM_STAT_ANY`, and the list in `/proc/sysvipc/shm`).
    pub fn size(&self) -> Result<usize> {
        match sys::shmctl_stat(self.id.number()) {
            Ok(raw) => Ok(raw.size),
            Err(errno) => diagnosis::look(self.id)
                .map(|stat| stat.size)
                .ok_or_else(|| diagnosis::control(self.id, "IPC_STAT", errno)),
        }
    }

    /// `shmctl(id, IPC_STAT)` - what the kernel knows of it now.
    ///
    /// # Errors
    ///
    /// EACCES: the mode bits do not let this process read. EINVAL, EIDRM: it was removed, and the last
    /// attachment is gone.
    #[doc(alias = "IPC_STAT")]
    pub fn stat(&self) -> Result<SegmentStat> {
        let raw = sys::shmctl_stat(self.id.number())
            .map_err(|errno| diagnosis::control(self.id, "IPC_STAT", errno))?;
        Ok(SegmentStat::new(self.id, &raw))
    }

    /// `shmat(id, NULL, 0)` - maps the whole segment, with a `T` at its beginning.
    ///
    /// On Linux this works after a removal too, as long as somebody has the segment attached.
    ///
    /// # Errors
    ///
    /// | errno | meaning |
    /// | --- | --- |
    /// | EACCES | the mode bits do not let this process read and write |
    /// | EINVAL, EIDRM | the segment was removed |
    /// | ENOMEM | no room in the address space |
    /// | EAGAIN | after `mlockall(MCL_FUTURE)`: more than RLIMIT_MEMLOCK |
    /// | ENFILE | the system has no free file (`fs.file-max`): an attachment takes one |
    ///
    /// Refused when `T` is larger than the segment, when the id names a smaller segment by now than was
    /// found, and for huge pages ([why](AttachOptions::accept_huge_pages)).
    #[doc(alias = "shmat")]
    pub fn attach<T: Head + ?Sized>(&self) -> Result<Attachment<T>> {
        AttachOptions::new().attach(self)
    }

    /// `shmat(id, NULL, SHM_RDONLY)` - maps the whole segment for looking only.
    ///
    /// What it shows can still change at any moment, since others write. It cannot be made writable
    /// afterwards.
    ///
    /// # Errors
    ///
    /// As [`attach`](Segment::attach), with read permission being enough.
    pub fn attach_read_only<T: Head + ?Sized>(&self) -> Result<ReadAttachment<T>> {
        AttachOptions::new().attach_read_only(self)
    }

    /// `shmctl(id, IPC_RMID)` - takes the key away at once, and the memory when the last attachment goes.
    ///
    /// Attachments stay as they are. A second removal of a segment that is still attached does nothing.
    ///
    /// # Errors
    ///
    /// EPERM: neither owner nor creator. EINVAL, EIDRM: it is gone already.
    #[doc(alias = "IPC_RMID")]
    pub fn remove(self) -> Result<()> {
        sys::shmctl_remove(self.id.number()).map_err(|errno| diagnosis::control(self.id, "IPC_RMID", errno))
    }

    /// `shmctl(id, IPC_SET)` - replaces the nine permission bits, as in `0o640`.
    ///
    /// Attachments stay as they are: the bits are looked at when one is made. Owner and group are sent along
    /// as they are now, so two changes at the same moment can undo each other.
    ///
    /// # Errors
    ///
    /// EPERM: neither owner nor creator. EINVAL, EIDRM: it is gone. Refused without a call for bits beyond
    /// 0777.
    pub fn set_mode(&self, bits: u32) -> Result<()> {
        control::set(self.id, Change { mode: Some(bits), ..Change::default() })
    }

    /// `shmctl(id, IPC_SET)` - gives the segment to another user and group.
    ///
    /// The creator keeps his rights for ever, whoever the owner is. The mode is sent along as it is now.
    ///
    /// # Errors
    ///
    /// As [`set_mode`](Segment::set_mode), and EINVAL: the user namespace has no such user or group.
    pub fn set_owner(&self, uid: u32, gid: u32) -> Result<()> {
        control::set(self.id, Change { owner: Some((uid, gid)), ..Change::default() })
    }

    /// `shmctl(id, SHM_LOCK)` - keeps the segment's pages from being swapped out, once they are in memory.
    ///
    /// It brings none in, and does nothing for huge pages, which are never swapped. The lock belongs to the
    /// segment, not to the process: it stays until [`unlock`](Segment::unlock) or the segment's end. The
    /// whole size counts against the RLIMIT_MEMLOCK of the user who locks.
    ///
    /// # Errors
    ///
    /// EPERM: neither owner nor creator, or RLIMIT_MEMLOCK is 0, and no CAP_IPC_LOCK. ENOMEM: more than
    /// RLIMIT_MEMLOCK. EINVAL, EIDRM: it is gone.
    #[doc(alias = "SHM_LOCK")]
    pub fn lock(&self) -> Result<()> {
        control::lock(self.id, true)
    }

    /// `shmctl(id, SHM_UNLOCK)` - lets the segment be swapped out again, whoever locked it.
    ///
    /// # Errors
    ///
    /// EPERM: neither owner nor creator, and no CAP_IPC_LOCK. EINVAL, EIDRM: it is gone.
    pub fn unlock(&self) -> Result<()> {
        control::lock(self.id, false)
    }

    /// An owner of this segment, which removes it when dropped.
    pub fn remove_on_drop(self) -> OwnedSegment {
        OwnedSegment { segment: self, keep: false }
    }
}

impl From<SegmentId> for Segment {
    /// A handle of whatever has this id, if anything has: nobody is asked.
    fn from(id: SegmentId) -> Self {
        Self { id, at_least: 0 }
    }
}

/// Two handles are the same when their ids are.
impl PartialEq for Segment {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Segment {}

/// A segment that is removed when this is dropped.
///
/// It covers returns, `?` and panics. It does not cover `kill -9`, `abort` or `process::exit`, which run no
/// destructors: for those attach first and remove at once, and the kernel does the rest.
///
/// After a `fork` both processes hold one, and the first to drop it removes the segment.
#[derive(Debug)]
#[must_use = "dropping the owner removes the segment"]
pub struct OwnedSegment {
    /// What is removed.
    segment: Segment,
    /// Set when the removal has been done, or given up by [`keep`](OwnedSegment::keep).
    keep: bool,
}

impl OwnedSegment {
    /// Removes the segment now, and says whether that worked.
    ///
    /// # Errors
    ///
    /// As [`Segment::remove`]; it is not tried again then.
    pub fn remove(mut self) -> Result<()> {
        self.keep = true;
        self.segment.remove()
    }

    /// Gives up ownership: the segment stays.
    #[must_use]
    pub fn keep(mut self) -> Segment {
        self.keep = true;
        self.segment
    }
}

impl Deref for OwnedSegment {
    type Target = Segment;

    fn deref(&self) -> &Segment {
        &self.segment
    }
}

impl Drop for OwnedSegment {
    fn drop(&mut self) {
        if !self.keep {
            // A destructor has nobody to tell; that somebody else was faster is the usual failure. `remove`
            // tells.
            drop(self.segment.remove());
        }
    }
}
