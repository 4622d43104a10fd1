//! The system calls, one function each, named as in their man pages. Nothing is decided here.

#![allow(unsafe_code)]

use std::ptr::{self, NonNull};

use libc::{c_int, c_long, c_void};
use nix::errno::Errno;

mod abi;
pub(crate) use abi::*;

mod sem;
pub(crate) use sem::*;

/// What a call answered that answers with an `int`.
fn int(answer: c_long) -> Result<c_int, Errno> {
    #[allow(clippy::cast_possible_truncation)] // an `int` in the kernel, and widened to a register only
    Errno::result(answer).map(|int| int as c_int)
}

/// `shmget(key, size, flags)` - finds or makes a segment, gives its id. [shmget(2)]
///
/// [shmget(2)]: https://man7.org/linux/man-pages/man2/shmget.2.html
#[inline]
pub(crate) fn shmget(key: i32, size: usize, flags: c_int) -> Result<c_int, Errno> {
    // SAFETY: shmget(2) takes numbers only and touches no memory of the caller.
    int(unsafe { libc::syscall(number::SHMGET, key, size, flags) })
}

/// `shmat(id, address, flags)` - maps the whole segment, at 0 where the kernel likes. [shmat(2)]
///
/// [shmat(2)]: https://man7.org/linux/man-pages/man2/shmat.2.html
pub(crate) fn shmat(id: c_int, address: usize, flags: c_int) -> Result<NonNull<c_void>, Errno> {
    let flags = flags & !SHM_REMAP; // that is `shmat_over`
    // SAFETY: without SHM_REMAP shmat(2) replaces no mapping: memory that exists stays as it is.
    let address = Errno::result(unsafe { libc::syscall(number::SHMAT, id, address, flags) })?;
    // A pointer to memory that is new. The kernel never chooses address 0 (`vm.mmap_min_addr`), and nobody
    // asks for it; if it came all the same, nobody could use it, and this says so.
    #[allow(clippy::cast_possible_truncation)] // a `c_long` is as wide as an address
    NonNull::new(ptr::with_exposed_provenance_mut(address as usize)).ok_or(Errno::ENOMEM)
}

/// `shmat(id, address, flags | SHM_REMAP)` - maps the whole segment in place of what is at `address`.
///
/// # Safety
///
/// The caller owns the mappings there, for as many whole pages as the segment has, and nothing refers to
/// their memory.
pub(crate) unsafe fn shmat_over(id: c_int, address: NonNull<c_void>, flags: c_int) -> Result<(), Errno> {
    let flags = flags | SHM_REMAP;
    // SAFETY: the caller owns what is replaced.
    Errno::result(unsafe { libc::syscall(number::SHMAT, id, address.as_ptr(), flags) }).map(drop)
}

/// `shmdt(address)` - unmaps a segment that was attached at `address`. [shmdt(2)]
///
/// # Safety
///
/// `address` came from [`shmat`] and was not detached since; nothing refers to the memory any more.
///
/// [shmdt(2)]: https://man7.org/linux/man-pages/man2/shmdt.2.html
pub(crate) unsafe fn shmdt(address: NonNull<c_void>) -> Result<(), Errno> {
    // SAFETY: the caller keeps this function's contract, which is what unmapping needs.
    Errno::result(unsafe { libc::syscall(number::SHMDT, address.as_ptr()) }).map(drop)
}

/// `shmctl(id, command, buffer)`. [shmctl(2)]
///
/// # Safety
///
/// `buffer` is what the command wants: the structure that it reads or fills, or null where it does neither.
///
/// [shmctl(2)]: https://man7.org/linux/man-pages/man2/shmctl.2.html
unsafe fn shmctl<T>(id: c_int, command: c_int, buffer: *mut T) -> Result<c_int, Errno> {
    // SAFETY: the caller keeps this function's contract.
    int(unsafe { libc::syscall(number::SHMCTL, id, command | IPC_64, buffer) })
}

/// `shmctl(id, IPC_STAT, buffer)` - what the kernel knows of a segment; needs read permission.
pub(crate) fn shmctl_stat(id: c_int) -> Result<SegmentInfo, Errno> {
    let mut stat = SegmentInfo::default();
    // SAFETY: IPC_STAT fills one `shmid64_ds`.
    unsafe { shmctl(id, IPC_STAT, &raw mut stat) }.map(|_| stat)
}

/// `shmctl(index, SHM_STAT_ANY, buffer)` - the same by index, without any permission (Linux 4.17); gives the
/// id too.
pub(crate) fn shmctl_stat_any(index: c_int) -> Result<(c_int, SegmentInfo), Errno> {
    let mut stat = SegmentInfo::default();
    // SAFETY: SHM_STAT_ANY fills one `shmid64_ds`.
    unsafe { shmctl(index, SHM_STAT_ANY, &raw mut stat) }.map(|id| (id, stat))
}

/// `shmctl(id, IPC_RMID)` - takes the key away, and destroys the segment once nobody has it attached.
pub(crate) fn shmctl_remove(id: c_int) -> Result<(), Errno> {
    // SAFETY: IPC_RMID ignores the buffer; memory that is attached stays attached.
    unsafe { shmctl(id, IPC_RMID, NOTHING) }.map(drop)
}

/// `shmctl(id, IPC_SET, {uid, gid, mode})` - sets owner, group and the nine permission bits.
pub(crate) fn shmctl_set(id: c_int, uid: u32, gid: u32, mode: u32) -> Result<(), Errno> {
    let mut new = SegmentInfo::of(Permissions::of(uid, gid, mode));
    // SAFETY: IPC_SET reads one `shmid64_ds`.
    unsafe { shmctl(id, IPC_SET, &raw mut new) }.map(drop)
}

/// `shmctl(id, SHM_LOCK)` or, without `locked`, `SHM_UNLOCK` - keeps the segment from being swapped out.
pub(crate) fn shmctl_lock(id: c_int, locked: bool) -> Result<(), Errno> {
    let command = if locked { SHM_LOCK } else { SHM_UNLOCK };
    // SAFETY: both ignore the buffer, and change neither contents nor mappings.
    unsafe { shmctl(id, command, NOTHING) }.map(drop)
}

/// `shmctl(0, IPC_INFO, buffer)` - the limits of this IPC namespace.
///
/// Gives the highest index in use, too: 0 also when there is none.
pub(crate) fn shmctl_limits() -> Result<(c_int, Limits), Errno> {
    let mut limits = Limits::default();
    // SAFETY: IPC_INFO fills one `shminfo64`.
    unsafe { shmctl(0, IPC_INFO, &raw mut limits) }.map(|highest| (highest, limits))
}

/// `shmctl(0, SHM_INFO, buffer)` - what this IPC namespace uses now.
pub(crate) fn shmctl_usage() -> Result<Usage, Errno> {
    let mut usage = Usage::default();
    // SAFETY: SHM_INFO fills one `shm_info`.
    unsafe { shmctl(0, SHM_INFO, &raw mut usage) }.map(|_| usage)
}

/// No buffer.
const NOTHING: *mut c_void = ptr::null_mut();

/// `mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)` - addresses and no memory.
/// [mmap(2)]
///
/// [mmap(2)]: https://man7.org/linux/man-pages/man2/mmap.2.html
pub(crate) fn mmap_reserve(len: usize) -> Result<NonNull<c_void>, Errno> {
    // SAFETY: a new mapping where the kernel likes replaces none.
    let address = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, NO_MEMORY, -1, 0) };
    if address == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    NonNull::new(address).ok_or(Errno::ENOMEM)
}

/// What `mmap_reserve` and `mmap_cover` map.
const NO_MEMORY: c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;

/// `mmap(address, len, PROT_NONE, MAP_FIXED | ..)` - the same in place of what is there, which is unmapped.
///
/// # Safety
///
/// The caller owns the mappings there, and nothing refers to their memory any more.
pub(crate) unsafe fn mmap_cover(address: NonNull<c_void>, len: usize) -> Result<(), Errno> {
    let flags = NO_MEMORY | libc::MAP_FIXED;
    // SAFETY: the caller owns what is replaced.
    let address = unsafe { libc::mmap(address.as_ptr(), len, libc::PROT_NONE, flags, -1, 0) };
    if address == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(()) }
}

/// `munmap(address, len)` - gives addresses back. [munmap(2)]
///
/// # Safety
///
/// The caller owns the mappings there, and nothing refers to their memory any more.
///
/// [munmap(2)]: https://man7.org/linux/man-pages/man2/munmap.2.html
pub(crate) unsafe fn munmap(address: NonNull<c_void>, len: usize) -> Result<(), Errno> {
    // SAFETY: the caller owns what is unmapped.
    Errno::result(unsafe { libc::munmap(address.as_ptr(), len) }).map(drop)
}

/// `madvise(address, 1, MADV_COLD)` - says of a page that it will not be used soon: a hint, which changes
/// nothing that a program could see. [madvise(2)]
///
/// [madvise(2)]: https://man7.org/linux/man-pages/man2/madvise.2.html
pub(crate) fn madvise_cold(address: NonNull<c_void>) -> Result<(), Errno> {
    // SAFETY: this advice does not change the contents of memory, and where nothing is mapped it is refused.
    Errno::result(unsafe { libc::madvise(address.as_ptr(), 1, libc::MADV_COLD) }).map(drop)
}

/// `sysconf(_SC_PAGESIZE)` - the size of a page.
pub(crate) fn page_size() -> usize {
    // SAFETY: sysconf(3) answers a question.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096) // it never fails
}
