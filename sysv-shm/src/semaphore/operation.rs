//! What can be done to a semaphore.

use std::fmt;
use std::num::NonZeroI16;

use libc::c_short;

use crate::sys::{IPC_NOWAIT, SEM_UNDO};

/// `struct sembuf` - one operation of a `semop`: change a semaphore's value, or wait until it is zero.
///
/// A value never falls below 0: taking from a semaphore that has too little *waits*. It never rises above
/// 32767 (SEMVMX): adding to one that has too much is an error.
///
/// # Examples
///
/// ```
/// use sysv_shm::Operation;
///
/// let lock = Operation::take(0).undo();
/// assert_eq!(lock.to_string(), "{0, -1, SEM_UNDO}"); // as it would be written in C
/// ```
///
/// # References
///
/// semop(2); the kernel's `ipc/sem.c`, `perform_atomic_semop`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Operation {
    /// Which semaphore of the set: `sem_num`.
    index: u16,
    /// What is added to its value, 0 to wait for zero: `sem_op`.
    change: i16,
    /// SEM_UNDO and IPC_NOWAIT: `sem_flg`.
    flags: c_short,
}

// The kernel reads operations as they are.
const _: () = assert!(size_of::<Operation>() == 6);

impl Operation {
    /// Takes 1 from a semaphore, waiting while it is 0: the P of the textbooks.
    #[must_use]
    pub const fn take(index: u16) -> Self {
        Self { index, change: -1, flags: 0 }
    }

    /// Adds 1 to a semaphore, which never waits: the V of the textbooks.
    #[must_use]
    pub const fn add(index: u16) -> Self {
        Self { index, change: 1, flags: 0 }
    }

    /// Adds `by` to a semaphore; waits while that would make it negative.
    ///
    /// Not zero, because a `sembuf` with 0 means something else: [`wait_for_zero`](Operation::wait_for_zero).
    #[must_use]
    pub const fn change(index: u16, by: NonZeroI16) -> Self {
        Self { index, change: by.get(), flags: 0 }
    }

    /// Waits until a semaphore is 0, and changes nothing: all others it takes write permission for, this one
    /// read permission.
    #[must_use]
    pub const fn wait_for_zero(index: u16) -> Self {
        Self { index, change: 0, flags: 0 }
    }

    /// SEM_UNDO: the kernel takes the change back when this process ends, however it ends.
    ///
    /// What is taken back is the *sum* of all changes that were marked so, on this semaphore by this process:
    /// taking and adding must both be marked, or what is left of the sum is applied at exit. See
    /// [`SemaphoreSet::lock`](crate::SemaphoreSet::lock) for what that is good for, and what not.
    #[must_use]
    pub const fn undo(mut self) -> Self {
        self.flags |= SEM_UNDO;
        self
    }

    /// IPC_NOWAIT: where this operation would have to wait, nothing at all is done, and the call fails with
    /// EAGAIN.
    #[must_use]
    pub const fn no_wait(mut self) -> Self {
        self.flags |= IPC_NOWAIT;
        self
    }

    /// Which semaphore of the set.
    #[must_use]
    pub const fn index(self) -> u16 {
        self.index
    }

    /// Whether it says [`no_wait`](Operation::no_wait).
    pub(super) const fn waits_never(self) -> bool {
        self.flags & IPC_NOWAIT != 0
    }

    /// What it adds to the value; 0 when it waits for zero.
    #[must_use]
    pub const fn by(self) -> i16 {
        self.change
    }
}

/// As an initialiser of a `struct sembuf`.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = match (self.flags & SEM_UNDO != 0, self.flags & IPC_NOWAIT != 0) {
            (false, false) => "0",
            (true, false) => "SEM_UNDO",
            (false, true) => "IPC_NOWAIT",
            (true, true) => "SEM_UNDO | IPC_NOWAIT",
        };
        write!(f, "{{{}, {}, {flags}}}", self.index, self.change)
    }
}
