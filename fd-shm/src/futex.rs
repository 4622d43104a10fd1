//! `futex`: sleeping until a word in shared memory changes, and waking those who sleep on it.
//!
//! The word is the state, the kernel only keeps the sleepers: a wait is refused when the word has changed
//! already, so a wake-up cannot fall between the look and the sleep. The sleepers are found by the page and
//! the offset in it, so processes that have the word at different addresses meet all the same.
//!
//! ```
//! use std::sync::atomic::{AtomicU32, Ordering};
//!
//! use fd_shm::futex;
//!
//! let region = fd_shm::Region::create("door", 4096)?;
//! let (ours, theirs) = (region.map::<AtomicU32>()?, region.map::<AtomicU32>()?);
//! std::thread::scope(|scope| {
//!     scope.spawn(|| {
//!         theirs.store(1, Ordering::Release); // first the word,
//!         futex::wake(&theirs, 1) // then the sleeper
//!     });
//!     while ours.load(Ordering::Acquire) == 0 {
//!         futex::wait(&ours, 0, None)?; // whatever ended it: look again
//!     }
//!     Ok::<(), fd_shm::Error>(())
//! })?;
//! # Ok::<(), fd_shm::Error>(())
//! ```

use std::sync::atomic::AtomicU32;
use std::time::Duration;

use nix::errno::Errno;
use rustix::thread::futex::{self, Flags, Timespec};

use crate::error::{Error, Kind, Meanings, Result};

/// What the kernel means when it does not find the word. A reference is aligned and mapped, so neither is
/// known to happen.
const FUTEX: Meanings = &[
    (Errno::EINVAL, Kind::InvalidInput, "the word is not aligned to four bytes"),
    (Errno::EFAULT, Kind::InvalidInput, "the word is not mapped"),
];

/// Why a wait ended. None of the three says anything about the word: look at it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Somebody woke this thread, or a signal did.
    Woken,
    /// The word held another value already, so there was no sleep.
    Changed,
    /// The time passed.
    TimedOut,
}

/// `futex(word, FUTEX_WAIT, value, timeout)` - sleeps while `word` holds `value`, until it is woken, and no
/// longer than `timeout`.
///
/// A wake-up is a hint. Signals end a sleep, and so does whoever else can write the word and feels like it,
/// so call this in a loop round the condition. Without a timeout, a peer that never wakes is waited for for
/// ever: for peers that are not trusted, bound every wait. Time counts as `CLOCK_MONOTONIC` does.
///
/// # Errors
///
/// None known.
///
/// # References
///
/// `futex(2)`, `FUTEX_WAIT`; `kernel/futex/waitwake.c` (`futex_wait_setup`, the look before the sleep),
/// `kernel/futex/core.c` (`get_futex_key`, how two processes mean one word).
#[doc(alias = "FUTEX_WAIT")]
pub fn wait(word: &AtomicU32, value: u32, timeout: Option<Duration>) -> Result<Wait> {
    // More seconds than the kernel can count are no limit.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    // No FUTEX_PRIVATE_FLAG: it would look for sleepers of this process alone.
    match futex::wait(word, Flags::empty(), value, timeout.as_ref()) {
        Ok(()) | Err(rustix::io::Errno::INTR) => Ok(Wait::Woken),
        Err(rustix::io::Errno::AGAIN) => Ok(Wait::Changed),
        Err(rustix::io::Errno::TIMEDOUT) => Ok(Wait::TimedOut),
        Err(e) => Err(Error::system(format!("futex(FUTEX_WAIT, {value})"), e.raw_os_error(), FUTEX)),
    }
}

/// `futex(word, FUTEX_WAKE, most)` - wakes up to `most` of those who sleep on `word`, in whatever process,
/// and says how many.
///
/// Store first, wake then: the other order loses whoever went to sleep in between.
///
/// # Errors
///
/// None known.
///
/// # References
///
/// `futex(2)`, `FUTEX_WAKE`; `kernel/futex/waitwake.c` (`futex_wake`).
#[doc(alias = "FUTEX_WAKE")]
pub fn wake(word: &AtomicU32, most: u32) -> Result<usize> {
    if most == 0 {
        return Ok(0); // the kernel counts after the first, and would wake one
    }
    // The kernel's count is an `int`, and a negative one wakes one.
    futex::wake(word, Flags::empty(), most.min(i32::MAX.unsigned_abs()))
        .map_err(|e| Error::system(format!("futex(FUTEX_WAKE, {most})"), e.raw_os_error(), FUTEX))
}
