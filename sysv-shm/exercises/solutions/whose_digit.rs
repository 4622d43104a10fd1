//! Solution: whose digit?

use sysv_shm::SegmentStat;

/// Whether the kernel grants `asks` to a process of this effective uid and with these groups.
pub(crate) fn grants(stat: &SegmentStat, uid: u32, groups: &[u32], asks: u32) -> bool {
    let owner = [stat.uid, stat.creator_uid].contains(&uid);
    let group = groups.contains(&stat.gid) || groups.contains(&stat.creator_gid);
    let granted = match (owner, group) {
        (true, _) => stat.mode >> 6,
        (false, true) => stat.mode >> 3,
        (false, false) => stat.mode,
    };
    asks & !granted & 0o7 == 0
}
