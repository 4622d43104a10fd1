//! System calls that no library wraps, or not on every target: one function each, named as in the manual.

#![allow(unsafe_code)]

use std::cmp::Ordering;
use std::ffi::{c_int, c_long, c_short, c_ulong};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use memmap2::{MmapMut, MmapRaw};
use nix::errno::Errno;
use rustix::process::Pid;

use crate::error::{Error, Kind, Meanings, Result};

/// `KCMP_FILE` of `linux/kcmp.h`: compare two open files.
const KCMP_FILE: c_int = 0;

/// A descriptor *number* of some process: its pid and the number. It gives no access to the file, and may
/// mean something else a moment later.
pub type ForeignFd = (u32, RawFd);

/// What the kernel means when it does not compare.
const KCMP: Meanings = &[
    (Errno::ESRCH, Kind::Gone, "no such process"),
    (Errno::EBADF, Kind::NotFound, "one of the processes has no such descriptor"),
    (
        Errno::EPERM,
        Kind::PermissionDenied,
        "one of the processes may not be inspected by this one (ptrace rules)",
    ),
    (Errno::ENOSYS, Kind::System, "this kernel is built without kcmp"),
];

/// `kcmp(a.pid, b.pid, KCMP_FILE, a.fd, b.fd)` - whether two descriptors, of any two processes, are one open
/// file.
///
/// One open file is more than one file: the two share offset and status flags, because one of them came from
/// the other by `dup`, `fork`, `SCM_RIGHTS`, `pidfd_getfd` or Binder. Opening `/proc/<pid>/fd/N` gives the
/// same file, but a new open file.
///
/// # Errors
///
/// ESRCH for a process that has gone; EBADF for a number that is not open; EPERM when this process may not
/// inspect one of them; ENOSYS on a kernel without kcmp.
///
/// # Examples
///
/// ```
/// use std::os::fd::AsRawFd;
///
/// let (one, other) = std::io::pipe()?;
/// let copy = one.try_clone()?;
/// let here = std::process::id();
/// assert!(fd_shm::same_open_file((here, one.as_raw_fd()), (here, copy.as_raw_fd()))?);
/// assert!(!fd_shm::same_open_file((here, one.as_raw_fd()), (here, other.as_raw_fd()))?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # References
///
/// `kcmp(2)`; `kernel/kcmp.c`.
#[doc(alias = "kcmp")]
pub fn same_open_file(a: ForeignFd, b: ForeignFd) -> Result<bool> {
    // 1 and 2 order the two kernel addresses (scrambled), 3 means different and not ordered.
    Ok(kcmp(a, b)? == 0)
}

/// `kcmp`, which also orders: how the open file of `a` stands to that of `b`. The order means nothing, and
/// stays the same as long as both are open.
pub(crate) fn order_of_open_files(a: ForeignFd, b: ForeignFd) -> Result<Ordering> {
    match kcmp(a, b)? {
        0 => Ok(Ordering::Equal),
        1 => Ok(Ordering::Less),
        2 => Ok(Ordering::Greater),
        _ => Err(Error::refused(kcmp_call(a, b), Kind::System, "this kernel compares and does not order")),
    }
}

fn kcmp(a: ForeignFd, b: ForeignFd) -> Result<c_long> {
    // As the kernel takes them: the numbers of descriptors are unsigned long here.
    let pid = |end: ForeignFd| c_int::try_from(end.0);
    let fd = |end: ForeignFd| c_ulong::try_from(end.1);
    let numbers = (pid(a), pid(b), fd(a), fd(b));
    let (Ok(pid_a), Ok(pid_b), Ok(fd_a), Ok(fd_b)) = numbers else {
        let text = "no process and no descriptor has such a number";
        return Err(Error::refused(kcmp_call(a, b), Kind::InvalidInput, text));
    };
    // SAFETY: kcmp takes five numbers and touches no memory of this process.
    let order: c_long = unsafe { libc::syscall(libc::SYS_kcmp, pid_a, pid_b, KCMP_FILE, fd_a, fd_b) };
    if order < 0 {
        let errno = io::Error::last_os_error().raw_os_error().unwrap_or_default();
        return Err(Error::system(kcmp_call(a, b), errno, KCMP));
    }
    Ok(order)
}

fn kcmp_call(a: ForeignFd, b: ForeignFd) -> String {
    format!("kcmp({}, {}, KCMP_FILE, {}, {})", a.0, b.0, a.1, b.1)
}

/// `pidfd_open(pid, 0)`, which rustix has for Linux and not for Android.
pub(crate) fn pidfd_open(pid: Pid) -> std::result::Result<OwnedFd, Errno> {
    // SAFETY: pidfd_open takes two numbers and touches no memory of this process.
    let answer = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw_pid(), 0) };
    owned(answer)
}

/// `pidfd_getfd(pidfd, number, 0)`, which rustix has for Linux and not for Android.
pub(crate) fn pidfd_getfd(pidfd: BorrowedFd<'_>, number: RawFd) -> std::result::Result<OwnedFd, Errno> {
    // SAFETY: pidfd_getfd takes three numbers and touches no memory of this process.
    let answer = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0) };
    owned(answer)
}

/// The owner of a descriptor that a call has just made.
fn owned(answer: c_long) -> std::result::Result<OwnedFd, Errno> {
    #[allow(clippy::cast_possible_truncation)] // an `int` in the kernel, and widened to a register only
    let number = Errno::result(answer)? as RawFd;
    // SAFETY: new, and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// `struct flock` with offsets of 64 bits, as the locks of an open file always have them. libc's has 32 on
/// some targets, and bionic hands it to the kernel as it is, which then reads behind its end.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct FileLock {
    /// F_WRLCK or F_UNLCK.
    pub(crate) kind: c_short,
    /// From where `start` counts.
    pub(crate) whence: c_short,
    pub(crate) start: i64,
    pub(crate) len: i64,
    /// 0: an open file's lock belongs to no process.
    pub(crate) pid: c_int,
}

/// `fcntl(file, command, lock)`, for the locks of an open file: F_OFD_SETLK and F_OFD_GETLK.
pub(crate) fn fcntl_lock(
    file: BorrowedFd<'_>,
    command: c_int,
    lock: &mut FileLock,
) -> std::result::Result<(), Errno> {
    #[cfg(target_pointer_width = "64")]
    use libc::SYS_fcntl as FCNTL;
    #[cfg(target_pointer_width = "32")]
    use libc::SYS_fcntl64 as FCNTL;
    let lock = std::ptr::from_mut(lock);
    // SAFETY: these commands read the lock or write one in its place, and do not keep it.
    Errno::result(unsafe { libc::syscall(FCNTL, file.as_raw_fd(), command, lock) }).map(drop)
}

/// What the kernel means when it does not wipe.
const WIPE: Meanings = &[(
    Errno::EINVAL,
    Kind::System,
    "this kernel cannot mark memory for a fork: it is older than Linux 4.14",
)];

/// `madvise(MADV_WIPEONFORK)` - a byte that is 1 in this process, and 0 in every child of a `fork`.
///
/// It answers without a system call what a process id answers badly: a child in a new pid namespace can have
/// the parent's.
///
/// # References
///
/// `madvise(2)`; `kernel/fork.c` (`dup_mmap`, which copies no page of such a mapping).
#[derive(Debug)]
pub(crate) struct ForkMark {
    /// One private page.
    page: MmapRaw,
}

impl ForkMark {
    /// Marks this process.
    pub(crate) fn new() -> Result<Self> {
        let refused =
            |call: &str, e: io::Error| Error::system(call, e.raw_os_error().unwrap_or_default(), WIPE);
        let page = MmapMut::map_anon(1).map_err(|e| refused("mmap(1, MAP_ANONYMOUS)", e))?;
        let page = MmapRaw::from(page);
        // SAFETY: our own page, and the advice changes nothing in this process.
        if unsafe { libc::madvise(page.as_mut_ptr().cast(), page.len(), libc::MADV_WIPEONFORK) } != 0 {
            return Err(refused("madvise(MADV_WIPEONFORK)", io::Error::last_os_error()));
        }
        let mark = Self { page };
        mark.byte().store(1, Relaxed);
        Ok(mark)
    }

    /// Whether this process is a child of the one that made the mark.
    pub(crate) fn is_forked(&self) -> bool {
        self.byte().load(Relaxed) == 0
    }

    /// The byte.
    fn byte(&self) -> &AtomicU8 {
        // SAFETY: mapped for as long as `self` lives, and reached in this way alone.
        unsafe { AtomicU8::from_ptr(self.page.as_mut_ptr()) }
    }
}
