//! Exercise: whose digit?

use sysv_shm::SegmentStat;

/// Whether the kernel grants `asks` (4 to read, 2 to write, 6 both) to a process of this effective uid and
/// with these groups, which has no capability.
pub(crate) fn grants(stat: &SegmentStat, uid: u32, groups: &[u32], asks: u32) -> bool {
    let owner = [stat.uid, stat.creator_uid].contains(&uid);
    let group = groups.contains(&stat.gid) || groups.contains(&stat.creator_gid);
    // HOLE: sums up all that could apply. Which digit does count? Take this line out.
    let mut granted = stat.mode;
    granted |= if owner { stat.mode >> 6 } else { 0 };
    granted |= if group { stat.mode >> 3 } else { 0 };
    asks & !granted & 0o7 == 0
}
