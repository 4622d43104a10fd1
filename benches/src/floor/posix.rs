//! POSIX shared memory in libc's calls.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::os::fd::{FromRawFd, OwnedFd};

use super::memfd;
use crate::Failure;

/// `shm_open(name, O_CREAT | O_EXCL)`, `shm_unlink(name)`, `ftruncate`: a file in `/dev/shm` that has no name
/// any more.
///
/// It is unlinked at once, before anybody could be killed and leave it; who joins by name has to be quicker
/// than that, or the name has to stay.
pub(crate) fn create(name: &CStr, size: usize) -> Result<OwnedFd, Failure> {
    let fd = {
        // SAFETY: the name ends with a NUL, by its type.
        unsafe { libc::shm_open(name.as_ptr(), libc::O_CREAT | libc::O_EXCL | libc::O_RDWR, 0o600) }
    };
    if fd < 0 {
        return Err(Failure::last(format!("shm_open({}, O_CREAT | O_EXCL)", name.to_string_lossy())));
    }
    // SAFETY: just made, and nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: the name ends with a NUL, by its type.
    if unsafe { libc::shm_unlink(name.as_ptr()) } < 0 {
        return Err(Failure::last(format!("shm_unlink({})", name.to_string_lossy())));
    }
    memfd::set_len(&fd, size)?;
    Ok(fd)
}
