//! The calls of a robust mutex that need more than one line: making one, and waiting for one with an end.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::time::Duration;

use libc::{pthread_mutex_t, timespec};
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::error::{Error, Result};

/// `pthread_mutex_init`, with the attributes that another process and a death need.
pub(super) fn init(mutex: *mut pthread_mutex_t) -> Result<()> {
    let done = |call: &str, answer: c_int| match answer {
        0 => Ok(()),
        errno => Err(Error::system(call, errno, &[])),
    };
    let mut attributes = MaybeUninit::uninit();
    let attributes = attributes.as_mut_ptr();
    // SAFETY: room for attributes.
    done("pthread_mutexattr_init()", unsafe { libc::pthread_mutexattr_init(attributes) })?;
    // SAFETY: initialised above, as for the next three.
    let shared = unsafe { libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED) };
    // SAFETY: see above.
    let robust = unsafe { libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST) };
    // SAFETY: see above.
    let checked = unsafe { libc::pthread_mutexattr_settype(attributes, libc::PTHREAD_MUTEX_ERRORCHECK) };
    // SAFETY: room for a mutex, in a new region that nobody else has yet.
    let made = unsafe { libc::pthread_mutex_init(mutex, attributes) };
    // SAFETY: initialised above, and not used again.
    let destroyed = unsafe { libc::pthread_mutexattr_destroy(attributes) };
    done("pthread_mutexattr_setpshared(PTHREAD_PROCESS_SHARED)", shared)?;
    done("pthread_mutexattr_setrobust(PTHREAD_MUTEX_ROBUST)", robust)?;
    done("pthread_mutexattr_settype(PTHREAD_MUTEX_ERRORCHECK)", checked)?;
    done("pthread_mutex_init()", made)?;
    done("pthread_mutexattr_destroy()", destroyed)
}

/// `timeout` from now on, as [`lock_until`] counts; nothing when that is more than can be counted.
pub(super) fn end_of(timeout: Duration) -> Option<timespec> {
    let end = clock_gettime(CLOCK).checked_add(Timespec::try_from(timeout).ok()?)?;
    #[allow(clippy::useless_conversion)] // with 32 bits some have a `time_t` and a `long` of 32
    Some(timespec { tv_sec: end.tv_sec.try_into().ok()?, tv_nsec: end.tv_nsec.try_into().ok()? })
}

/// The clock that nobody can set.
#[cfg(target_env = "gnu")]
const CLOCK: ClockId = ClockId::Monotonic;

/// The only clock that other libcs offer.
#[cfg(not(target_env = "gnu"))]
const CLOCK: ClockId = ClockId::Realtime;

/// `pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, end)`, which the crate `libc` does not declare.
///
/// # Safety
///
/// An initialised mutex, whose users all play by its rules.
#[cfg(target_env = "gnu")]
pub(super) unsafe fn lock_until(mutex: *mut pthread_mutex_t, end: &timespec) -> c_int {
    unsafe extern "C" {
        fn pthread_mutex_clocklock(
            mutex: *mut pthread_mutex_t,
            clock: libc::clockid_t,
            end: *const timespec,
        ) -> c_int;
    }
    // SAFETY: the mutex is the caller's promise; the time is read and not kept.
    unsafe { pthread_mutex_clocklock(mutex, libc::CLOCK_MONOTONIC, end) }
}

/// `pthread_mutex_timedlock(mutex, end)`.
///
/// # Safety
///
/// An initialised mutex, whose users all play by its rules.
#[cfg(not(target_env = "gnu"))]
pub(super) unsafe fn lock_until(mutex: *mut pthread_mutex_t, end: &timespec) -> c_int {
    // SAFETY: the mutex is the caller's promise; the time is read and not kept.
    unsafe { libc::pthread_mutex_timedlock(mutex, end) }
}
