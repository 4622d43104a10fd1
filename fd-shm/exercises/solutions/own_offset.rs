//! Solution: an offset of one's own.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_getfl};

/// A second descriptor for the same memory file, with the same right to read and write and an offset of its
/// own, which begins at 0.
pub(crate) fn own_offset(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mode = fcntl_getfl(fd)? & OFlags::ACCMODE;
    let writes = mode != OFlags::RDONLY;
    let again = File::options()
        .read(mode != OFlags::WRONLY)
        .write(writes)
        .open(format!("/proc/self/fd/{}", fd.as_raw_fd()))?;
    Ok(again.into())
}
