//! Other processes in libc's calls: forked, waited for, and reached into.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::Failure;

/// A child, by its pid, which is ours until it is waited for.
#[derive(Debug)]
pub(crate) struct Child(libc::pid_t);

/// `fork()`; the child does `work` and ends, with status 0 where that succeeded.
///
/// `work` must not allocate, lock or print: another thread may have held the lock that it would need.
pub(crate) fn fork(work: impl FnOnce() -> bool) -> Result<Child, Failure> {
    // SAFETY: the child calls `work`, which keeps to what is allowed between fork and exec, and `_exit`.
    match unsafe { libc::fork() } {
        -1 => Err(Failure::last("fork()")),
        0 => {
            let status = i32::from(!work());
            // SAFETY: ends the child; nothing that was copied into it is put away twice.
            unsafe { libc::_exit(status) }
        }
        pid => Ok(Child(pid)),
    }
}

impl Child {
    /// `waitpid(pid)` - waits until it has ended, and well.
    pub(crate) fn wait(self) -> Result<(), Failure> {
        let mut status = 0;
        // SAFETY: waitpid writes one int.
        let ended = unsafe { libc::waitpid(self.0, &raw mut status, 0) };
        match (ended, status) {
            (-1, _) => Err(Failure::last(format!("waitpid({})", self.0))),
            (_, 0) => Ok(()),
            (_, status) => Err(Failure::new(format!("the child {} ended with {status:#x}", self.0))),
        }
    }
}

/// A child that sleeps until it is killed, on drop or when this process ends.
#[derive(Debug)]
pub(crate) struct Sleeper(libc::pid_t);

impl Sleeper {
    /// `fork()`, and `pause()` in the child.
    pub(crate) fn start() -> Result<Self, Failure> {
        // SAFETY: getpid(2) takes nothing.
        let parent = unsafe { libc::getpid() };
        let child = fork(|| {
            // SAFETY: the kernel is asked for a signal, which is a number.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            // SAFETY: getppid(2) takes nothing. The parent may have ended before the line above.
            while unsafe { libc::getppid() } == parent {
                // SAFETY: pause(2) takes nothing.
                unsafe { libc::pause() };
            }
            true
        })?;
        Ok(Self(child.0))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // SAFETY: our child, not yet waited for, so the number is still its own.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
        // SAFETY: no status is asked for.
        unsafe { libc::waitpid(self.0, std::ptr::null_mut(), 0) };
    }
}

/// `fcntl(fd, F_SETFD, 0)` in the child that `command` starts: the descriptor stays open behind the exec.
pub(crate) fn keep_open(command: &mut Command, fd: BorrowedFd<'_>) {
    let number = fd.as_raw_fd();
    let keep = move || {
        // SAFETY: F_SETFD takes a number.
        match unsafe { libc::fcntl(number, libc::F_SETFD, 0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: what runs between fork and exec is one system call.
    unsafe { command.pre_exec(keep) };
}

/// The descriptor that the program before this one has left open.
///
/// # Safety
///
/// If it is open, nobody else in this program owns it.
pub(crate) unsafe fn inherited(number: i32) -> Result<OwnedFd, Failure> {
    // SAFETY: F_SETFD takes a number, and says EBADF where nothing is open.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(Failure::last(format!("fcntl({number}, F_SETFD, FD_CLOEXEC)")));
    }
    // SAFETY: open, and nobody else's by the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// `write(fd, bytes)` behind a fork: no more than the call, and whether it wrote all.
pub(crate) fn put(mut to: &io::PipeWriter, bytes: &[u8]) -> bool {
    to.write(bytes).is_ok_and(|len| len == bytes.len())
}

/// `pidfd_open(pid)`.
pub(crate) fn open_pidfd(pid: u32) -> Result<OwnedFd, Failure> {
    // SAFETY: pidfd_open(2) takes numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    owned(fd, || format!("pidfd_open({pid})"))
}

/// `pidfd_getfd(pidfd, number)` - the same open file, under a number of ours.
pub(crate) fn get_fd(pidfd: BorrowedFd<'_>, number: i32) -> Result<OwnedFd, Failure> {
    // SAFETY: pidfd_getfd(2) takes numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0) };
    owned(fd, || format!("pidfd_getfd(pidfd, {number})"))
}

/// `open(/proc/<pid>/fd/<number>, O_RDWR)` - the file once more, by its path.
pub(crate) fn open_file_of(path: &CStr) -> Result<OwnedFd, Failure> {
    // SAFETY: the path ends with a NUL, by its type.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    owned(fd.into(), || format!("open({}, O_RDWR)", path.to_string_lossy()))
}

/// As [`open_file_of`], for one who opens nothing but a regular file: `open(O_PATH)`, `fstat`, and `open` of
/// what was looked at, in `/proc/self`.
pub(crate) fn open_regular_file_of(path: &CStr) -> Result<OwnedFd, Failure> {
    // SAFETY: the path ends with a NUL, by its type.
    let found = unsafe { libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) };
    let found = owned(found.into(), || format!("open({}, O_PATH)", path.to_string_lossy()))?;
    let stat = rustix::fs::fstat(&found).map_err(|e| Failure::call("fstat(found)", &e.into()))?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(Failure::new(format!("{}: no regular file", path.to_string_lossy())));
    }
    let path = CString::new(format!("/proc/self/fd/{}", found.as_raw_fd()));
    open_file_of(&path.map_err(Failure::step("a path"))?)
}

fn owned(fd: i64, call: impl FnOnce() -> String) -> Result<OwnedFd, Failure> {
    let fd = i32::try_from(fd).map_err(Failure::step("a descriptor"))?;
    if fd < 0 {
        return Err(Failure::last(call()));
    }
    // SAFETY: the kernel has just put it into our table, for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
