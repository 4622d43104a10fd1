//! Segments that nobody needs any more, as far as anybody can tell.

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::segments;
use crate::error::{Error, Result};
use crate::{Segment, SegmentStat, diagnosis};

impl SegmentStat {
    /// Whether its creator is gone and nobody has it attached: the usual remains of a crash.
    ///
    /// It is no proof. A segment may lie there on purpose, for a program that comes back for its data: that
    /// is what System V segments can do and nothing else can. And a pid is used again one day, so that a
    /// segment may seem to have a creator; it is kept then.
    ///
    /// Pid 0 stands for a creator in a pid namespace that cannot be seen from here. Nothing is known of him,
    /// so his segment is no orphan.
    #[must_use]
    pub fn is_orphan(&self) -> bool {
        self.attached == 0 && self.creator_pid != 0 && is_gone(self.creator_pid)
    }
}

/// Whether no process has this pid. One that we may not send signals to is there, and so is a zombie.
fn is_gone(pid: u32) -> bool {
    i32::try_from(pid).is_ok_and(|pid| kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH))
}

/// The segments of this IPC namespace that are [orphans](SegmentStat::is_orphan).
///
/// There is no such list of semaphore sets: the kernel does not keep who made one.
///
/// # Errors
///
/// As [`segments`].
pub fn orphans() -> Result<Vec<SegmentStat>> {
    Ok(segments()?.into_iter().filter(SegmentStat::is_orphan).collect())
}

/// Whether [`reap`] removes, or only says what it would remove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Reap {
    /// Removes nothing.
    #[default]
    DryRun,
    /// Removes what is still an orphan when its turn comes.
    Remove,
}

/// What [`reap`] did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reaped {
    /// The segments that it removed, or in a dry run would try to remove.
    pub segments: Vec<SegmentStat>,
    /// Orphans that are still there, each with what the kernel said: another user's, as a rule.
    pub refused: Vec<(SegmentStat, Error)>,
}

/// Removes the [orphans] of this IPC namespace, or, with [`Reap::DryRun`], says which it would remove.
///
/// Look at a dry run first: what is removed is gone, and see [`is_orphan`](SegmentStat::is_orphan) for what
/// that does not know. Each is looked at again just before it is removed. Who attaches it between this look
/// and the removal keeps his attachment and all the data, but nobody finds it by its key any more.
///
/// # Errors
///
/// As [`segments`]. That one segment cannot be removed is no error of the whole: it is in
/// [`refused`](Reaped::refused).
///
/// # Examples
///
/// ```
/// use sysv_shm::{Reap, reap};
///
/// for orphan in reap(Reap::DryRun)?.segments {
///     println!("would remove id {}, {} bytes, of pid {}", orphan.id, orphan.size, orphan.creator_pid);
/// }
/// # Ok::<(), sysv_shm::Error>(())
/// ```
pub fn reap(how: Reap) -> Result<Reaped> {
    let mut reaped = Reaped::default();
    for orphan in orphans()? {
        if how == Reap::DryRun {
            reaped.segments.push(orphan);
        } else if diagnosis::look(orphan.id) == Some(orphan) {
            // The same in every field: nobody was there in between.
            match Segment::from(orphan.id).remove() {
                Ok(()) => reaped.segments.push(orphan),
                Err(error) if error.is_removed() => {} // somebody else was faster
                Err(error) => reaped.refused.push((orphan, error)),
            }
        }
    }
    Ok(reaped)
}
