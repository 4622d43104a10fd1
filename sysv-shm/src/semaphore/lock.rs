//! A lock made of one semaphore.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::{Operation, SemaphoreSet};

/// A lock that is held: one taken from a semaphore, and given back when this is dropped or the process ends.
///
/// See [`SemaphoreSet::lock`]. Dropping tells nobody when the release fails;
/// [`unlock`](SemaphoreLock::unlock) does. A child made by `fork` inherits a copy of this value and not the
/// lock: it has to forget the copy (`std::mem::forget`), for dropping it would release what the parent holds.
#[derive(Debug)]
#[must_use = "dropping the lock releases it"]
pub struct SemaphoreLock {
    /// The set that the semaphore is of.
    set: SemaphoreSet,
    /// Which semaphore.
    index: u16,
}

impl SemaphoreSet {
    /// `semop(id, {index, -1, SEM_UNDO})` - takes a lock, waiting for it. A signal does not end the waiting.
    ///
    /// The semaphore has to be initialised to 1 (or to n, for a resource that n may use at a time). When the
    /// owner dies, by `kill -9` too, the kernel adds the 1 again, and the next one gets in. That is all it
    /// does:
    ///
    /// * the next owner is **not told**. What the lock protects may be half changed; if that matters, the
    ///   data must say so (a word set before a change and cleared after it);
    /// * *owner* means a process, all its threads together: a thread that ends releases nothing. Exactly:
    ///   those that share one undo list, `clone`'s CLONE_SYSVSEM, which is what threads do;
    /// * nothing keeps others from releasing what they do not hold. It is a counter, not a mutex.
    ///
    /// # Errors
    ///
    /// As [`operate`](SemaphoreSet::operate), without EINTR.
    ///
    /// # Examples
    ///
    /// ```
    /// use sysv_shm::{Key, SemaphoreSet};
    ///
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, 1)?.remove_on_drop();
    /// set.initialise(&[1])?;
    /// let held = set.lock(0)?;
    /// assert!(set.try_lock(0).unwrap_err().is_would_block());
    /// drop(held);
    /// assert_eq!(set.get(0)?, 1);
    /// # Ok::<(), sysv_shm::Error>(())
    /// ```
    pub fn lock(&self, index: u16) -> Result<SemaphoreLock> {
        loop {
            match self.operate(&[Operation::take(index).undo()]) {
                Err(error) if error.is_interrupted() => {}
                taken => return taken.map(|()| SemaphoreLock { set: *self, index }),
            }
        }
    }

    /// `semop(id, {index, -1, SEM_UNDO | IPC_NOWAIT})` - takes a lock if that is possible now.
    ///
    /// # Errors
    ///
    /// EAGAIN ([`is_would_block`](crate::Error::is_would_block)): somebody has it. Else as
    /// [`lock`](SemaphoreSet::lock).
    pub fn try_lock(&self, index: u16) -> Result<SemaphoreLock> {
        self.try_operate(&[Operation::take(index).undo()])?;
        Ok(SemaphoreLock { set: *self, index })
    }

    /// `semtimedop(id, {index, -1, SEM_UNDO}, timeout)` - takes a lock, and waits for it no longer than that.
    ///
    /// # Errors
    ///
    /// EAGAIN ([`is_timed_out`](crate::Error::is_timed_out)): the time is over. Else as
    /// [`lock`](SemaphoreSet::lock).
    pub fn lock_for(&self, index: u16, timeout: Duration) -> Result<SemaphoreLock> {
        let begin = Instant::now();
        loop {
            let left = timeout.saturating_sub(begin.elapsed());
            match self.operate_for(&[Operation::take(index).undo()], left) {
                Err(error) if error.is_interrupted() => {}
                taken => return taken.map(|()| SemaphoreLock { set: *self, index }),
            }
        }
    }
}

impl SemaphoreLock {
    /// `semop(id, {index, +1, SEM_UNDO})` - releases the lock, and says whether that worked.
    ///
    /// # Errors
    ///
    /// As [`SemaphoreSet::operate`]; it never waits. It is not tried again then.
    pub fn unlock(self) -> Result<()> {
        let result = self.release();
        std::mem::forget(self); // dropping would release once more
        result
    }

    /// SEM_UNDO here too, or the kernel would release once more when the process ends.
    fn release(&self) -> Result<()> {
        self.set.operate(&[Operation::add(self.index).undo()])
    }
}

impl Drop for SemaphoreLock {
    fn drop(&mut self) {
        // A destructor has nobody to tell; that the set was removed meanwhile is the usual failure.
        drop(self.release());
    }
}
