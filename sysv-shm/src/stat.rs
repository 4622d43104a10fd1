//! What the kernel knows of one segment.

use std::time::{Duration, SystemTime};

use crate::sys::{self, SegmentInfo, Time};
use crate::{Key, SegmentId};

/// `struct shmid_ds` - what the kernel knows of one segment, at the moment it was asked.
///
/// # References
///
/// shmctl(2), `struct shmid_kernel` in the kernel's `ipc/shm.c`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SegmentStat {
    /// The id that was asked about.
    pub id: SegmentId,
    /// The key, [`Key::PRIVATE`] when it never had one or was removed.
    pub key: Key,
    /// Bytes, exactly as asked for when it was made; the memory behind it comes in whole pages. (A 32-bit
    /// process is told the lower 32 bits. It cannot attach what has more.)
    pub size: usize,
    /// The nine permission bits.
    pub mode: u32,
    /// `SHM_DEST`: removed, and kept only until the last attachment goes.
    pub removed: bool,
    /// `SHM_LOCKED`: kept from being swapped out.
    pub locked: bool,
    /// The owner, whose mode bits are the first three.
    pub uid: u32,
    /// The owner's group.
    pub gid: u32,
    /// The creator, who keeps the rights of an owner for ever.
    pub creator_uid: u32,
    /// The creator's group.
    pub creator_gid: u32,
    /// The process that made it, which may be long gone; 0 when it is in a pid namespace that cannot be seen
    /// from here.
    pub creator_pid: u32,
    /// The process that last attached or detached, `None` when nobody ever did (or it cannot be seen from
    /// here).
    pub last_pid: Option<u32>,
    /// How many *mappings* of it there are, in all processes. Not how many processes: `fork` doubles a
    /// process's share, and an `mprotect` of one page splits one mapping into two or three.
    pub attached: u64,
    /// When it was last attached.
    pub attached_at: Option<SystemTime>,
    /// When it was last detached.
    pub detached_at: Option<SystemTime>,
    /// When it was made, or its owner or mode last changed.
    pub changed_at: SystemTime,
}

impl SegmentStat {
    /// Reads what the kernel filled in for `id`.
    pub(crate) fn new(id: SegmentId, raw: &SegmentInfo) -> Self {
        let mode = raw.permissions.mode;
        Self {
            id,
            key: Key::new(raw.permissions.key),
            size: raw.size,
            mode: mode & 0o777,
            removed: mode & sys::SHM_DEST != 0,
            locked: mode & sys::SHM_LOCKED != 0,
            uid: raw.permissions.uid,
            gid: raw.permissions.gid,
            creator_uid: raw.permissions.creator_uid,
            creator_gid: raw.permissions.creator_gid,
            creator_pid: raw.creator.unsigned_abs(),
            last_pid: (raw.last != 0).then_some(raw.last.unsigned_abs()),
            attached: raw.attached as u64,
            attached_at: time(raw.attached_at),
            detached_at: time(raw.detached_at),
            changed_at: time(raw.changed_at).unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }
}

/// Seconds since 1970, where 0 means never.
pub(crate) fn time(Time(seconds): Time) -> Option<SystemTime> {
    let since = u64::try_from(seconds).ok().filter(|&seconds| seconds != 0)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(since))
}
