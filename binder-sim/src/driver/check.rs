//! What must be true between any two inputs; asserted after each step in tests.

use super::allocation::{Buffer, HeldObject};
use super::node::{Node, NodeId};
use super::process::{Process, ProcessId};
use super::thread::{Hold, Thread};
use super::transaction::TransactionId;
use super::work::{List, Work};
use super::{Driver, Translation};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// An invariant that does not hold: a defect of this crate, never of its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(pub(crate) String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken invariant: {}", self.0)
    }
}

impl core::error::Error for Broken {}

/// `Err(text)` unless `holds`.
fn require(holds: bool, text: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken(text())) }
}

/// What all buffers of all processes hold, added up, and how many transactions each process has.
#[derive(Debug, Default)]
struct Sums {
    /// The strong and weak counts on each node.
    counts: BTreeMap<NodeId, (u32, u32)>,
    /// The nodes with a one-way buffer out.
    one_way: BTreeSet<NodeId>,
    /// The handles on each node: all of them, and the strong ones.
    handles: BTreeMap<NodeId, (u32, u32)>,
    /// The transactions that each process has to read or to answer.
    outstanding: BTreeMap<ProcessId, u32>,
}

impl<F: fmt::Debug> Driver<F> {
    /// Asserts every invariant: counts, queues, buffers, notices, files. Not while a sender waits for
    /// a table's answer (classic): what is half built is counted half.
    ///
    /// # Errors
    /// The first one that does not hold.
    pub fn check(&self) -> Result<(), Broken> {
        let sums = self.add_up();
        for (id, node) in self.nodes.iter() {
            self.check_node(id, node, &sums)?;
        }
        let mut reached = BTreeSet::new();
        for (id, process) in self.processes.iter() {
            self.check_process(id, process, &sums)?;
            self.check_notices(id, process)?;
            self.reach(id, process, &mut reached);
        }
        reached.extend(self.paused.and_then(|paused| paused.served));
        require(reached.len() == self.transactions.len(), || {
            format!("{} transactions, {} can be reached", self.transactions.len(), reached.len())
        })?;
        let threads: usize =
            self.processes.iter().map(|(id, process)| self.threads_of(id, process).count()).sum();
        require(threads == self.threads.len(), || {
            format!("{} threads, {threads} belong to a process", self.threads.len())
        })?;
        let has_files = self.transactions.iter().any(|(_, transaction)| !transaction.fixups.is_empty());
        require(self.translation == Translation::Deferred || !has_files, || {
            "classic, and files wait for the receiver".into()
        })
    }

    /// The files in flight: those that the driver holds between any two inputs.
    pub fn files(&self) -> impl Iterator<Item = &F> {
        let calls = || self.threads.iter().filter_map(|(_, thread)| thread.call.as_ref());
        let building = calls().filter_map(|call| match &call.hold {
            Hold::Building(building) => Some(building.fixups.iter().chain(building.installing.as_slice())),
            _ => None,
        });
        let looked_up = calls().flat_map(|call| call.files.iter().flatten());
        let queued = self.transactions.iter().flat_map(|(_, transaction)| &transaction.fixups);
        let in_flight = building.flatten().chain(queued).map(|in_flight| &in_flight.file);
        in_flight.chain(looked_up)
    }

    /// How many buffers are out, and how many bytes are free, in the mapping of `process`.
    pub fn buffers(&self, process: ProcessId) -> Option<(usize, usize)> {
        let alloc = self.processes.get(process)?.alloc.as_ref()?;
        Some((alloc.buffers().count(), alloc.free_bytes()))
    }

    /// The handles of `process`: number, strong and weak counts, and whether the node's owner is alive.
    pub fn handles(&self, process: ProcessId) -> Vec<(u32, u32, u32, bool)> {
        let Some(process) = self.processes.get(process) else { return Vec::new() };
        let live = |node: NodeId| self.nodes[node].owner.is_some();
        process.refs.iter().map(|(handle, r)| (handle, r.strong, r.weak, live(r.node))).collect()
    }

    /// How many objects the driver keeps: opens, nodes, transactions. All 0 when everybody has closed.
    pub fn population(&self) -> (usize, usize, usize) {
        (self.processes.len(), self.nodes.len(), self.transactions.len())
    }

    /// Adds up what holds what.
    fn add_up(&self) -> Sums {
        let mut sums = Sums::default();
        for (_, process) in self.processes.iter() {
            for (_, reference) in process.refs.iter() {
                let (all, strong) = sums.handles.entry(reference.node).or_default();
                (*all, *strong) = (*all + 1, *strong + u32::from(reference.strong > 0));
            }
            process.alloc.iter().flat_map(|alloc| alloc.buffers()).for_each(|buffer| sums.add(buffer));
        }
        for context in &self.contexts {
            if let Some(manager) = context.manager {
                sums.count(manager, 1, 1);
            }
        }
        for to in self.transactions.iter().filter_map(|(_, transaction)| transaction.to) {
            *sums.outstanding.entry(to).or_default() += 1;
        }
        sums
    }

    /// The threads of an open, also the one at which its release waits.
    fn threads_of<'a>(&'a self, id: ProcessId, process: &'a Process) -> impl Iterator<Item = &'a Thread<F>> {
        let paused = self.paused.as_ref().filter(|paused| paused.process == id);
        process.threads.values().chain(paused.map(|paused| &paused.thread)).map(|&key| &self.threads[key])
    }

    /// A node's counts are those of the handles and buffers there are.
    fn check_node(&self, id: NodeId, node: &Node, sums: &Sums) -> Result<(), Broken> {
        let (all, strong) = sums.handles.get(&id).copied().unwrap_or_default();
        require((node.holders.len(), node.internal_strong) == (all as usize, strong), || {
            format!("node {:#x}: counts {node:?}, but {all} handles, {strong} strong", node.ptr)
        })?;
        let todo = match node.work {
            Some(List::Thread(thread)) => self.threads.get(thread).map(|thread| &thread.todo),
            Some(List::Process(process)) => self.processes.get(process).map(|process| &process.todo),
            _ => None,
        };
        let listed = todo.is_some_and(|todo| todo.contains(&Work::Node(id))) || node.work.is_none();
        require(listed, || format!("node {:#x}: its work item is not where it says", node.ptr))?;
        require(node.tmp == 0, || format!("node {:#x}: the driver itself still counts on it", node.ptr))?;
        require(node.has_async || node.async_todo.is_empty(), || {
            format!("node {:#x}: one-way calls wait behind nothing", node.ptr)
        })?;
        let Some(owner) = node.owner else { return Ok(()) };
        require(!node.has_async || sums.one_way.contains(&id), || {
            format!("node {:#x}: waits for a one-way call that does not exist", node.ptr)
        })?;
        require(self.processes[owner].nodes.get(&node.ptr) == Some(&id), || {
            format!("node {:#x}: its owner does not know it", node.ptr)
        })?;
        if self.processes[owner].is_dead {
            // Of a manager that is being taken apart nobody knows any more that it was one.
            return Ok(());
        }
        let (strong, weak) = sums.counts.get(&id).copied().unwrap_or_default();
        let (strong, weak) = (strong + u32::from(node.pending_strong), weak + u32::from(node.pending_weak));
        require((node.local_strong, node.local_weak) == (strong, weak), || {
            format!("node {:#x}: {node:?}, but {strong} strong and {weak} weak are accounted for", node.ptr)
        })
    }

    /// A process's mapping, buffers, waiting threads and outstanding transactions.
    fn check_process(&self, id: ProcessId, process: &Process, sums: &Sums) -> Result<(), Broken> {
        let threads = || self.threads_of(id, process);
        let is_held = |thread: &Thread<F>| thread.call.as_ref().is_some_and(|call| call.is_held());
        require(!threads().any(is_held) || !self.outputs.is_empty(), || {
            format!("pid {}: a thread is held and nobody was asked for numbers", process.pid)
        })?;
        for &key in &process.waiting {
            let parked = self.threads.get(key).is_some_and(|thread| thread.is_parked());
            require(parked, || format!("pid {}: {key:?} counts as waiting and does not wait", process.pid))?;
        }
        for thread in threads() {
            require(!thread.process_todo || !thread.todo.is_empty(), || {
                format!("pid {}: a thread is to come back for nothing", process.pid)
            })?;
        }
        let outstanding = sums.outstanding.get(&id).copied().unwrap_or(0);
        require(process.outstanding == outstanding, || {
            format!("pid {}: {} outstanding, {outstanding} there", process.pid, process.outstanding)
        })?;
        let Some(alloc) = &process.alloc else { return Ok(()) };
        alloc.check().map_err(|text| Broken(format!("pid {}: {text}", process.pid)))?;
        for buffer in alloc.buffers() {
            let transaction = buffer.transaction.and_then(|t| self.transactions.get(t));
            let owned = transaction.is_some_and(|t| t.to == Some(id) && t.buffer.is_some());
            require(buffer.allow_user_free || owned || buffer.is_lost, || {
                format!("pid {}: a buffer that nobody can free", process.pid)
            })?;
        }
        Ok(())
    }

    /// The notices that a process asked for are those that the driver keeps for it.
    fn check_notices(&self, id: ProcessId, process: &Process) -> Result<(), Broken> {
        let lists = || {
            let threads = self.threads_of(id, process).map(|thread| &thread.todo);
            threads.chain([&process.todo, &process.delivered_death, &process.delivered_freeze])
        };
        let listed = |work: Work| lists().filter(|list: &&VecDeque<Work>| list.contains(&work)).count();
        for (handle, reference) in process.refs.iter() {
            let death = reference.death.is_none_or(|id| self.deaths.get(id).is_some());
            let freeze = reference.freeze.is_none_or(|id| self.freeze_notices.get(id).is_some());
            require(death && freeze, || format!("handle {handle}: a notice that does not exist"))?;
        }
        for &work in lists().flatten() {
            let exists = match work {
                Work::Transaction(id) => self.transactions.get(id).is_some(),
                Work::Node(id) => self.nodes.get(id).is_some_and(|node| node.work.is_some()),
                Work::Death(id) => self.deaths.get(id).is_some() && listed(work) == 1,
                Work::Freeze(id) => self.freeze_notices.get(id).is_some() && listed(work) == 1,
                Work::Complete(_) | Work::ReturnError | Work::ReplyError => true,
            };
            require(exists, || format!("pid {}: {work:?} is listed and is not there", process.pid))?;
        }
        Ok(())
    }

    /// Adds every transaction that somebody of `process` will read, serves or waits for.
    fn reach(&self, id: ProcessId, process: &Process, reached: &mut BTreeSet<TransactionId>) {
        let mut open: Vec<TransactionId> = Vec::new();
        let queued = |work: &Work| match work {
            Work::Transaction(id) => Some(*id),
            _ => None,
        };
        open.extend(process.todo.iter().filter_map(queued));
        for thread in self.threads_of(id, process) {
            open.extend(thread.todo.iter().filter_map(queued).chain(thread.stack));
            if let Some(Hold::Delivering(id)) = thread.call.as_ref().map(|call| &call.hold) {
                open.push(*id);
            }
        }
        for &node in process.nodes.values() {
            open.extend(&self.nodes[node].async_todo);
        }
        while let Some(id) = open.pop() {
            if let Some(transaction) = self.transactions.get(id).filter(|_| reached.insert(id)) {
                open.extend(transaction.from_parent.into_iter().chain(transaction.to_parent));
            }
        }
    }
}

impl Sums {
    /// Adds what one buffer holds.
    fn add(&mut self, buffer: &Buffer) {
        if let Some(node) = buffer.target_node {
            self.count(node, 1, 0);
            if buffer.is_async {
                self.one_way.insert(node);
            }
        }
        for object in &buffer.objects {
            if let HeldObject::Node { node, strong } = *object {
                self.count(node, u32::from(strong), u32::from(!strong));
            }
        }
    }

    /// Adds to the counts on one node.
    fn count(&mut self, node: NodeId, strong: u32, weak: u32) {
        let counts = self.counts.entry(node).or_default();
        (counts.0, counts.1) = (counts.0 + strong, counts.1 + weak);
    }
}

#[cfg(test)]
mod tests;
