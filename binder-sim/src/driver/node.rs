//! Nodes: what a process offers to be called, and how often others hold it.

use super::process::ProcessId;
use super::slab::key;
use super::thread::{ThreadId, Work};
use super::{Driver, transaction::TransactionId};
use crate::errno::Errno;
use crate::protocol::ObjectFlags;
use alloc::collections::VecDeque;

key! {
    /// A node's number inside the driver.
    pub(crate) NodeId
}

/// The list that a node's own work item (tell the owner how it is held) stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkList {
    /// A thread's.
    Thread(ThreadId),
    /// A process's.
    Process(ProcessId),
}

/// `struct binder_node`.
///
/// # Invariants
/// `refs` is the number of handles on the node in all processes, `internal_strong` the number of those that are
/// strong. `work` says in which list `Work::Node` of this node stands. `async_todo` is empty unless
/// `has_async`.
#[derive(Debug)]
pub(crate) struct Node {
    /// Whose it is; none once the owner has died.
    pub(crate) owner: Option<ProcessId>,
    /// The owner's name for it.
    pub(crate) ptr: u64,
    /// The owner's second word.
    pub(crate) cookie: u64,
    /// Flags of the object that created it.
    pub(crate) flags: ObjectFlags,
    /// Handles that hold it strongly.
    pub(crate) internal_strong: u32,
    /// Strong counts of buffers, and of the driver while the owner has not acknowledged.
    pub(crate) local_strong: u32,
    /// Weak counts of the same kind.
    pub(crate) local_weak: u32,
    /// Handles that hold it, strongly or weakly.
    pub(crate) refs: u32,
    /// The owner has been told that it is held strongly.
    pub(crate) has_strong: bool,
    /// The owner has been told that it is held at all.
    pub(crate) has_weak: bool,
    /// `BR_ACQUIRE` went out, `BC_ACQUIRE_DONE` has not come.
    pub(crate) pending_strong: bool,
    /// `BR_INCREFS` went out, `BC_INCREFS_DONE` has not come.
    pub(crate) pending_weak: bool,
    /// Where its work item stands.
    pub(crate) work: Option<WorkList>,
    /// A one-way call is with the owner and has not been freed.
    pub(crate) has_async: bool,
    /// The one-way calls behind it.
    pub(crate) async_todo: VecDeque<TransactionId>,
}

impl Node {
    /// A node that nobody holds yet.
    pub(crate) fn new(owner: ProcessId, ptr: u64, cookie: u64, flags: ObjectFlags) -> Node {
        Node {
            owner: Some(owner),
            ptr,
            cookie,
            flags,
            internal_strong: 0,
            local_strong: 0,
            local_weak: 0,
            refs: 0,
            has_strong: false,
            has_weak: false,
            pending_strong: false,
            pending_weak: false,
            work: None,
            has_async: false,
            async_todo: VecDeque::new(),
        }
    }

    /// Whether somebody needs it strongly.
    pub(crate) fn wants_strong(&self) -> bool {
        self.internal_strong > 0 || self.local_strong > 0
    }

    /// Whether somebody needs it at all.
    pub(crate) fn wants_weak(&self) -> bool {
        self.wants_strong() || self.refs > 0 || self.local_weak > 0
    }
}

impl<F: core::fmt::Debug> Driver<F> {
    /// `binder_new_node`: the node of `process` under `ptr`, made if there is none.
    pub(crate) fn new_node(
        &mut self,
        process: ProcessId,
        ptr: u64,
        cookie: u64,
        flags: ObjectFlags,
    ) -> NodeId {
        if let Some(&node) = self.processes[process].nodes.get(&ptr) {
            return node;
        }
        let node = self.nodes.insert(Node::new(process, ptr, cookie, flags));
        self.processes[process].nodes.insert(ptr, node);
        node
    }

    /// `binder_inc_node`: one more count; `sender` is the owner's thread that is sending the node right now.
    ///
    /// A first count has to reach the owner: as work for the sender's thread. Without one, only a node that is
    /// held already can be counted.
    pub(crate) fn inc_node(
        &mut self,
        id: NodeId,
        strong: bool,
        internal: bool,
        sender: Option<ThreadId>,
    ) -> Result<(), Errno> {
        let node = &mut self.nodes[id];
        if strong {
            // A manager's node was counted when it was made: the one that can be acquired from nothing.
            let told = node.owner.is_some_and(|owner| {
                self.contexts[self.processes[owner].device as usize].manager == Some(id)
            }) && node.has_strong;
            if internal && sender.is_none() && node.internal_strong == 0 && !told {
                return Err(Errno::EINVAL);
            }
            *if internal { &mut node.internal_strong } else { &mut node.local_strong } += 1;
            if let (false, Some(thread)) = (node.has_strong, sender) {
                self.dequeue_node_work(id);
                self.enqueue_node_work(id, thread);
            }
        } else {
            let unknown = !node.has_weak && node.work.is_none();
            match sender {
                None if unknown => return Err(Errno::EINVAL),
                Some(thread) if unknown => self.enqueue_node_work(id, thread),
                _ => {}
            }
            if !internal {
                self.nodes[id].local_weak += 1;
            }
        }
        Ok(())
    }

    /// `binder_dec_node`: one count less; the owner is told when it was the last, the node goes when nobody
    /// and nothing is left.
    pub(crate) fn dec_node(&mut self, id: NodeId, strong: bool, internal: bool) {
        let node = &mut self.nodes[id];
        if strong {
            let count = if internal { &mut node.internal_strong } else { &mut node.local_strong };
            *count = count.saturating_sub(1);
            if node.wants_strong() {
                return;
            }
        } else {
            if !internal {
                node.local_weak = node.local_weak.saturating_sub(1);
            }
            if node.local_weak > 0 || node.refs > 0 {
                return;
            }
        }
        match node.owner {
            Some(owner) if node.has_strong || node.has_weak => {
                if node.work.is_none() {
                    node.work = Some(WorkList::Process(owner));
                    self.processes[owner].todo.push_back(Work::Node(id));
                    self.wake_process(owner);
                }
            }
            _ => self.reap_node(id),
        }
    }

    /// Removes a node that nothing counts any more and whose owner, if alive, holds nothing of it either.
    pub(crate) fn reap_node(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get(id) else { return };
        if node.wants_weak() || (node.owner.is_some() && (node.has_strong || node.has_weak)) {
            return;
        }
        let (owner, ptr) = (node.owner, node.ptr);
        self.dequeue_node_work(id);
        if let Some(owner) = owner {
            self.processes[owner].nodes.remove(&ptr);
        }
        self.nodes.remove(id);
    }

    /// Puts the node's work item at the end of `thread`'s list, without waking it: it goes with the next read.
    fn enqueue_node_work(&mut self, id: NodeId, thread: ThreadId) {
        self.nodes[id].work = Some(WorkList::Thread(thread));
        if let Some(thread) = self.thread_mut(thread) {
            thread.todo.push_back(Work::Node(id));
        }
    }

    /// Takes the node's work item out of whatever list it stands in.
    pub(crate) fn dequeue_node_work(&mut self, id: NodeId) {
        let list = match self.nodes[id].work.take() {
            Some(WorkList::Thread(thread)) => self.thread_mut(thread).map(|thread| &mut thread.todo),
            Some(WorkList::Process(process)) => self.processes.get_mut(process).map(|p| &mut p.todo),
            None => None,
        };
        if let Some(list) = list {
            list.retain(|work| *work != Work::Node(id));
        }
    }
}
