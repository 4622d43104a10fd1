//! Processes: one for each *open* of the device, not for each pid.

use super::allocation::Allocation;
use super::context::Device;
use super::node::NodeId;
use super::reference::References;
use super::slab::key;
use super::thread::{Thread, ThreadId, Work};
use super::{Driver, Output};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

key! {
    /// An open of the device, as the driver numbers it in [`Output::Opened`].
    pub ProcessId
}

impl ProcessId {
    /// The slot of the open: small, and used again after a close.
    pub fn index(self) -> usize {
        self.0.index as usize
    }
}

/// `struct binder_proc`.
#[derive(Debug)]
pub(crate) struct Process<F> {
    /// The process that opened the device.
    pub(crate) pid: u32,
    /// Its effective uid.
    pub(crate) euid: u32,
    /// Its name (`task->comm`), for traces.
    pub(crate) comm: String,
    /// The device that was opened.
    pub(crate) device: Device,
    /// Its threads, by tid: each that has made a call.
    pub(crate) threads: BTreeMap<u32, Thread<F>>,
    /// Work for any thread that serves.
    pub(crate) todo: VecDeque<Work>,
    /// The threads that wait for it; the last to wait is the first to be woken.
    pub(crate) waiting: Vec<u32>,
    /// The nodes it owns, by `ptr`.
    pub(crate) nodes: BTreeMap<u64, NodeId>,
    /// The nodes of others it holds.
    pub(crate) refs: References,
    /// Its mapping: none before mmap. Without one it can receive nothing.
    pub(crate) alloc: Option<Allocation>,
}

impl<F> Process<F> {
    /// A fresh open.
    pub(crate) fn new(pid: u32, euid: u32, comm: String, device: Device) -> Process<F> {
        Process {
            pid,
            euid,
            comm,
            device,
            threads: BTreeMap::new(),
            todo: VecDeque::new(),
            waiting: Vec::new(),
            nodes: BTreeMap::new(),
            refs: References::default(),
            alloc: None,
        }
    }
}

impl<F: core::fmt::Debug> Driver<F> {
    /// `binder_select_thread`: the thread to be woken for work of `process`; it no longer counts as waiting.
    pub(crate) fn select_thread(&mut self, process: ProcessId) -> Option<ThreadId> {
        let tid = self.processes.get_mut(process)?.waiting.pop()?;
        Some(ThreadId { process, tid })
    }

    /// `binder_wakeup_proc`: wakes a waiting thread of `process`, if there is one.
    pub(crate) fn wake_process(&mut self, process: ProcessId) {
        if let Some(thread) = self.select_thread(process) {
            self.wake(thread);
        }
    }

    /// Says that `thread` may go on, once; when it does is the backend's to say.
    pub(crate) fn wake(&mut self, id: ThreadId) {
        if let Some(call) = self.thread_mut(id).and_then(|thread| thread.call.as_mut())
            && call.parked
            && !call.woken
        {
            call.woken = true;
            self.outputs.push_back(Output::Wake(id));
        }
    }
}
