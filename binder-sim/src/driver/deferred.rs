//! Work that the kernel does later, in a thread of its own: what a close comes to (`binder_deferred_func`).
//!
//! Closing a number wakes every thread of the open; closing the last one takes the open apart. Neither has
//! happened when `close` returns, and others may call the process meanwhile. When it happens is the backend's to
//! say; what happens first is not.

use super::Driver;
use super::process::ProcessId;
use super::thread::{Thread, ThreadKey};
use alloc::vec::Vec;

/// An open with something to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deferred {
    /// Which.
    process: ProcessId,
    /// Wake its threads.
    flush: bool,
    /// Take it apart.
    release: bool,
}

impl<F: core::fmt::Debug> Driver<F> {
    /// How many opens have something to be done later.
    pub fn deferred(&self) -> usize {
        self.deferred.len() + usize::from(self.is_pausing())
    }

    /// Whether the kernel's thread waits in the middle of a release: whoever has been woken runs meanwhile.
    pub fn is_pausing(&self) -> bool {
        self.paused.is_some()
    }

    /// Whether a thread is inside a call of this open: a call keeps its open.
    pub fn is_inside(&self, process: ProcessId) -> bool {
        let threads = self.processes.get(process).into_iter().flat_map(|process| process.threads.values());
        let is_inside = |thread: &Thread<F>| thread.call.is_some() || thread.freezer.is_some();
        threads.filter_map(|&key| self.threads.get(key)).any(is_inside)
    }

    /// `binder_defer_work`: what is due to one open is done together; the last open to be listed comes first.
    pub(crate) fn defer(&mut self, process: ProcessId, release: bool) {
        let Some(open) = self.processes.get_mut(process).filter(|open| !open.is_closed) else { return };
        open.is_closed = release;
        match self.deferred.iter_mut().find(|deferred| deferred.process == process) {
            Some(deferred) => {
                deferred.flush |= !release;
                deferred.release |= release;
            }
            None => self.deferred.push(Deferred { process, flush: !release, release }),
        }
        if release {
            // Whoever was inside a call of it is gone.
            let threads: Vec<ThreadKey> = self.processes[process].threads.values().copied().collect();
            threads.into_iter().for_each(|key| self.drop_call(key));
        }
    }

    /// Does what is due to one open, or goes on with it.
    pub(crate) fn run_deferred(&mut self) {
        if let Some(paused) = self.paused.take() {
            return self.resume_release(paused);
        }
        let Some(Deferred { process, flush, release }) = self.deferred.pop() else { return };
        if flush {
            self.flush(process);
        }
        if release {
            self.begin_release(process);
        }
    }
}
