//! Seeing: what an IPC namespace has, who uses it, and what nobody needs any more.
//!
//! The kernel is asked index by index (`SHM_STAT_ANY`, `SEM_STAT_ANY`), up to the highest in use. The other
//! way would be the text of `/proc/sysvipc/shm`. Both show everything to everybody; the calls give the same
//! struct that `IPC_STAT` fills, so that a listed segment and an asked one are of one type, there is nothing
//! to parse, and they work where /proc is not mounted. (What the text has more is bytes in memory and in swap
//! of each segment: [`SegmentUsage`] has the sums, [`Segment::attached_by`](crate::Segment::attached_by) the
//! part of each process.)

use libc::c_int;
use nix::errno::Errno;

use crate::error::{Cause, Error, Result};
use crate::{SegmentId, SegmentStat, SemaphoreSetId, SemaphoreSetStat, sys};

mod limits;
pub use limits::{SegmentLimits, SegmentUsage, SemaphoreLimits, SemaphoreUsage};

mod attached;
pub use attached::{AttachedMapping, AttachedProcess, AttachedProcesses};

mod orphans;
pub use orphans::{Reap, Reaped, orphans, reap};

/// `shmctl(index, SHM_STAT_ANY)` for every index - all segments of this IPC namespace, whoever may use them.
///
/// Not a picture of one moment: what is made or removed meanwhile may be there or not.
///
/// # Errors
///
/// EINVAL: the kernel is older than Linux 4.17 and shows only what the mode bits grant.
///
/// # Examples
///
/// ```
/// use sysv_shm::{Key, Segment, segments};
///
/// let segment = Segment::create(Key::PRIVATE, 5000)?.remove_on_drop();
/// let all = segments()?;
/// let ours = all.iter().find(|listed| listed.id == segment.id()).expect("it is among them");
/// assert_eq!(ours.size, 5000);
/// # Ok::<(), sysv_shm::Error>(())
/// ```
///
/// # References
///
/// shmctl(2); `shmctl_stat` in the kernel's `ipc/shm.c`
pub fn segments() -> Result<Vec<SegmentStat>> {
    let (highest, _) = sys::shmctl_limits().map_err(|errno| unknown("shmctl(0, IPC_INFO)", errno))?;
    let found = every(highest, "shmctl", "SHM_STAT_ANY", sys::shmctl_stat_any)?;
    if found.is_empty() && SegmentUsage::now()?.segments > 0 {
        return Err(too_old("shmctl(0, SHM_STAT_ANY)"));
    }
    Ok(found.into_iter().map(|(id, raw)| SegmentStat::new(SegmentId::new(id), &raw)).collect())
}

/// `semctl(index, 0, SEM_STAT_ANY)` for every index - all semaphore sets of this IPC namespace.
///
/// # Errors
///
/// As [`segments`].
///
/// # References
///
/// semctl(2); `semctl_stat` in the kernel's `ipc/sem.c`
pub fn semaphore_sets() -> Result<Vec<SemaphoreSetStat>> {
    let (highest, _) = sys::semctl_limits().map_err(|errno| unknown("semctl(0, 0, IPC_INFO)", errno))?;
    let found = every(highest, "semctl", "SEM_STAT_ANY", sys::semctl_stat_any)?;
    if found.is_empty() && SemaphoreUsage::now()?.sets > 0 {
        return Err(too_old("semctl(0, 0, SEM_STAT_ANY)"));
    }
    Ok(found.into_iter().map(|(id, raw)| SemaphoreSetStat::new(SemaphoreSetId::new(id), &raw)).collect())
}

/// What `stat` gives for the indexes up to `highest` that are in use.
fn every<T>(
    highest: c_int,
    call: &str,
    command: &str,
    stat: impl Fn(c_int) -> std::result::Result<T, Errno>,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    for index in 0..=highest {
        match stat(index) {
            Ok(one) => found.push(one),
            Err(Errno::EINVAL | Errno::EIDRM) => {} // nothing has this index, or has it no longer
            Err(errno) => return Err(unknown(&format!("{call}({index}, {command})"), errno)),
        }
    }
    Ok(found)
}

/// A failure that has no meaning of its own here.
#[cold]
fn unknown(call: &str, errno: Errno) -> Error {
    Error::kernel(call.to_owned(), errno, Cause::Other, errno.desc())
}

/// Something is there, and nothing is shown.
#[cold]
fn too_old(call: &str) -> Error {
    Error::kernel(
        call.to_owned(),
        Errno::EINVAL,
        Cause::Other,
        "this kernel does not know it: Linux 4.17 does",
    )
}
