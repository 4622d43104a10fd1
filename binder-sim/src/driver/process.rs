//! Processes: one for each *open* of the device, not for each pid.

use super::Driver;
use super::allocation::{Allocation, Buffer};
use super::context::Device;
use super::node::NodeId;
use super::range_alloc::BlockId;
use super::reference::References;
use super::security::Credentials;
use super::slab::key;
use super::thread::ThreadKey;
use super::work::Work;
use crate::errno::Errno;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

key! {
    /// An open of the device, as the driver numbers it in [`Output::Opened`](super::Output::Opened).
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
pub(crate) struct Process {
    /// The process that opened the device.
    pub(crate) pid: u32,
    /// That process has ended: its number is told to nobody any more.
    pub(crate) has_exited: bool,
    /// Its effective uid, as it is now.
    pub(crate) euid: u32,
    /// What it was when it opened the device: what a security module is asked about.
    pub(crate) credentials: Credentials,
    /// Its name (`task->comm`), for traces.
    pub(crate) comm: String,
    /// The device that was opened.
    pub(crate) device: Device,
    /// How many opens there were before: the newest is frozen first.
    pub(crate) opened: u64,
    /// Its threads, by tid: each that has made a call.
    pub(crate) threads: BTreeMap<u32, ThreadKey>,
    /// Work for any thread that serves.
    pub(crate) todo: VecDeque<Work>,
    /// The threads that wait for it; the last to wait is the first to be woken.
    pub(crate) waiting: Vec<ThreadKey>,
    /// The nodes it owns, by `ptr`.
    pub(crate) nodes: BTreeMap<u64, NodeId>,
    /// The nodes of others it holds.
    pub(crate) refs: References,
    /// Its mapping: none before mmap. Without one it can receive nothing.
    pub(crate) alloc: Option<Allocation>,
    /// The death notices it has read and not answered.
    pub(crate) delivered_death: VecDeque<Work>,
    /// The freeze notices it has read and not answered.
    pub(crate) delivered_freeze: VecDeque<Work>,
    /// How many threads the driver may ask for.
    pub(crate) max_threads: u32,
    /// Threads that were asked for and have not come yet: 0 or 1.
    pub(crate) requested_threads: u32,
    /// Threads that were asked for and came.
    pub(crate) requested_threads_started: u32,
    /// Wants to hear that it sends too much.
    pub(crate) oneway_spam_detection: bool,
    /// Frozen: synchronous calls are refused.
    pub(crate) is_frozen: bool,
    /// One came while it was.
    pub(crate) sync_recv: bool,
    /// A one-way call came while it was.
    pub(crate) async_recv: bool,
    /// Transactions that it has to read or to answer.
    pub(crate) outstanding: u32,
    /// The last number of the open is closed; the driver has not tidied up yet.
    pub(crate) is_closed: bool,
    /// Its release has begun: nobody finds it by its pid any more.
    pub(crate) is_dead: bool,
}

impl Process {
    /// A fresh open, the `opened`-th.
    pub(crate) fn new(pid: u32, euid: u32, comm: String, device: Device, opened: u64) -> Process {
        Process {
            pid,
            has_exited: false,
            euid,
            credentials: Credentials { pid, euid },
            comm,
            device,
            opened,
            threads: BTreeMap::new(),
            todo: VecDeque::new(),
            waiting: Vec::new(),
            nodes: BTreeMap::new(),
            refs: References::default(),
            alloc: None,
            delivered_death: VecDeque::new(),
            delivered_freeze: VecDeque::new(),
            max_threads: 0,
            requested_threads: 0,
            requested_threads_started: 0,
            oneway_spam_detection: false,
            is_frozen: false,
            sync_recv: false,
            async_recv: false,
            outstanding: 0,
            is_closed: false,
            is_dead: false,
        }
    }
}

impl<F: core::fmt::Debug> Driver<F> {
    /// A mapping for `process`, made by the process `pid`.
    pub(crate) fn mmap(
        &mut self,
        process: ProcessId,
        pid: u32,
        (base, size): (u64, usize),
        write: bool,
    ) -> Result<(), Errno> {
        let process = self.processes.get_mut(process).filter(|p| !p.is_closed).ok_or(Errno::EBADF)?;
        if process.pid != pid || size == 0 || base.checked_add(size as u64).is_none() {
            return Err(Errno::EINVAL);
        }
        if write {
            return Err(Errno::EPERM);
        }
        if process.alloc.is_some() {
            return Err(Errno::EBUSY);
        }
        process.alloc = Some(Allocation::new(base, size));
        Ok(())
    }

    /// A buffer in the mapping of `process`.
    pub(crate) fn buffer_mut(&mut self, process: ProcessId, buffer: BlockId) -> Option<&mut Buffer> {
        self.processes.get_mut(process)?.alloc.as_mut()?.buffer_mut(buffer)
    }

    /// One transaction more or less that `process` has to read or to answer. With the last, whoever waits to
    /// freeze it goes on.
    pub(crate) fn count_outstanding(&mut self, id: ProcessId, change: i32) {
        let Some(process) = self.processes.get_mut(id) else { return };
        process.outstanding = process.outstanding.saturating_add_signed(change);
        if process.outstanding == 0 && process.is_frozen {
            self.wake_freezers(id);
        }
    }

    /// The process `pid` has ended; its opens stay for as long as anybody has them.
    pub(crate) fn exited(&mut self, pid: u32) {
        for process in self.processes.values_mut().filter(|process| process.pid == pid) {
            process.has_exited = true;
        }
    }

    /// The opens, as debugfs has them (`binder/state`): the pid of each, and its threads, by tid, with whether the
    /// next read of each has to come back.
    pub fn opens(&self) -> impl Iterator<Item = (u32, Vec<(u32, bool)>)> {
        let thread = |(&tid, &key): (&u32, &ThreadKey)| (tid, self.threads[key].need_return);
        let listed = self.processes.iter().filter(|(_, process)| !process.is_dead);
        listed.map(move |(_, process)| (process.pid, process.threads.iter().map(thread).collect()))
    }

    /// The name behind an open.
    pub(crate) fn comm(&self, process: ProcessId) -> &str {
        self.processes.get(process).map_or("(closed)", |process| &process.comm)
    }
}
