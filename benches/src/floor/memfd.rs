//! Descriptors for memory in libc's calls.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_void};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::LazyLock;

use super::memory::RawMemory;
use crate::Failure;

/// The flags that `fd-shm` has by default; kernels before 6.3 do not know the last one.
static FLAGS: LazyLock<u32> = LazyLock::new(|| {
    let older = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    if open(c"probe", older | libc::MFD_NOEXEC_SEAL).is_ok() { older | libc::MFD_NOEXEC_SEAL } else { older }
});

/// `memfd_create(name, flags)`.
fn open(name: &CStr, flags: u32) -> Result<OwnedFd, Failure> {
    // SAFETY: the name ends with a NUL, by its type.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), flags) };
    if fd < 0 {
        return Err(Failure::last(format!("memfd_create(flags {flags:#x})")));
    }
    // SAFETY: just made, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `memfd_create`, `ftruncate`: memory of `size` bytes that anybody who holds it may cut or lengthen.
pub(crate) fn create_unsealed(name: &CStr, size: usize) -> Result<OwnedFd, Failure> {
    let fd = open(name, libc::MFD_CLOEXEC)?;
    set_len(&fd, size)?;
    Ok(fd)
}

/// `memfd_create`, `ftruncate` in huge pages of 2 MiB.
pub(crate) fn create_huge(name: &CStr, size: usize) -> Result<OwnedFd, Failure> {
    let fd = open(name, libc::MFD_CLOEXEC | libc::MFD_HUGETLB | libc::MFD_HUGE_2MB)?;
    set_len(&fd, size)?;
    Ok(fd)
}

/// `memfd_create`, `ftruncate`, `F_ADD_SEALS`: memory of `size` bytes that can neither shrink nor grow.
pub(crate) fn create(name: &CStr, size: usize) -> Result<OwnedFd, Failure> {
    let fd = open(name, *FLAGS)?;
    set_len(&fd, size)?;
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
    // SAFETY: F_ADD_SEALS takes a number.
    if unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
        return Err(Failure::last("fcntl(F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)"));
    }
    Ok(fd)
}

/// `ftruncate(fd, size)`.
pub(super) fn set_len(fd: &OwnedFd, size: usize) -> Result<(), Failure> {
    let len = libc::off_t::try_from(size).map_err(Failure::step("a size for ftruncate"))?;
    // SAFETY: ftruncate(2) touches no memory; nothing has mapped this file yet.
    if unsafe { libc::ftruncate(fd.as_raw_fd(), len) } < 0 {
        return Err(Failure::last(format!("ftruncate({size})")));
    }
    Ok(())
}

/// `fstat` for the size, then `mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)`.
///
/// The size is asked for because a receiver must not believe a number in a message. The seals are not
/// looked at: these descriptors come from [`create`], in this process or its second one.
pub(crate) fn map(fd: BorrowedFd<'_>) -> Result<RawMemory, Failure> {
    let stat = rustix::fs::fstat(fd).map_err(|e| Failure::call("fstat(fd)", &e.into()))?;
    let size = usize::try_from(stat.st_size).map_err(Failure::step("a size from fstat"))?;
    mmap(size, libc::MAP_SHARED, fd.as_raw_fd())
}

/// As [`map`], for one who believes nothing: `F_GETFL` and `F_GET_SEALS` first, so that what is mapped can be
/// read, and cannot be cut.
pub(crate) fn map_checked(fd: BorrowedFd<'_>) -> Result<RawMemory, Failure> {
    // SAFETY: F_GETFL takes nothing.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 || flags & libc::O_ACCMODE == libc::O_WRONLY {
        return Err(Failure::last("fcntl(F_GETFL): not open for reading"));
    }
    // SAFETY: F_GET_SEALS takes nothing.
    let seals = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GET_SEALS) };
    if seals < 0 || seals & libc::F_SEAL_SHRINK == 0 {
        return Err(Failure::last("fcntl(F_GET_SEALS): it can be cut"));
    }
    map(fd)
}

/// `mmap` of what [`create`] has just made with this size: its maker need not ask.
pub(crate) fn map_new(fd: BorrowedFd<'_>, size: usize) -> Result<RawMemory, Failure> {
    mmap(size, libc::MAP_SHARED, fd.as_raw_fd())
}

/// `mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS)` - what a child of fork would share.
pub(crate) fn map_anonymous(size: usize) -> Result<RawMemory, Failure> {
    mmap(size, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1)
}

/// `mmap` with further flags, among them `MAP_POPULATE`.
pub(crate) fn map_with(fd: BorrowedFd<'_>, size: usize, flags: i32) -> Result<RawMemory, Failure> {
    mmap(size, libc::MAP_SHARED | flags, fd.as_raw_fd())
}

fn mmap(size: usize, flags: i32, fd: i32) -> Result<RawMemory, Failure> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: without MAP_FIXED the kernel finds a free address, so nothing of ours is replaced.
    let base = unsafe { libc::mmap(ptr::null_mut(), size, access, flags, fd, 0) };
    if base == libc::MAP_FAILED {
        return Err(Failure::last(format!("mmap(NULL, {size}, PROT_READ | PROT_WRITE)")));
    }
    // SAFETY: just mapped, and anonymous, sealed, or cut by nobody here, so of that size for ever; `leave` is
    // munmap's contract.
    unsafe { RawMemory::new(base, size, leave) }
}

/// `dup(fd)`, close-on-exec.
pub(crate) fn duplicate(fd: impl AsFd) -> Result<OwnedFd, Failure> {
    // SAFETY: F_DUPFD_CLOEXEC takes a number.
    let copy = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_DUPFD_CLOEXEC, 0) };
    if copy < 0 {
        return Err(Failure::last("fcntl(F_DUPFD_CLOEXEC, 0)"));
    }
    // SAFETY: just made, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// `munmap(base, len)`.
///
/// # Safety
///
/// This is a mapping that nothing uses any more.
unsafe fn leave(base: *mut c_void, len: usize) -> i32 {
    // SAFETY: the caller's.
    unsafe { libc::munmap(base, len) }
}
