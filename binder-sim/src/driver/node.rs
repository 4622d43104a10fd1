//! Nodes: what a process offers to be called, and how often others hold it.

use super::Driver;
use super::process::ProcessId;
use super::slab::key;
use super::thread::ThreadKey;
use super::transaction::TransactionId;
use super::work::{List, Work};
use crate::errno::Errno;
use crate::protocol::{NodeDebugInfo, NodeInfoForRef, ObjectFlags, Refusal, Return};
use alloc::collections::{BTreeSet, VecDeque};

key! {
    /// A node's number inside the driver.
    pub(crate) NodeId
}

/// `struct binder_node`.
///
/// # Invariants
/// `holders` are the processes with a handle on the node, `internal_strong` the number of those that are strong.
/// `work` says in which list `Work::Node` of this node stands. `async_todo` is empty unless `has_async`.
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
    /// Counts of the driver itself, for the length of one command.
    pub(crate) tmp: u32,
    /// Who has a handle on it, strong or weak.
    pub(crate) holders: BTreeSet<ProcessId>,
    /// The owner has been told that it is held strongly.
    pub(crate) has_strong: bool,
    /// The owner has been told that it is held at all.
    pub(crate) has_weak: bool,
    /// `BR_ACQUIRE` went out, `BC_ACQUIRE_DONE` has not come.
    pub(crate) pending_strong: bool,
    /// `BR_INCREFS` went out, `BC_INCREFS_DONE` has not come.
    pub(crate) pending_weak: bool,
    /// Where its work item stands.
    pub(crate) work: Option<List>,
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
            tmp: 0,
            holders: BTreeSet::new(),
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
        self.wants_strong() || !self.holders.is_empty() || self.local_weak > 0 || self.tmp > 0
    }
}

impl<F: core::fmt::Debug> Driver<F> {
    /// `binder_new_node`: the node of `process` under `ptr`, made if there is none; held by `put_node`'s count.
    pub(crate) fn get_node(
        &mut self,
        process: ProcessId,
        (ptr, cookie): (u64, u64),
        flags: ObjectFlags,
    ) -> NodeId {
        let id = match self.processes[process].nodes.get(&ptr) {
            Some(&node) => node,
            None => {
                self.next_id();
                let node = self.nodes.insert(Node::new(process, ptr, cookie, flags));
                self.processes[process].nodes.insert(ptr, node);
                node
            }
        };
        self.nodes[id].tmp += 1;
        id
    }

    /// `binder_inc_node`: one more count; `sender` is the owner's thread that is sending the node right now.
    ///
    /// A first strong count has to reach the owner: as work for the sender's thread. A kernel refuses one that
    /// comes without a sender, and nothing can bring it about: whoever counts a node that he was not sent holds it
    /// already, or it is the manager's, which is held from the start.
    pub(crate) fn inc_node(&mut self, id: NodeId, strong: bool, internal: bool, sender: Option<ThreadKey>) {
        let node = &mut self.nodes[id];
        if !strong {
            if !internal {
                node.local_weak += 1;
            }
            if let (false, None, Some(thread)) = (node.has_weak, node.work, sender) {
                self.enqueue_node_work(id, List::Thread(thread));
            }
            return;
        }
        *if internal { &mut node.internal_strong } else { &mut node.local_strong } += 1;
        if let (false, Some(thread)) = (node.has_strong, sender) {
            self.dequeue_node_work(id);
            self.enqueue_node_work(id, List::Thread(thread));
        }
    }

    /// `binder_dec_node`: one count less; the owner is told when it was the last, the node goes when nobody
    /// and nothing is left.
    pub(crate) fn dec_node(&mut self, id: NodeId, strong: bool, internal: bool) {
        let Some(node) = self.nodes.get_mut(id) else { return };
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
            if node.local_weak > 0 || node.tmp > 0 || !node.holders.is_empty() {
                return;
            }
        }
        let is_free = node.holders.is_empty() && node.local_strong + node.local_weak + node.tmp == 0;
        if let Some(owner) = node.owner.filter(|_| node.has_strong || node.has_weak) {
            if node.work.is_none() {
                self.enqueue_node_work(id, List::Process(owner));
                self.wake_process(owner);
            }
        } else if is_free {
            self.remove_node(id);
        }
    }

    /// `binder_put_node`: the driver itself has done with it.
    pub(crate) fn put_node(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.tmp = node.tmp.saturating_sub(1);
            self.dec_node(id, false, true);
        }
    }

    /// The node is gone.
    fn remove_node(&mut self, id: NodeId) {
        self.dequeue_node_work(id);
        if let Some(Node { owner: Some(owner), ptr, .. }) = self.nodes.remove(id) {
            self.processes[owner].nodes.remove(&ptr);
        }
    }

    /// Puts the node's work item at the end of `list`, without waking anybody.
    fn enqueue_node_work(&mut self, id: NodeId, list: List) {
        self.nodes[id].work = Some(list);
        self.enqueue(list, Work::Node(id));
    }

    /// Takes the node's work item out of whatever list it stands in.
    pub(crate) fn dequeue_node_work(&mut self, id: NodeId) {
        if let Some(list) = self.nodes[id].work.take() {
            self.dequeue(list, Work::Node(id));
        }
    }

    /// How a node is held has changed: says what its owner has not been told.
    pub(crate) fn tell_owner(&mut self, id: NodeId) -> impl Iterator<Item = Return> + use<F> {
        let node = &mut self.nodes[id];
        node.work = None;
        let (strong, weak) = (node.wants_strong(), node.wants_weak());
        let (had_strong, had_weak) = (node.has_strong, node.has_weak);
        // INVARIANT: what is told is counted until the owner has acknowledged it (`count_done`).
        if weak && !had_weak {
            (node.pending_weak, node.local_weak) = (true, node.local_weak + 1);
        }
        if strong && !had_strong {
            (node.pending_strong, node.local_strong) = (true, node.local_strong + 1);
        }
        (node.has_weak, node.has_strong) = (weak, strong);
        let (ptr, cookie) = (node.ptr, node.cookie);
        if !weak && !strong {
            self.remove_node(id);
        }
        let told = [
            (weak && !had_weak).then_some(Return::IncRefs { ptr, cookie }),
            (strong && !had_strong).then_some(Return::Acquire { ptr, cookie }),
            (!strong && had_strong).then_some(Return::Release { ptr, cookie }),
            (!weak && had_weak).then_some(Return::DecRefs { ptr, cookie }),
        ];
        told.into_iter().flatten()
    }

    /// `BC_INCREFS_DONE`, `BC_ACQUIRE_DONE`: the owner has counted; the driver lets go of its own count.
    pub(crate) fn count_done(&mut self, process: ProcessId, ptr: u64, cookie: u64, strong: bool) {
        let Some(&id) = self.processes[process].nodes.get(&ptr) else { return };
        let node = &mut self.nodes[id];
        node.tmp += 1;
        let pending = if strong { &mut node.pending_strong } else { &mut node.pending_weak };
        if node.cookie == cookie && core::mem::take(pending) {
            self.dec_node(id, strong, false);
        }
        self.put_node(id);
    }

    /// `binder_node_release`: the node has no owner any more; it goes with the last handle on it.
    pub(crate) fn release_node(&mut self, id: NodeId) {
        for waiting in core::mem::take(&mut self.nodes[id].async_todo) {
            self.cleanup_transaction(waiting, Refusal::DeadReply);
        }
        self.dequeue_node_work(id);
        let node = &mut self.nodes[id];
        (node.owner, node.local_strong, node.local_weak) = (None, 0, 0);
        (node.has_async, node.pending_strong, node.pending_weak) = (false, false, false);
        if node.holders.is_empty() {
            self.nodes.remove(id);
            return;
        }
        let holders = node.holders.clone();
        for holder in holders {
            self.send_death_notice(holder, id);
        }
    }

    /// `BINDER_GET_NODE_DEBUG_INFO`: the first node of `process` behind `ptr`.
    pub(crate) fn node_debug_info(&self, process: ProcessId, ptr: u64) -> NodeDebugInfo {
        let behind = (core::ops::Bound::Excluded(ptr), core::ops::Bound::Unbounded);
        let node = self.processes[process].nodes.range(behind).next();
        node.map_or_else(NodeDebugInfo::default, |(&ptr, &id)| {
            let Node { cookie, has_strong, has_weak, .. } = self.nodes[id];
            NodeDebugInfo { ptr, cookie, has_strong_ref: has_strong, has_weak_ref: has_weak }
        })
    }

    /// `BINDER_GET_NODE_INFO_FOR_REF`: how often a handle's node is held.
    pub(crate) fn node_info_for_ref(
        &mut self,
        process: ProcessId,
        info: NodeInfoForRef,
    ) -> Result<NodeInfoForRef, Errno> {
        let NodeInfoForRef { handle, .. } = info;
        if info != (NodeInfoForRef { handle, ..NodeInfoForRef::default() }) {
            return Err(Errno::EINVAL);
        }
        let manager = self.contexts[self.processes[process].device as usize].manager;
        if manager.and_then(|node| self.nodes[node].owner) != Some(process) {
            return Err(Errno::EPERM);
        }
        let id = self.node_of(process, handle, true).ok_or(Errno::EINVAL)?;
        let node = &mut self.nodes[id];
        node.tmp += 1;
        let (strong_count, weak_count) = (node.local_strong + node.internal_strong, node.local_weak);
        self.put_node(id);
        Ok(NodeInfoForRef { handle, strong_count, weak_count, ..NodeInfoForRef::default() })
    }

    /// The buffer of a one-way call to the node is freed: the next one-way call may come.
    pub(crate) fn next_async(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        let (owner, next) = (node.owner, node.async_todo.pop_front());
        match (owner, next) {
            (Some(owner), Some(next)) => self.enqueue_process(owner, Work::Transaction(next)),
            // INVARIANT: nothing of this node is queued, delivered and unfreed, or waiting.
            _ => node.has_async = false,
        }
    }
}
