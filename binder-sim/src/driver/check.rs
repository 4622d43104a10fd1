//! What must be true between any two inputs; asserted after each step in tests.

use super::allocation::{Buffer, HeldObject};
use super::node::{Node, NodeId, WorkList};
use super::process::{Process, ProcessId};
use super::thread::{Thread, Work};
use super::transaction::TransactionId;
use super::{Driver, Translation};
use alloc::collections::BTreeSet;
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

impl<F: fmt::Debug> Driver<F> {
    /// Asserts every invariant: counts, queues, buffers, files.
    ///
    /// # Errors
    /// The first one that does not hold.
    pub fn check(&self) -> Result<(), Broken> {
        for (id, node) in self.nodes.iter() {
            self.check_node(id, node)?;
        }
        let mut reached = BTreeSet::new();
        for (id, process) in self.processes.iter() {
            self.check_process(id, process)?;
            self.reach(process, &mut reached);
        }
        require(reached.len() == self.transactions.len(), || {
            format!("{} transactions, {} can be reached", self.transactions.len(), reached.len())
        })?;
        let is_early = |t: &super::transaction::Transaction<F>| !t.fixups.is_empty();
        let classic = self.translation == Translation::Classic;
        require(!(classic && self.transactions.iter().any(|(_, t)| is_early(t))), || {
            "classic, and files wait for the receiver".into()
        })
    }

    /// The files in flight: those that the driver holds between any two inputs.
    pub fn files(&self) -> impl Iterator<Item = &F> {
        let calls =
            self.processes.iter().flat_map(|(_, p)| p.threads.values()).filter_map(|t| t.call.as_ref());
        let building = calls.filter_map(|call| call.building.as_ref()).flat_map(|building| &building.fixups);
        let queued = self.transactions.iter().flat_map(|(_, transaction)| &transaction.fixups);
        building.chain(queued).map(|in_flight| &in_flight.file)
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

    /// A node's counts are those of the handles and buffers there are.
    fn check_node(&self, id: NodeId, node: &Node) -> Result<(), Broken> {
        let handles = || self.processes.iter().filter_map(|(_, p)| p.refs.get(p.refs.find(id)?));
        let (all, strong) = (handles().count(), handles().filter(|r| r.strong > 0).count());
        require((node.refs as usize, node.internal_strong as usize) == (all, strong), || {
            format!("node {:#x}: counts {node:?}, but {all} handles, {strong} strong", node.ptr)
        })?;
        let todo = match node.work {
            Some(WorkList::Thread(thread)) => self.thread(thread).map(|thread| &thread.todo),
            Some(WorkList::Process(process)) => self.processes.get(process).map(|process| &process.todo),
            None => None,
        };
        let listed = todo.is_some_and(|todo| todo.contains(&Work::Node(id))) || node.work.is_none();
        require(listed, || format!("node {:#x}: its work item is not where it says", node.ptr))?;
        require(node.has_async || node.async_todo.is_empty(), || {
            format!("node {:#x}: one-way calls wait behind nothing", node.ptr)
        })?;
        let Some(owner) = node.owner else { return Ok(()) };
        let mut buffers = self.processes[owner].alloc.iter().flat_map(|alloc| alloc.buffers());
        let is_out = buffers.any(|b| b.is_async && b.target_node == Some(id));
        require(!node.has_async || is_out, || {
            format!("node {:#x}: waits for a one-way call that does not exist", node.ptr)
        })?;
        require(self.processes[owner].nodes.get(&node.ptr) == Some(&id), || {
            format!("node {:#x}: its owner does not know it", node.ptr)
        })?;
        let by_device = u32::from(self.contexts[self.processes[owner].device as usize].manager == Some(id));
        let (strong, weak) = self.counts_on(id, &self.processes[owner]);
        let strong = strong + by_device + u32::from(node.pending_strong);
        let weak = weak + by_device + u32::from(node.pending_weak);
        require((node.local_strong, node.local_weak) == (strong, weak), || {
            format!("node {:#x}: {node:?}, but {strong} strong and {weak} weak are accounted for", node.ptr)
        })
    }

    /// The strong and weak counts that the buffers of the owner hold on one of its nodes.
    fn counts_on(&self, id: NodeId, owner: &Process<F>) -> (u32, u32) {
        let buffers = || owner.alloc.iter().flat_map(|alloc| alloc.buffers());
        let objects = |b: &Buffer, wanted: bool| {
            let counted = b.objects.iter().filter(|&&o| o == HeldObject::Node { node: id, strong: wanted });
            u32::try_from(counted.count()).unwrap_or(u32::MAX)
        };
        let called = |b: &Buffer| u32::from(b.target_node == Some(id));
        let strong = buffers().map(|b| called(b) + objects(b, true)).sum();
        (strong, buffers().map(|b| objects(b, false)).sum())
    }

    /// A process's mapping, buffers and waiting threads.
    fn check_process(&self, id: ProcessId, process: &Process<F>) -> Result<(), Broken> {
        let holding = process.threads.values().filter(|thread| {
            thread.call.as_ref().is_some_and(|call| call.building.is_some() || call.delivering.is_some())
        });
        require(holding.count() == 0 || !self.outputs.is_empty(), || {
            format!("pid {}: a thread is held and nobody was asked for numbers", process.pid)
        })?;
        for &tid in &process.waiting {
            let parked = |thread: &Thread<F>| thread.call.as_ref().is_some_and(|call| call.parked);
            require(process.threads.get(&tid).is_some_and(parked), || {
                format!("pid {}: thread {tid} counts as waiting and does not wait", process.pid)
            })?;
        }
        let Some(alloc) = &process.alloc else { return Ok(()) };
        alloc.check().map_err(|text| Broken(format!("pid {}: {text}", process.pid)))?;
        for buffer in alloc.buffers() {
            let transaction = buffer.transaction.and_then(|t| self.transactions.get(t));
            let owned = transaction.is_some_and(|t| t.to == id && t.buffer.is_some());
            require(buffer.allow_user_free || owned, || {
                format!("pid {}: a buffer that nobody can free", process.pid)
            })?;
        }
        Ok(())
    }

    /// Adds every transaction that somebody of `process` will read, serves or waits for.
    fn reach(&self, process: &Process<F>, reached: &mut BTreeSet<TransactionId>) {
        let mut open: Vec<TransactionId> = Vec::new();
        let queued = |work: &Work| match work {
            Work::Transaction(id) => Some(*id),
            _ => None,
        };
        open.extend(process.todo.iter().filter_map(queued));
        for thread in process.threads.values() {
            open.extend(thread.todo.iter().filter_map(queued).chain(thread.stack));
            let call = thread.call.as_ref();
            open.extend(call.and_then(|call| call.delivering));
            open.extend(call.and_then(|call| call.building.as_ref()?.route.in_reply_to));
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
