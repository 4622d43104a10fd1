//! The one system call here that no crate wraps.
#![allow(unsafe_code)]

use std::io;

/// `close_range(3, ~0, CLOSE_RANGE_CLOEXEC)` - marks every descriptor above standard error as close-on-exec.
///
/// A program that this process starts then begins with 0, 1 and 2 alone, whatever we ourselves inherited; so the
/// numbers that it gets, and prints, are the same on every run.
///
/// # Errors
///
/// `EINVAL` or `ENOSYS` on kernels before 5.11.
///
/// # References
///
/// `close_range(2)`
pub(crate) fn close_inherited_on_exec() -> io::Result<()> {
    // SAFETY: close_range(2) with CLOSE_RANGE_CLOEXEC touches no memory and closes nothing in this process.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
