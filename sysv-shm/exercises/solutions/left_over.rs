//! Solution: is it left over?

use sysv_shm::SegmentStat;

/// Whether a segment is most likely left over from a crash. (`SegmentStat::is_orphan` asks the kernel itself.)
pub(crate) fn is_left_over(stat: &SegmentStat, is_running: impl Fn(u32) -> bool) -> bool {
    // Pid 0 stands for a process in a pid namespace that cannot be seen from here: nothing is known of it.
    let maker = stat.creator_pid;
    stat.attached == 0 && maker != 0 && !is_running(maker)
}
