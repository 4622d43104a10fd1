//! What the kernel knows of one set of semaphores.

use std::time::SystemTime;

use crate::stat::time;
use crate::sys::SetInfo;
use crate::{Key, SemaphoreSetId};

/// `struct semid_ds` - what the kernel knows of one set, at the moment it was asked.
///
/// Unlike a segment's, it has no pid of the creator: who made a set, and whether he still lives, cannot be
/// asked. (Each semaphore has the pid of its last operation:
/// [`SemaphoreSet::last_pid`](crate::SemaphoreSet::last_pid).)
///
/// # References
///
/// semctl(2), `struct sem_array` in the kernel's `ipc/sem.c`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SemaphoreSetStat {
    /// The id that was asked about.
    pub id: SemaphoreSetId,
    /// The key, [`Key::PRIVATE`] when it never had one.
    pub key: Key,
    /// How many semaphores it has: fixed when it was made.
    pub count: usize,
    /// The nine permission bits. The x bits mean nothing, w means changing values.
    pub mode: u32,
    /// The owner, whose mode bits are the first three.
    pub uid: u32,
    /// The owner's group.
    pub gid: u32,
    /// The creator, who keeps the rights of an owner for ever.
    pub creator_uid: u32,
    /// The creator's group.
    pub creator_gid: u32,
    /// `sem_otime`: when an operation last succeeded (or was undone at an exit), `None` when none ever did.
    /// That SETVAL and SETALL do not count is what makes it good for
    /// [telling that a set is initialised](crate::SemaphoreSet::wait_until_initialised).
    pub operated_at: Option<SystemTime>,
    /// `sem_ctime`: when it was made, or its owner, its mode or (by SETVAL or SETALL) its values last
    /// changed.
    pub changed_at: SystemTime,
}

impl SemaphoreSetStat {
    /// Reads what the kernel filled in for `id`.
    pub(crate) fn new(id: SemaphoreSetId, raw: &SetInfo) -> Self {
        Self {
            id,
            key: Key::new(raw.permissions.key),
            count: raw.count,
            mode: raw.permissions.mode & 0o777,
            uid: raw.permissions.uid,
            gid: raw.permissions.gid,
            creator_uid: raw.permissions.creator_uid,
            creator_gid: raw.permissions.creator_gid,
            operated_at: time(raw.operated_at),
            changed_at: time(raw.changed_at).unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }
}
