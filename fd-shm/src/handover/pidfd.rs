//! `pidfd_getfd`: the receiver reaches into the holder and takes, as a debugger could.
//!
//! What arrives is the same open file, as if it had been sent. The holder sleeps through it, so the kernel
//! decides alone, by the rules for *attaching* as a debugger: the holder must be of the same user, with no
//! more capabilities, and dumpable. With Yama (most distributions, `ptrace_scope` 1) the receiver must
//! besides be an ancestor, or have been named by the holder: [`allow`].
//!
//! Who may pull one descriptor may pull all, and may read and write all memory. Between two that trust each
//! other that is a short way; for anybody else, [`scm_rights`](super::scm_rights).
//!
//! # Examples
//!
//! ```
//! use std::os::fd::{AsFd, AsRawFd};
//!
//! use fd_shm::handover::{Pull, pidfd};
//! use fd_shm::{Region, same_open_file};
//!
//! let region = Region::create("frames", 4096)?;
//! let (here, number) = (std::process::id(), region.as_fd().as_raw_fd());
//! // In real life `here` is the holder's pid, and the holder has told the number.
//! let pulled = pidfd::Process::open(here)?.pull(number)?;
//! assert!(same_open_file((here, number), (here, pulled.as_raw_fd()))?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # References
//!
//! `pidfd_open(2)`, `pidfd_getfd(2)`, `PR_SET_PTRACER(2const)`; `kernel/pid.c` (`pidfd_getfd`),
//! `kernel/ptrace.c` (`__ptrace_may_access`), `security/yama/yama_lsm.c` (`yama_ptrace_access_check`).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use rustix::process::{PTracer, set_ptracer};

use super::{Pull, target};
use crate::error::{Error, Kind, Meanings, Result};
use crate::sys::{pidfd_getfd, pidfd_open};

/// What the kernel means when it opens no pidfd.
const OPEN: Meanings = &[
    (Errno::ESRCH, Kind::Gone, "no such process"),
    (Errno::EINVAL, Kind::InvalidInput, "a thread's number, not a process's"),
    (Errno::EMFILE, Kind::TableFull, "this process's table is full"),
    (Errno::ENOSYS, Kind::System, "this kernel has no pidfds (Linux 5.3)"),
];

/// What the kernel means when it does not copy the descriptor.
const GETFD: Meanings = &[
    (Errno::EBADF, Kind::NotFound, "the other process has no such descriptor"),
    (Errno::ESRCH, Kind::Gone, "the other process has ended"),
    (Errno::EPERM, Kind::PermissionDenied, "the other process may not be attached to (ptrace rules)"),
    (Errno::EMFILE, Kind::TableFull, "this process's table is full; nothing was taken"),
    (Errno::ENOSYS, Kind::System, "this kernel cannot (Linux 5.6), or a filter forbids it"),
];

/// A process, held by a pidfd: it stays *this* process, whoever gets its number after it.
#[derive(Debug)]
pub struct Process {
    /// For messages.
    pid: u32,
    /// The pidfd, close-on-exec.
    fd: OwnedFd,
}

impl Process {
    /// `pidfd_open(pid)` - takes hold of a process. This needs no permission, and gives none.
    ///
    /// A pid is safe to use only while its process cannot be reaped by somebody else: a child of ours, or a
    /// peer whose socket is still open.
    ///
    /// # Errors
    ///
    /// ESRCH ([`is_gone`](Error::is_gone)) when there is none; EMFILE
    /// ([`is_table_full`](Error::is_table_full)).
    #[doc(alias = "pidfd_open")]
    pub fn open(pid: u32) -> Result<Self> {
        let call = || format!("pidfd_open({pid})");
        let fd =
            pidfd_open(target::pid(call, pid)?).map_err(|errno| Error::system(call(), errno as i32, OPEN))?;
        Ok(Self { pid, fd })
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Pull for Process {
    /// `pidfd_getfd(process, number)` - takes a descriptor out of the process: the same open file, under a
    /// number of our own.
    ///
    /// # Errors
    ///
    /// * EPERM ([`is_permission_denied`](Error::is_permission_denied)), with the rule that is in force on
    ///   this machine;
    /// * EBADF ([`is_not_found`](Error::is_not_found)) when the number is not open there;
    /// * ESRCH ([`is_gone`](Error::is_gone)) when the process has ended;
    /// * EMFILE ([`is_table_full`](Error::is_table_full)): nothing is lost, and it can be tried again.
    fn pull(&self, number: RawFd) -> Result<OwnedFd> {
        let call = || format!("pidfd_getfd({} (pid {}), {number})", self.fd.as_raw_fd(), self.pid);
        let number = target::number(call, number)?;
        pidfd_getfd(self.fd.as_fd(), number)
            .map_err(|errno| target::explain_attach(Error::system(call(), errno as i32, GETFD)))
    }
}

/// Permission for one process to attach to this one; taken back when dropped.
///
/// A process has room for one such permission: the last one made counts, and dropping any of them takes it
/// back.
#[derive(Debug)]
#[must_use = "the permission ends when this is dropped"]
pub struct Allowance {
    /// Whether there is a Yama that keeps it.
    recorded: bool,
}

/// `prctl(PR_SET_PTRACER, pid)` - lets one process, which is no ancestor, attach to this one.
///
/// This is Yama's question alone. Without Yama there is nothing to say, since any process of the same user
/// may attach anyway; [`Allowance::is_recorded`] tells.
///
/// # Errors
///
/// [`is_invalid_input`](Error::is_invalid_input) when no process has that number.
///
/// # Examples
///
/// ```
/// let allowance = fd_shm::handover::pidfd::allow(std::process::id())?;
/// // Here the other process is told the number, pulls, and answers.
/// drop(allowance);
/// # Ok::<(), fd_shm::Error>(())
/// ```
#[doc(alias = "PR_SET_PTRACER")]
pub fn allow(receiver: u32) -> Result<Allowance> {
    let call = || format!("prctl(PR_SET_PTRACER, {receiver})");
    match set_ptracer(PTracer::ProcessID(target::pid(call, receiver)?)) {
        Ok(()) => Ok(Allowance { recorded: true }),
        // Yama answers so too, when it knows no such process.
        Err(rustix::io::Errno::INVAL) if target::yama_is_here() => {
            Err(Error::refused(call(), Kind::InvalidInput, "no such process"))
        }
        Err(rustix::io::Errno::INVAL) => Ok(Allowance { recorded: false }),
        Err(errno) => Err(Error::system(call(), errno.raw_os_error(), &[])),
    }
}

impl Allowance {
    /// Whether this kernel has Yama, which keeps the permission. Otherwise none was needed.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.recorded
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        if self.recorded {
            // Taking a permission back cannot fail where giving one did not.
            let _ = set_ptracer(PTracer::None);
        }
    }
}
