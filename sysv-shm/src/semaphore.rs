//! Semaphores: numbers in the kernel that processes wait for, and System V's answer to a dead lock owner.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use libc::c_int;

use crate::error::Result;
use crate::{Key, sys};

mod operation;
pub use operation::Operation;

mod options;
pub use options::SemaphoreSetOptions;

mod stat;
pub use stat::SemaphoreSetStat;

mod values;

mod handshake;

mod lock;
pub use lock::SemaphoreLock;

mod diagnosis;

/// A semaphore set's id: what `semget` gives, and what every other call takes.
///
/// Ids of sets and of segments are counted apart: a set and a segment can have the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SemaphoreSetId(i32);

impl SemaphoreSetId {
    /// The id with this number, which may name nothing.
    #[must_use]
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// The number, as `semop` and `semctl` take it.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for SemaphoreSetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A set of semaphores: numbers from 0 to 32767 that belong to an IPC namespace, not to any process.
///
/// Found by a key as a segment is (keys of sets and keys of segments are two different worlds), and like one
/// it stays until somebody removes it. This is a handle: it is copied freely, and dropping it does nothing.
///
/// # Examples
///
/// ```
/// use sysv_shm::{Key, Operation, SemaphoreSet};
///
/// let set = SemaphoreSet::create_new(Key::PRIVATE, 2)?.remove_on_drop();
/// set.initialise(&[1, 10])?; // a lock, and ten places
///
/// // Both or none: a place is never held by somebody who waits for the lock.
/// set.operate(&[Operation::take(0).undo(), Operation::take(1).undo()])?;
/// assert_eq!(set.get_all()?, [0, 9]);
/// assert!(set.try_operate(&[Operation::take(0)]).unwrap_err().is_would_block());
/// # Ok::<(), sysv_shm::Error>(())
/// ```
///
/// # References
///
/// semget(2), semop(2), semctl(2), sysvipc(7); the kernel's `ipc/sem.c`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SemaphoreSet {
    /// What the kernel calls it.
    id: SemaphoreSetId,
}

impl SemaphoreSet {
    /// `semget(key, count, IPC_CREAT | 0600)` - finds the set that has `key`, or makes it.
    ///
    /// The values of a new set are 0 on Linux, and unspecified by POSIX; either way the set is not ready yet
    /// when others can already find it. [`create_initialised`](SemaphoreSet::create_initialised) takes care
    /// of that.
    ///
    /// # Errors
    ///
    /// | errno | meaning |
    /// | --- | --- |
    /// | EACCES | the existing set does not let this process read and change it |
    /// | EINVAL | the existing set has fewer semaphores; or there is none and `count` is 0 |
    /// | EINVAL | `count` is above SEMMSL: looked at first, even if the set exists |
    /// | ENOSPC | the namespace has as many semaphores (SEMMNS) or sets (SEMMNI) as it may |
    /// | ENOMEM | no memory |
    #[doc(alias = "semget")]
    pub fn create(key: Key, count: u16) -> Result<Self> {
        SemaphoreSetOptions::new().create(key, count)
    }

    /// `semget(key, count, IPC_CREAT | IPC_EXCL | 0600)` - makes a set under a key that nobody has.
    ///
    /// # Errors
    ///
    /// EEXIST: the key is taken, by whomever. Else as [`create`](SemaphoreSet::create).
    pub fn create_new(key: Key, count: u16) -> Result<Self> {
        SemaphoreSetOptions::new().create_new(key, count)
    }

    /// `semget(key, at_least, 0600)` - finds the set that has `key`, if it has enough semaphores.
    ///
    /// Asks for the right to change it, without which a set is good for little.
    ///
    /// # Errors
    ///
    /// | errno | meaning |
    /// | --- | --- |
    /// | ENOENT | no set of this IPC namespace has the key |
    /// | EINVAL | the set has fewer semaphores; or `at_least` is above SEMMSL, which is looked at first |
    /// | EACCES | the set does not let this process read and change it |
    ///
    /// Refused without a call for [`Key::PRIVATE`], under which `semget` would make a set and not find one.
    pub fn open(key: Key, at_least: u16) -> Result<Self> {
        SemaphoreSetOptions::new().open(key, at_least)
    }

    /// The set with this id, for example one that somebody told us.
    ///
    /// # Errors
    ///
    /// EINVAL: no set of this IPC namespace has the id (any more).
    pub fn from_id(id: SemaphoreSetId) -> Result<Self> {
        match sys::semctl_stat(id.number()) {
            Ok(_) => Ok(Self { id }),
            // What may be done is decided when it is done: a stranger's set is found too.
            Err(errno) => diagnosis::look(id)
                .map(|_| Self { id })
                .ok_or_else(|| diagnosis::control(id, None, "IPC_STAT", errno)),
        }
    }

    /// `semget` with checked arguments.
    fn find_or_make(key: Key, count: u16, flags: c_int) -> Result<Self> {
        match sys::semget(key.number(), count, flags) {
            Ok(id) => Ok(Self { id: SemaphoreSetId::new(id) }),
            Err(errno) => Err(diagnosis::get(key, count, flags, errno)),
        }
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> SemaphoreSetId {
        self.id
    }

    /// `semctl(id, 0, IPC_STAT)` - what the kernel knows of it now.
    ///
    /// # Errors
    ///
    /// EACCES: the mode bits do not let this process read. EINVAL, EIDRM: it was removed.
    pub fn stat(&self) -> Result<SemaphoreSetStat> {
        let raw = sys::semctl_stat(self.id.number())
            .map_err(|errno| diagnosis::control(self.id, None, "IPC_STAT", errno))?;
        Ok(SemaphoreSetStat::new(self.id, &raw))
    }

    /// `semop(id, operations)` - does all of them at one moment, waiting until that is possible.
    ///
    /// All or none: while it waits nothing is changed, and nobody ever sees a part of it. The operations are
    /// tried in order, each on what the ones before it made. Who waits longest for a semaphore is served
    /// first; a big request can still wait for ever while small ones pass it.
    ///
    /// # Errors
    ///
    /// Nothing was changed, whichever it is:
    ///
    /// | errno | meaning |
    /// | --- | --- |
    /// | EINTR | a signal came while this waited, even SIGSTOP; it is never restarted, SA_RESTART or not |
    /// | EIDRM | the set was removed while this waited |
    /// | EINVAL | the id names no set (any more); or no operation was given |
    /// | EAGAIN | an operation that says [`no_wait`](Operation::no_wait) would have to wait |
    /// | ERANGE | a value would be above SEMVMX (32767) |
    /// | ERANGE | the sum of what is to be undone at exit would be beyond what a `short` holds |
    /// | EFBIG | the set has no semaphore with that index |
    /// | E2BIG | more operations than SEMOPM (500) |
    /// | EACCES | the mode bits do not let this process change values (or read, if it only waits for zero) |
    /// | ENOMEM | no memory for what is to be undone |
    #[doc(alias = "semop")]
    pub fn operate(&self, operations: &[Operation]) -> Result<()> {
        self.timed(operations, None)
    }

    /// `semop` with IPC_NOWAIT in each operation - does all of them now, or none.
    ///
    /// # Errors
    ///
    /// EAGAIN ([`is_would_block`](crate::Error::is_would_block)): at least one would have to wait. Else as
    /// [`operate`](SemaphoreSet::operate).
    pub fn try_operate(&self, operations: &[Operation]) -> Result<()> {
        if let [one] = operations {
            return self.timed(&[one.no_wait()], None);
        }
        let operations: Vec<Operation> = operations.iter().map(|operation| operation.no_wait()).collect();
        self.timed(&operations, None)
    }

    /// `semtimedop(id, operations, timeout)` - as [`operate`](SemaphoreSet::operate), but waits no longer
    /// than that.
    ///
    /// # Errors
    ///
    /// EAGAIN ([`is_timed_out`](crate::Error::is_timed_out)): the time is over. Else as
    /// [`operate`](SemaphoreSet::operate). After EINTR nobody says how much of the time is left.
    #[doc(alias = "semtimedop")]
    pub fn operate_for(&self, operations: &[Operation], timeout: Duration) -> Result<()> {
        self.timed(operations, Some(timeout))
    }

    fn timed(&self, operations: &[Operation], timeout: Option<Duration>) -> Result<()> {
        let limit = timeout.map(|timeout| sys::Timeout {
            seconds: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX), // longer than anybody waits
            nanoseconds: timeout.subsec_nanos().into(),
        });
        sys::semtimedop(self.id.number(), operations, limit.as_ref())
            .map_err(|errno| diagnosis::operate(self.id, operations, timeout, errno))
    }

    /// `semctl(id, 0, IPC_RMID)` - destroys the set at once.
    ///
    /// Whoever waits for it wakes with EIDRM, and what processes would have undone is forgotten. Nothing like
    /// a segment's last attachment keeps it alive.
    ///
    /// # Errors
    ///
    /// EPERM: neither owner nor creator. EINVAL, EIDRM: it is gone already.
    pub fn remove(self) -> Result<()> {
        sys::semctl_remove(self.id.number())
            .map_err(|errno| diagnosis::control(self.id, None, "IPC_RMID", errno))
    }

    /// An owner of this set, which removes it when dropped.
    pub fn remove_on_drop(self) -> OwnedSemaphoreSet {
        OwnedSemaphoreSet { set: self, keep: false }
    }
}

/// A set of semaphores that is removed when this is dropped.
///
/// It covers returns, `?` and panics. It does not cover `kill -9`, `abort` or `process::exit`, and a set,
/// unlike a segment, cannot be removed ahead of time: a program that is killed leaves its sets behind.
///
/// After a `fork` both processes hold one, and the first to drop it removes the set.
#[derive(Debug)]
#[must_use = "dropping the owner removes the set"]
pub struct OwnedSemaphoreSet {
    /// What is removed.
    set: SemaphoreSet,
    /// Set when the removal has been done, or given up by [`keep`](OwnedSemaphoreSet::keep).
    keep: bool,
}

impl OwnedSemaphoreSet {
    /// Removes the set now, and says whether that worked.
    ///
    /// # Errors
    ///
    /// As [`SemaphoreSet::remove`]; it is not tried again then.
    pub fn remove(mut self) -> Result<()> {
        self.keep = true;
        self.set.remove()
    }

    /// Gives up ownership: the set stays.
    #[must_use]
    pub fn keep(mut self) -> SemaphoreSet {
        self.keep = true;
        self.set
    }
}

impl Deref for OwnedSemaphoreSet {
    type Target = SemaphoreSet;

    fn deref(&self) -> &SemaphoreSet {
        &self.set
    }
}

impl Drop for OwnedSemaphoreSet {
    fn drop(&mut self) {
        if !self.keep {
            // A destructor has nobody to tell; `remove` tells.
            drop(self.set.remove());
        }
    }
}
