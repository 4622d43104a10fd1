//! What the kernel knows of one set of semaphores.

use std::time::{Duration, SystemTime};

use libc::semid_ds;

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
    pub(crate) fn new(id: SemaphoreSetId, raw: &semid_ds) -> Self {
        Self {
            id,
            key: Key::new(raw.sem_perm.__key),
            count: usize::try_from(raw.sem_nsems).unwrap_or(usize::MAX), // an `int` in the kernel
            mode: u32::from(raw.sem_perm.mode) & 0o777,
            uid: raw.sem_perm.uid,
            gid: raw.sem_perm.gid,
            creator_uid: raw.sem_perm.cuid,
            creator_gid: raw.sem_perm.cgid,
            operated_at: time(raw.sem_otime),
            changed_at: time(raw.sem_ctime).unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }
}

/// Seconds since 1970, where 0 means never.
fn time(seconds: i64) -> Option<SystemTime> {
    let since = u64::try_from(seconds).ok().filter(|&seconds| seconds != 0)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(since))
}
