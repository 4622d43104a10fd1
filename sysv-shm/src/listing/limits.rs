//! What an IPC namespace may have, and what it has.

use libc::c_int;

use super::unknown;
use crate::error::Result;
use crate::sys;

/// `shmctl(0, IPC_INFO)` - the limits of this IPC namespace for segments.
///
/// Each namespace has its own, and a new one starts with the kernel's defaults, not with its parent's.
/// (`shmmin` is always 1; `shmseg`, segments of one process, is reported and never enforced.)
///
/// To a 32-bit process the call tells less than the kernel knows, so there `/proc/sys/kernel` is asked first.
/// Where that cannot be read, a `max_size` of 2^31 - 1 means that or more, and `max_pages` has the lower 32
/// bits.
///
/// # References
///
/// shmctl(2), sysctl `kernel.shm*`; the kernel's `ipc/shm.c`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SegmentLimits {
    /// `kernel.shmmax`: bytes of one segment. Beyond it, making one is EINVAL.
    pub max_size: u64,
    /// `kernel.shmmni`: segments. Beyond it, ENOSPC.
    pub max_segments: u64,
    /// `kernel.shmall`: pages of all segments together. Beyond it, ENOSPC.
    pub max_pages: u64,
}

impl SegmentLimits {
    /// Asks the kernel.
    ///
    /// # Errors
    ///
    /// ENOSYS: a kernel without System V IPC.
    pub fn now() -> Result<Self> {
        let (_, raw) = sys::shmctl_limits().map_err(|errno| unknown("shmctl(0, IPC_INFO)", errno))?;
        Ok(Self {
            max_size: whole("shmmax", raw.shmmax),
            max_segments: raw.shmmni as u64,
            max_pages: whole("shmall", raw.shmall),
        })
    }
}

/// All of a number of which IPC_INFO has told as much as fits.
fn whole(name: &str, told: usize) -> u64 {
    let text = || std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok();
    let number = if cfg!(target_pointer_width = "32") { text() } else { None };
    number.and_then(|text| text.trim().parse().ok()).unwrap_or(told as u64)
}

/// `shmctl(0, SHM_INFO)` - what the segments of this IPC namespace use.
///
/// # References
///
/// shmctl(2)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SegmentUsage {
    /// How many there are; [`SegmentLimits::max_segments`] limits it.
    pub segments: u64,
    /// Their pages, touched or not; [`SegmentLimits::max_pages`] limits it.
    pub pages: u64,
    /// Those of the pages that are in memory.
    pub resident_pages: u64,
    /// Those that are in swap.
    pub swapped_pages: u64,
}

impl SegmentUsage {
    /// Asks the kernel.
    ///
    /// # Errors
    ///
    /// ENOSYS: a kernel without System V IPC.
    pub fn now() -> Result<Self> {
        let raw = sys::shmctl_usage().map_err(|errno| unknown("shmctl(0, SHM_INFO)", errno))?;
        Ok(Self {
            segments: count(raw.used_ids),
            pages: raw.shm_tot as u64,
            resident_pages: raw.shm_rss as u64,
            swapped_pages: raw.shm_swp as u64,
        })
    }
}

/// `semctl(0, 0, IPC_INFO)` - the limits of this IPC namespace for semaphores.
///
/// The four that can be changed are the four numbers of sysctl `kernel.sem`.
///
/// # References
///
/// semctl(2), sysctl `kernel.sem`; the kernel's `ipc/sem.c`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SemaphoreLimits {
    /// SEMMSL: semaphores of one set. Beyond it, making one is EINVAL.
    pub max_in_set: u64,
    /// SEMMNS: semaphores of all sets together. Beyond it, ENOSPC.
    pub max_semaphores: u64,
    /// SEMOPM: operations of one `semop`. Beyond it, E2BIG.
    pub max_operations: u64,
    /// SEMMNI: sets. Beyond it, ENOSPC.
    pub max_sets: u64,
    /// SEMVMX: the value of a semaphore. Beyond it, ERANGE.
    pub max_value: u64,
}

impl SemaphoreLimits {
    /// Asks the kernel.
    ///
    /// # Errors
    ///
    /// ENOSYS: a kernel without System V IPC.
    pub fn now() -> Result<Self> {
        let (_, raw) = sys::semctl_limits().map_err(|errno| unknown("semctl(0, 0, IPC_INFO)", errno))?;
        Ok(Self {
            max_in_set: count(raw.semmsl),
            max_semaphores: count(raw.semmns),
            max_operations: count(raw.semopm),
            max_sets: count(raw.semmni),
            max_value: count(raw.semvmx),
        })
    }
}

/// `semctl(0, 0, SEM_INFO)` - what the semaphore sets of this IPC namespace use.
///
/// # References
///
/// semctl(2)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SemaphoreUsage {
    /// How many sets there are; [`SemaphoreLimits::max_sets`] limits it.
    pub sets: u64,
    /// Their semaphores; [`SemaphoreLimits::max_semaphores`] limits it.
    pub semaphores: u64,
}

impl SemaphoreUsage {
    /// Asks the kernel.
    ///
    /// # Errors
    ///
    /// ENOSYS: a kernel without System V IPC.
    pub fn now() -> Result<Self> {
        let (_, raw) = sys::semctl_usage().map_err(|errno| unknown("semctl(0, 0, SEM_INFO)", errno))?;
        Ok(Self { sets: count(raw.semusz), semaphores: count(raw.semaem) })
    }
}

/// A number of things, which the kernel keeps in an `int` and which is never negative.
fn count(number: c_int) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
