//! Freezing: a process that is to be stopped takes no more calls (`BINDER_FREEZE`, `BINDER_GET_FROZEN_INFO`).
//!
//! The driver stops nobody. It refuses synchronous calls, lets one-way calls queue up, and says what came.

use super::process::ProcessId;
use super::thread::ThreadKey;
use super::{Driver, Output};
use crate::errno::Errno;
use crate::protocol::{Answer, FrozenInfo};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// A `BINDER_FREEZE` under way: the calling thread waits until the process has done what it had to do.
#[derive(Debug)]
pub(crate) struct Freezer {
    /// The opens that are left, the next one last.
    targets: Vec<ProcessId>,
    /// Whether there is time to wait for each.
    waits: bool,
    /// Its thread has been told to go on.
    woken: bool,
}

impl<F: core::fmt::Debug> Driver<F> {
    /// The opens of the process `pid` on all devices, the oldest first.
    fn opens_of(&self, pid: u32) -> Vec<ProcessId> {
        let of_pid = self.processes.iter().filter(|(_, process)| process.pid == pid && !process.is_dead);
        let mut opens: Vec<(u64, ProcessId)> = of_pid.map(|(id, process)| (process.opened, id)).collect();
        opens.sort_unstable();
        opens.into_iter().map(|(_, id)| id).collect()
    }

    /// `BINDER_FREEZE`: all opens of `pid`, the newest first. None where the thread has to wait.
    pub(crate) fn freeze(
        &mut self,
        thread: ThreadKey,
        pid: u32,
        enable: bool,
        timeout_ms: u32,
    ) -> Option<Result<Answer, Errno>> {
        let targets = self.opens_of(pid);
        if targets.is_empty() {
            return Some(Err(Errno::EINVAL));
        }
        if !enable {
            for &target in targets.iter().rev() {
                self.thaw(target);
                if self.profile.freeze_notification {
                    self.send_freeze_notices(target, false);
                }
            }
            return Some(Ok(Answer::Done));
        }
        self.go_on_freezing(thread, Freezer { targets, waits: timeout_ms > 0, woken: false }, true)
    }

    /// Freezes one open after the other, until one has things to do: then the thread waits, or gives up.
    fn go_on_freezing(
        &mut self,
        thread: ThreadKey,
        mut freezer: Freezer,
        mut is_new: bool,
    ) -> Option<Result<Answer, Errno>> {
        while let Some(&target) = freezer.targets.last() {
            if let Some(process) = self.processes.get_mut(target) {
                if is_new {
                    (process.sync_recv, process.async_recv, process.is_frozen) = (false, false, true);
                }
                if process.outstanding > 0 && freezer.waits {
                    freezer.woken = false;
                    self.threads[thread].freezer = Some(freezer);
                    return None;
                }
                if self.is_pending(target) {
                    self.processes[target].is_frozen = false;
                    return Some(Err(Errno::EAGAIN));
                }
                if self.profile.freeze_notification {
                    self.send_freeze_notices(target, true);
                }
            }
            freezer.targets.pop();
            is_new = true;
        }
        Some(Ok(Answer::Done))
    }

    /// How many opens are taken apart and yet not forgotten, because somebody still waits to freeze them.
    pub fn lingering(&self) -> usize {
        let freezers = self.threads.iter().filter_map(|(_, thread)| thread.freezer.as_ref());
        let targets: BTreeSet<ProcessId> =
            freezers.flat_map(|freezer| freezer.targets.iter().copied()).collect();
        targets.into_iter().filter(|&target| self.processes.get(target).is_none()).count()
    }

    /// Whoever waits to freeze `process` has a reason to look again.
    pub(crate) fn wake_freezers(&mut self, process: ProcessId) {
        let waits = |freezer: &Freezer| !freezer.woken && freezer.targets.last() == Some(&process);
        let waiting = self.threads.iter().filter(|(_, t)| t.freezer.as_ref().is_some_and(waits));
        let waiting: Vec<ThreadKey> = waiting.map(|(key, _)| key).collect();
        for key in waiting {
            if let Some(freezer) = &mut self.threads[key].freezer {
                freezer.woken = true;
            }
            self.outputs.push_back(Output::Wake(self.threads[key].id));
        }
    }

    /// A thread that waits to freeze somebody looks again; or, when the time `is_up`, looks for the last time.
    pub(crate) fn resume_freezer(&mut self, thread: ThreadKey, is_up: bool) {
        let Some(freezer) = self.threads[thread].freezer.take() else { return };
        let target = freezer.targets.last().copied().filter(|&id| self.processes.get(id).is_some());
        if let Some(target) = target.filter(|&target| is_up && self.is_pending(target)) {
            self.thaw_silently(target);
            return self.answer(thread, Err(Errno::EAGAIN));
        }
        // The opens behind this one have as much time as this one had.
        if let Some(result) = self.go_on_freezing(thread, freezer, false) {
            self.answer(thread, result);
        }
    }

    /// A thread that waits to freeze somebody was interrupted: the freeze comes to nothing.
    pub(crate) fn interrupt_freezer(&mut self, thread: ThreadKey) {
        let Some(freezer) = self.threads[thread].freezer.take() else { return };
        if let Some(&target) = freezer.targets.last() {
            self.thaw_silently(target);
        }
        self.answer(thread, Err(Errno::EINTR));
    }

    /// The process takes calls again, and what is known of the time before is forgotten.
    fn thaw(&mut self, process: ProcessId) {
        let process = &mut self.processes[process];
        (process.sync_recv, process.async_recv, process.is_frozen) = (false, false, false);
    }

    /// The process takes calls again: it was not to be frozen.
    fn thaw_silently(&mut self, process: ProcessId) {
        if let Some(process) = self.processes.get_mut(process) {
            process.is_frozen = false;
        }
    }

    /// `binder_txns_pending`: whether something is to be read, to be answered, or waited for.
    pub(crate) fn is_pending(&self, process: ProcessId) -> bool {
        let process = &self.processes[process];
        process.outstanding > 0 || process.threads.values().any(|&key| self.threads[key].stack.is_some())
    }

    /// `BINDER_GET_FROZEN_INFO`: what came to all opens of `pid`.
    pub(crate) fn frozen_info(&self, pid: u32) -> Result<FrozenInfo, Errno> {
        let opens = self.opens_of(pid);
        if opens.is_empty() {
            return Err(Errno::EINVAL);
        }
        let mut info = FrozenInfo { pid, ..FrozenInfo::default() };
        for open in opens {
            let process = &self.processes[open];
            info.sync_recv |= u32::from(process.sync_recv) | u32::from(self.is_pending(open)) << 1;
            info.async_recv |= u32::from(process.async_recv);
        }
        Ok(info)
    }
}
