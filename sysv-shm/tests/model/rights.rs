//! Who may do what, and how much: the model's users, mode bits and limits.

use nix::errno::Errno;

use crate::facts::Facts;

/// The namespace's limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// `kernel.shmmax`, in bytes.
    pub(crate) size: usize,
    /// `kernel.shmmni`
    pub(crate) segments: usize,
    /// `kernel.shmall`
    pub(crate) pages: usize,
}

/// Whom a process runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    /// Effective uid.
    pub(crate) uid: u32,
    /// Effective gid, and the only group that matters.
    pub(crate) gid: u32,
    /// Whether it has CAP_SYS_ADMIN, so that every segment is as good as its own to remove and to change.
    pub(crate) admin: bool,
}

/// `ipcperms`: the first class that fits the caller decides, and must grant every bit that any digit of
/// `wanted` asks for.
pub(crate) fn granted(user: User, facts: &Facts, wanted: u32) -> bool {
    let User { uid, gid, .. } = user;
    let class = if uid == facts.uid || uid == facts.cuid {
        facts.mode >> 6
    } else if gid == facts.gid || gid == facts.cgid {
        facts.mode >> 3
    } else {
        facts.mode
    };
    (wanted >> 6 | wanted >> 3 | wanted) & !class & 0o7 == 0
}

/// `ipcctl_obtain_check`: what only owner, creator and administrator may do.
pub(crate) fn owned(user: User, facts: &Facts) -> Result<(), Errno> {
    let User { uid, admin, .. } = user;
    if admin || uid == facts.uid || uid == facts.cuid { Ok(()) } else { Err(Errno::EPERM) }
}
