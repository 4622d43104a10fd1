//! Exercise: is it left over?

use sysv_shm::SegmentStat;

/// Whether a segment is most likely left over from a crash: nobody uses it, and the process that made it, and
/// could come back to it, is known to have ended.
///
/// `is_running` tells whether there is a process of this pid, as far as can be seen from here.
pub(crate) fn is_left_over(stat: &SegmentStat, is_running: impl Fn(u32) -> bool) -> bool {
    // HOLE: this removes what its creator is about to use. Ask about it, and take this line out.
    let _ = is_running;
    stat.attached == 0
}
