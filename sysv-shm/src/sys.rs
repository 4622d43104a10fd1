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
const SHM_INFO: c_int = 14;
const SHM_STAT_ANY: c_int = 15;

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
    shm_rss: u64,
    /// Pages in swap.
    shm_swp: u64,
    /// Always 0.
    swap_attempts: u64,
    /// Always 0.
    swap_successes: u64,
}

/// `shmget(key, size, flags)` - finds or makes a segment, gives its id. [shmget(2)]
///
/// [shmget(2)]: https://man7.org/linux/man-pages/man2/shmget.2.html
pub(crate) fn shmget(key: i32, size: usize, flags: c_int) -> Result<c_int, Errno> {
    // SAFETY: shmget(2) takes numbers only and touches no memory of the caller.
    let id = unsafe { libc::shmget(key, size, flags) };
    Errno::result(id)
}

/// `shmat(id, NULL, flags)` - maps the whole segment where the kernel likes. [shmat(2)]
///
/// [shmat(2)]: https://man7.org/linux/man-pages/man2/shmat.2.html
pub(crate) fn shmat(id: c_int, flags: c_int) -> Result<NonNull<c_void>, Errno> {
    // SAFETY: shmat(2) with address NULL (so SHM_REMAP is refused) replaces no mapping: memory that exists
    // stays as it is.
    let address = unsafe { libc::shmat(id, ptr::null(), flags) };
    if address.addr() == usize::MAX {
        return Err(Errno::last());
    }
    // The kernel never chooses address 0 (`vm.mmap_min_addr`); if it did, nobody could use it, and this says
    // so.
    NonNull::new(address).ok_or(Errno::ENOMEM)
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

/// `shmctl(0, IPC_INFO, buffer)` - the limits of this IPC namespace.
pub(crate) fn shmctl_limits() -> Result<Limits, Errno> {
    let mut buffer = MaybeUninit::<Limits>::uninit();
    // SAFETY: IPC_INFO writes one `shminfo64`, whose layout `Limits` has.
    Errno::result(unsafe { libc::shmctl(0, libc::IPC_INFO, buffer.as_mut_ptr().cast()) })?;
    // SAFETY: the call succeeded, so the kernel has filled the buffer.
    Ok(unsafe { buffer.assume_init() })
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
