//! What an owner can change of a segment: the arguments of `shmctl`.

use nix::errno::Errno;

use crate::error::{Cause, Error, Result};
use crate::{SegmentId, diagnosis, sys};

/// What IPC_SET should change; the rest is sent as it is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Change {
    /// User and group.
    pub(crate) owner: Option<(u32, u32)>,
    /// The nine permission bits.
    pub(crate) mode: Option<u32>,
}

/// `shmctl(id, IPC_SET)`, which takes owner, group and mode together: those that `change` leaves open are
/// read first.
pub(crate) fn set(id: SegmentId, change: Change) -> Result<()> {
    if let Some(mode) = change.mode.filter(|&mode| mode > 0o777) {
        let call = format!("shmctl({id}, IPC_SET, 0{mode:o})");
        return Err(Error::refused(call, Cause::Invalid, "a mode has no bits beyond 0777"));
    }
    // Changing takes no read permission, so asking must not take any either.
    let Some(now) = diagnosis::look(id) else {
        let errno = sys::shmctl_stat(id.number()).err().unwrap_or(Errno::EIDRM);
        return Err(diagnosis::control(id, "IPC_STAT", errno));
    };
    let (uid, gid) = change.owner.unwrap_or((now.uid, now.gid));
    sys::shmctl_set(id.number(), uid, gid, change.mode.unwrap_or(now.mode))
        .map_err(|errno| diagnosis::set(id, uid, gid, errno))
}

/// `SHM_LOCK` or `SHM_UNLOCK`.
pub(crate) fn lock(id: SegmentId, locked: bool) -> Result<()> {
    let command = if locked { "SHM_LOCK" } else { "SHM_UNLOCK" };
    sys::shmctl_lock(id.number(), locked).map_err(|errno| diagnosis::control(id, command, errno))
}
