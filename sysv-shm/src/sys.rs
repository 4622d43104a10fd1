//! The system calls, one function each, named as in their man pages. Nothing is decided here.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use libc::{c_int, c_void, shmid_ds};
use nix::errno::Errno;

mod sem;
pub(crate) use sem::*;

/// Mode bit: removed while attached, destroyed with the last detach. Kernel: `include/uapi/linux/shm.h`.
pub(crate) const SHM_DEST: u32 = 0o1000;
/// Mode bit: locked in memory. Kernel: `include/uapi/linux/shm.h`.
pub(crate) const SHM_LOCKED: u32 = 0o2000;

/// `shmctl` commands that libc does not name. Kernel: `include/uapi/linux/shm.h`.
const SHM_LOCK: c_int = 11;
const SHM_UNLOCK: c_int = 12;
const SHM_INFO: c_int = 14;
const SHM_STAT_ANY: c_int = 15;

/// `shmget` and `shmat` flags that libc does not name. Kernel: `include/uapi/linux/shm.h`.
pub(crate) const SHM_HUGETLB: c_int = 0o4000;
/// No page is set aside, and none is charged, before it is touched.
pub(crate) const SHM_NORESERVE: c_int = 0o10000;
/// Where the page size of `SHM_HUGETLB` is: its binary logarithm, in six bits.
pub(crate) const SHM_HUGE_SHIFT: u32 = 26;
/// Attach with the right to execute.
pub(crate) const SHM_EXEC: c_int = 0o100_000;

/// The kernel's `struct shminfo64`: the limits of the caller's IPC namespace.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The largest segment, in bytes.
    pub(crate) shmmax: u64,
    /// The smallest segment: 1.
    pub(crate) shmmin: u64,
    /// The most segments.
    pub(crate) shmmni: u64,
    /// Reported as `shmmni`, and not enforced.
    pub(crate) shmseg: u64,
    /// The most pages of all segments together.
    pub(crate) shmall: u64,
    /// Reserved by the kernel.
    unused: [u64; 4],
}

/// The kernel's `struct shm_info`: what the caller's IPC namespace uses now.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Segments that exist.
    pub(crate) used_ids: c_int,
    /// Pages of all segments together, touched or not.
    pub(crate) shm_tot: u64,
    /// Pages in memory.
    pub(crate) shm_rss: u64,
    /// Pages in swap.
    pub(crate) shm_swp: u64,
    /// Always 0.
    swap_attempts: u64,
    /// Always 0.
    swap_successes: u64,
}

/// `shmget(key, size, flags)` - finds or makes a segment, gives its id. [shmget(2)]
///
/// [shmget(2)]: https://man7.org/linux/man-pages/man2/shmget.2.html
#[inline]
pub(crate) fn shmget(key: i32, size: usize, flags: c_int) -> Result<c_int, Errno> {
    // SAFETY: shmget(2) takes numbers only and touches no memory of the caller.
    let id = unsafe { libc::shmget(key, size, flags) };
    Errno::result(id)
}

/// `shmat(id, address, flags)` - maps the whole segment, at 0 where the kernel likes. [shmat(2)]
///
/// [shmat(2)]: https://man7.org/linux/man-pages/man2/shmat.2.html
pub(crate) fn shmat(id: c_int, address: usize, flags: c_int) -> Result<NonNull<c_void>, Errno> {
    let flags = flags & !libc::SHM_REMAP; // that is `shmat_over`
    // SAFETY: without SHM_REMAP shmat(2) replaces no mapping: memory that exists stays as it is.
    let address = unsafe { libc::shmat(id, ptr::without_provenance(address), flags) };
    if address.addr() == usize::MAX {
        return Err(Errno::last());
    }
    // The kernel never chooses address 0 (`vm.mmap_min_addr`), and nobody asks for it; if it came all the
    // same, nobody could use it, and this says so.
    NonNull::new(address).ok_or(Errno::ENOMEM)
}

/// `shmat(id, address, flags | SHM_REMAP)` - maps the whole segment in place of what is at `address`.
///
/// # Safety
///
/// The caller owns the mappings there, for as many whole pages as the segment has, and nothing refers to
/// their memory.
pub(crate) unsafe fn shmat_over(id: c_int, address: NonNull<c_void>, flags: c_int) -> Result<(), Errno> {
    // SAFETY: the caller owns what is replaced.
    let address = unsafe { libc::shmat(id, address.as_ptr(), flags | libc::SHM_REMAP) };
    if address.addr() == usize::MAX { Err(Errno::last()) } else { Ok(()) }
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
    let result = unsafe { libc::shmdt(address.as_ptr()) };
    Errno::result(result).map(drop)
}

/// `shmctl(id, IPC_STAT, buffer)` - what the kernel knows of a segment; needs read permission. [shmctl(2)]
///
/// [shmctl(2)]: https://man7.org/linux/man-pages/man2/shmctl.2.html
pub(crate) fn shmctl_stat(id: c_int) -> Result<shmid_ds, Errno> {
    let mut buffer = MaybeUninit::<shmid_ds>::uninit();
    // SAFETY: IPC_STAT writes one `shmid_ds`, for which the buffer has room.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_STAT, buffer.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so the kernel has filled the buffer.
    Ok(unsafe { buffer.assume_init() })
}

/// `shmctl(index, SHM_STAT_ANY, buffer)` - the same by index, without any permission (Linux 4.17); gives the
/// id too.
pub(crate) fn shmctl_stat_any(index: c_int) -> Result<(c_int, shmid_ds), Errno> {
    let mut buffer = MaybeUninit::<shmid_ds>::uninit();
    // SAFETY: SHM_STAT_ANY writes one `shmid_ds`, for which the buffer has room.
    let id = Errno::result(unsafe { libc::shmctl(index, SHM_STAT_ANY, buffer.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so the kernel has filled the buffer.
    Ok((id, unsafe { buffer.assume_init() }))
}

/// `shmctl(id, IPC_RMID)` - takes the key away, and destroys the segment once nobody has it attached.
pub(crate) fn shmctl_remove(id: c_int) -> Result<(), Errno> {
    // SAFETY: IPC_RMID ignores the buffer; memory that is attached stays attached.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()) }).map(drop)
}

/// `shmctl(id, IPC_SET, {uid, gid, mode})` - sets owner, group and the nine permission bits.
pub(crate) fn shmctl_set(id: c_int, uid: u32, gid: u32, mode: u32) -> Result<(), Errno> {
    // SAFETY: a `shmid_ds` consists of integers, for which zeros are a value.
    let mut new = unsafe { MaybeUninit::<shmid_ds>::zeroed().assume_init() };
    new.shm_perm.uid = uid;
    new.shm_perm.gid = gid;
    new.shm_perm.mode = mode.try_into().map_err(|_| Errno::EINVAL)?;
    // SAFETY: IPC_SET reads one `shmid_ds`.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_SET, &raw mut new) }).map(drop)
}

/// `shmctl(id, SHM_LOCK)` or, without `locked`, `SHM_UNLOCK` - keeps the segment from being swapped out.
pub(crate) fn shmctl_lock(id: c_int, locked: bool) -> Result<(), Errno> {
    let command = if locked { SHM_LOCK } else { SHM_UNLOCK };
    // SAFETY: both ignore the buffer, and change neither contents nor mappings.
    Errno::result(unsafe { libc::shmctl(id, command, ptr::null_mut()) }).map(drop)
}

/// `shmctl(0, IPC_INFO, buffer)` - the limits of this IPC namespace.
///
/// Gives the highest index in use, too: 0 also when there is none.
pub(crate) fn shmctl_limits() -> Result<(c_int, Limits), Errno> {
    let mut buffer = MaybeUninit::<Limits>::uninit();
    // SAFETY: IPC_INFO writes one `shminfo64`, whose layout `Limits` has.
    let highest = Errno::result(unsafe { libc::shmctl(0, libc::IPC_INFO, buffer.as_mut_ptr().cast()) })?;
    // SAFETY: the call succeeded, so the kernel has filled the buffer.
    Ok((highest, unsafe { buffer.assume_init() }))
}

/// `shmctl(0, SHM_INFO, buffer)` - what this IPC namespace uses now.
pub(crate) fn shmctl_usage() -> Result<Usage, Errno> {
    let mut buffer = MaybeUninit::<Usage>::zeroed();
    // SAFETY: SHM_INFO writes one `shm_info`, whose layout `Usage` has.
    Errno::result(unsafe { libc::shmctl(0, SHM_INFO, buffer.as_mut_ptr().cast()) })?;
    // SAFETY: the call succeeded, so the kernel has filled the buffer (and what padding it left was zero
    // before).
    Ok(unsafe { buffer.assume_init() })
}

/// `mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)` - addresses and no memory.
/// [mmap(2)]
///
/// [mmap(2)]: https://man7.org/linux/man-pages/man2/mmap.2.html
pub(crate) fn mmap_reserve(len: usize) -> Result<NonNull<c_void>, Errno> {
    // SAFETY: a new mapping where the kernel likes replaces none.
    let address = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, NOTHING, -1, 0) };
    if address == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    NonNull::new(address).ok_or(Errno::ENOMEM)
}

/// What `mmap_reserve` and `mmap_cover` map.
const NOTHING: c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;

/// `mmap(address, len, PROT_NONE, MAP_FIXED | ..)` - the same in place of what is there, which is unmapped.
///
/// # Safety
///
/// The caller owns the mappings there, and nothing refers to their memory any more.
pub(crate) unsafe fn mmap_cover(address: NonNull<c_void>, len: usize) -> Result<(), Errno> {
    let flags = NOTHING | libc::MAP_FIXED;
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
