//! `/proc/<pid>/fd/N`: the receiver opens the file that the holder has open.
//!
//! It is the same memory and a *new* open file: an offset, status flags and access mode of its own. So it is
//! no handing over at all: a holder who had been given a read-only descriptor can be asked past, and the file
//! is opened for writing if its mode bits say so. A seal is what holds then, the access mode does not.
//!
//! The kernel decides by the rules for *reading* a process: same user, no more capabilities, dumpable. Yama
//! is not asked. And because opening is an act (a device may do something, a named pipe waits), this module
//! first takes hold of the file without opening it, and opens none but regular files; and where somebody has
//! a lease on one (`F_SETLEASE`), whose end the opener would be made to wait for, it does not wait.
//!
//! # Examples
//!
//! ```
//! use std::os::fd::{AsFd, AsRawFd};
//!
//! use fd_shm::handover::{Pull, procfs};
//! use fd_shm::{Region, same_open_file};
//!
//! let region = Region::create("frames", 4096)?;
//! let (here, number) = (std::process::id(), region.as_fd().as_raw_fd());
//! let opened = procfs::Process::open(here)?.pull(number)?;
//! assert!(!same_open_file((here, number), (here, opened.as_raw_fd()))?);
//! assert_eq!(Region::from_fd(opened)?.len(), 4096);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # References
//!
//! `proc_pid_fd(5)`; `fs/proc/fd.c`, `fs/proc/base.c` (`proc_pid_get_link`, `proc_fd_access_allowed`).

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use rustix::fs::{FileType, Mode, OFlags, fstat, open, openat};

use super::{Pull, target};
use crate::error::{Error, Kind, Meanings, Result};

/// What the kernel means when it does not show the process.
const PROCESS: Meanings = &[
    (Errno::ENOENT, Kind::Gone, "no such process, or no /proc of this pid namespace is mounted here"),
    (Errno::EMFILE, Kind::TableFull, "this process's table is full"),
];

/// What the kernel means when it does not lead to the file.
const FIND: Meanings = &[
    (Errno::ENOENT, Kind::NotFound, "the other process has no such descriptor"),
    (Errno::ESRCH, Kind::Gone, "the other process has ended"),
    (
        Errno::EACCES,
        Kind::PermissionDenied,
        "the other process belongs to another user, has more capabilities, or has made itself undumpable; \
         CAP_SYS_PTRACE would do",
    ),
    (Errno::EMFILE, Kind::TableFull, "this process's table is full; nothing was opened"),
];

/// What the kernel means when it leads to the file and does not open it.
const OPEN: Meanings = &[
    (Errno::EACCES, Kind::PermissionDenied, "the file's mode bits do not let this user in"),
    (Errno::EPERM, Kind::PermissionDenied, "the file was marked immutable or append-only"),
    (Errno::EAGAIN, Kind::WouldBlock, "somebody has a lease on the file, and would be waited for"),
    (Errno::EMFILE, Kind::TableFull, "this process's table is full; nothing was opened"),
];

/// A process, held by its folder in `/proc`: it stays *this* process, whoever gets its number after it.
#[derive(Debug)]
pub struct Process {
    /// For messages.
    pid: u32,
    /// `/proc/<pid>`, close-on-exec.
    folder: OwnedFd,
}

impl Process {
    /// `open(/proc/<pid>, O_PATH)` - takes hold of a process. This gives no permission.
    ///
    /// The pid is meant as the mounted `/proc` counts: one of another pid
    /// namespace has another process there.
    ///
    /// # Errors
    ///
    /// ENOENT ([`is_gone`](Error::is_gone)) when there is no such process, or it is hidden from this user;
    /// EMFILE ([`is_table_full`](Error::is_table_full)).
    pub fn open(pid: u32) -> Result<Self> {
        let call = || format!("open(/proc/{pid}, O_PATH)");
        target::pid(call, pid)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = open(format!("/proc/{pid}"), flags, Mode::empty())
            .map_err(|errno| Error::system(call(), errno.raw_os_error(), PROCESS))?;
        Ok(Self { pid, folder })
    }

    /// `open(/proc/<pid>/fd/<number>, O_RDONLY)` - opens the file once more, for reading.
    ///
    /// # Errors
    ///
    /// Those of [`pull`](Pull::pull).
    pub fn pull_read_only(&self, number: RawFd) -> Result<OwnedFd> {
        self.open_file(number, OFlags::RDONLY, "O_RDONLY")
    }

    fn open_file(&self, number: RawFd, access: OFlags, name: &str) -> Result<OwnedFd> {
        let call = |flags: &str| format!("open(/proc/{}/fd/{number}, {flags})", self.pid);
        let number = target::number(|| call(name), number)?;
        let found =
            openat(&self.folder, format!("fd/{number}"), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                .map_err(|errno| Error::system(call("O_PATH"), errno.raw_os_error(), FIND))?;
        let kind = fstat(&found).map(|stat| FileType::from_raw_mode(stat.st_mode));
        if kind != Ok(FileType::RegularFile) {
            let text = "no regular file: opening anything else may wait, or do something";
            return Err(Error::refused(call("O_PATH"), Kind::NotARegion, text));
        }
        // The file that was looked at, not whatever the number stands for by now. O_NONBLOCK means nothing to
        // a regular file, but that a lease is not waited for.
        let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC;
        open(format!("/proc/self/fd/{}", found.as_raw_fd()), flags, Mode::empty())
            .map_err(|errno| Error::system(call(name), errno.raw_os_error(), OPEN))
    }
}

impl Pull for Process {
    /// `open(/proc/<pid>/fd/<number>, O_RDWR)` - opens the file once more, for reading and writing.
    ///
    /// # Errors
    ///
    /// * EACCES ([`is_permission_denied`](Error::is_permission_denied)) when this process may not look into
    ///   the other, or the file's mode bits forbid it;
    /// * ENOENT ([`is_not_found`](Error::is_not_found)) when the number is not open there;
    /// * ESRCH ([`is_gone`](Error::is_gone)) when the process has ended;
    /// * [`is_not_a_region`](Error::is_not_a_region) for a pipe, a socket, a device: they are not opened;
    /// * EAGAIN ([`is_would_block`](Error::is_would_block)) when the holder, or another, has a lease on the
    ///   file: the kernel would have us wait for up to 45 s;
    /// * EMFILE ([`is_table_full`](Error::is_table_full)): nothing is lost, and it can be tried again.
    fn pull(&self, number: RawFd) -> Result<OwnedFd> {
        self.open_file(number, OFlags::RDWR, "O_RDWR")
    }
}
