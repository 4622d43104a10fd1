//! Creation is not initialisation: how those who find a set know that its values are meant.
//!
//! `semget` makes a set, and a second call gives it its values. In between, others find it. What tells the
//! two states apart is `sem_otime`: 0 until a `semop` has succeeded, and untouched by SETVAL and SETALL. So
//! whoever makes a set does its *last* step of initialising by a `semop`, and whoever finds one waits for
//! that.

use std::num::NonZeroI16;
use std::time::{Duration, Instant};

use super::diagnosis;
use crate::error::{Cause, Error, Result};
use crate::{Key, Operation, SemaphoreSet};

/// How often a waiting opener looks at `sem_otime` where nothing wakes it.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Waits until semaphore 0 is above 0, and always fails with EAGAIN when it is: 1 is taken, given back, and
/// then zero demanded of what cannot be zero. Nothing is changed, not even `sem_otime`.
const WAKE_ABOVE_ZERO: [Operation; 3] =
    [Operation::take(0), Operation::add(0), Operation::wait_for_zero(0).no_wait()];

/// Waits for more than a semaphore can have: until its time is over, or the set is removed.
const WAKE_NEVER: [Operation; 1] = [Operation::change(0, NonZeroI16::MIN)];

impl SemaphoreSet {
    /// Finds the set that has `key`, initialised; or makes it and gives it these values. One of all who call
    /// this at the same time makes it, the others wait for that one, as
    /// [`wait_until_initialised`](SemaphoreSet::wait_until_initialised) says.
    ///
    /// # Errors
    ///
    /// As [`create`](SemaphoreSet::create), [`initialise`](SemaphoreSet::initialise) and
    /// [`wait_until_initialised`](SemaphoreSet::wait_until_initialised). A set that was made here and could
    /// not be initialised is removed.
    pub fn create_initialised(key: Key, values: &[u16], patience: Duration) -> Result<Self> {
        let count = u16::try_from(values.len()).map_err(|_| {
            let call = format!("semget({key}, {}, IPC_CREAT | IPC_EXCL | 0600)", values.len());
            Error::refused(call, Cause::Invalid, "semaphores are numbered by 16 bits")
        })?;
        loop {
            match Self::create_new(key, count) {
                Ok(set) => {
                    let guard = set.remove_on_drop();
                    guard.initialise(values)?;
                    return Ok(guard.keep());
                }
                Err(error) if error.is_already_exists() => {}
                Err(error) => return Err(error),
            }
            match Self::open(key, count) {
                Ok(set) => {
                    set.wait_until_initialised(patience)?;
                    return Ok(set);
                }
                Err(error) if error.is_not_found() => {} // removed in between: try to make it again
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives a set that this process has just made its values, so that others can tell: `SETALL`, but for
    /// semaphore 0, whose value is then added by a `semop`.
    ///
    /// A creator that is killed before the end leaves a set that nobody takes for initialised.
    ///
    /// # Errors
    ///
    /// As [`set_all`](SemaphoreSet::set_all) and [`operate`](SemaphoreSet::operate). Nothing is set when a
    /// value is above 32767.
    pub fn initialise(&self, values: &[u16]) -> Result<()> {
        let mut rest = values.to_vec();
        let last = match rest.first_mut().map(std::mem::take).map(i16::try_from) {
            None => return self.set_all(values), // which says how many there should be
            Some(Err(_)) => return self.set(0, values[0]), // which says that it is too much
            Some(Ok(first)) => match NonZeroI16::new(first) {
                Some(first) => Operation::change(0, first),
                None => Operation::wait_for_zero(0), // which it is: this only sets the time
            },
        };
        self.set_all(&rest)?;
        self.operate(&[last])
    }

    // ANCHOR: wait
    /// Waits until somebody has done an operation on this set, which is how its creator says that the values
    /// are meant. Changes nothing.
    ///
    /// It sleeps in the kernel until semaphore 0 is above 0, and looks every 10 ms for those sets where it
    /// stays 0. Needs the right to read and to change.
    ///
    /// # Errors
    ///
    /// [`is_uninitialised`](Error::is_uninitialised): not within `patience`; perhaps the creator was killed,
    /// and the set has to be removed. EINVAL, EIDRM: it was removed. EACCES: not permitted.
    pub fn wait_until_initialised(&self, patience: Duration) -> Result<()> {
        let begin = Instant::now();
        loop {
            let first = self.get(0)?;
            if self.stat()?.operated_at.is_some() {
                return Ok(());
            }
            let left = patience.saturating_sub(begin.elapsed());
            if left.is_zero() {
                return Err(diagnosis::uninitialised(self.id(), patience));
            }
            // A creator may set values long before it says that they are meant: then there is nothing to wait
            // for but the time.
            let wait = if first == 0 { &WAKE_ABOVE_ZERO[..] } else { &WAKE_NEVER };
            match self.operate_for(wait, left.min(LOOK_AGAIN)) {
                Err(error) if error.is_timed_out() || error.is_would_block() || error.is_interrupted() => {}
                other => other?,
            }
        }
    }
    // ANCHOR_END: wait
}
