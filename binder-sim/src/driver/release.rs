//! Ends: buffers given back, threads and processes that go (`binder_free_buf`, `binder_deferred_release`).

use super::Driver;
use super::allocation::{Buffer, HeldObject};
use super::node::NodeId;
use super::process::ProcessId;
use super::thread::{ThreadId, Work};
use super::transaction::{Refused, TransactionId};
use crate::errno::Errno;
use crate::protocol::Refusal;
use alloc::vec::Vec;

impl<F: core::fmt::Debug> Driver<F> {
    /// The buffer at `address` of `process`.
    pub(crate) fn buffer_mut(&mut self, process: ProcessId, address: u64) -> Option<&mut Buffer> {
        self.processes.get_mut(process)?.alloc.as_mut()?.buffer_mut(address)
    }

    /// Gives a buffer's room back, and every reference that it held.
    pub(crate) fn release_buffer(&mut self, process: ProcessId, address: u64) {
        let alloc = self.processes.get_mut(process).and_then(|process| process.alloc.as_mut());
        let Some(buffer) = alloc.and_then(|alloc| alloc.free_buf(address)) else { return };
        if let Some(node) = buffer.target_node {
            self.dec_node(node, true, false);
        }
        for object in buffer.objects {
            match object {
                HeldObject::Handle { handle, strong } => self.dec_ref(process, handle, strong),
                HeldObject::Node { node, strong } => self.dec_node(node, strong, false),
            }
        }
    }

    /// The buffer of a one-way call to `node` is freed: the next one-way call may come.
    pub(crate) fn next_async(&mut self, node: NodeId) {
        let Some(waiting) = self.nodes.get_mut(node) else { return };
        let Some(next) = waiting.async_todo.pop_front() else {
            // INVARIANT: nothing of this node is queued, delivered and unfreed, or waiting.
            waiting.has_async = false;
            return;
        };
        if let Some(owner) = waiting.owner {
            self.processes[owner].todo.push_back(Work::Transaction(next));
            self.wake_process(owner);
        }
    }

    /// The last close of an open: everything it has goes, and everybody who waits for it is told.
    pub(crate) fn close_process(&mut self, id: ProcessId) {
        let Some(process) = self.processes.get(id) else { return };
        let context = &mut self.contexts[process.device as usize];
        if context.manager.is_some_and(|node| self.nodes[node].owner == Some(id)) {
            context.manager = None;
        }
        let tids: Vec<u32> = process.threads.keys().copied().collect();
        for tid in tids {
            self.release_thread(ThreadId { process: id, tid });
        }
        let nodes: Vec<NodeId> = self.processes[id].nodes.values().copied().collect();
        for node in nodes {
            self.release_node(node);
        }
        let handles: Vec<u32> = self.processes[id].refs.iter().map(|(handle, _)| handle).collect();
        for handle in handles {
            self.remove_ref(id, handle);
        }
        let todo = core::mem::take(&mut self.processes[id].todo);
        self.release_work(todo);
        // The mapping goes with the process; what its buffers held was counted on things that went above,
        // or is counted on nodes that outlive it only through other processes' handles.
        self.processes.remove(id);
    }

    /// `binder_thread_release`: the calls that it makes lose their caller, the one it serves comes to nothing.
    pub(crate) fn release_thread(&mut self, id: ThreadId) {
        let call = self.thread_mut(id).and_then(|thread| thread.call.take());
        if let Some(call) = call {
            if let Some(building) = call.building {
                self.abort(id, building, Refused::dead(Errno::ESRCH));
            }
            if let Some(delivering) = call.delivering {
                self.cleanup_transaction(delivering, Refusal::DeadReply);
            }
        }
        let Some(process) = self.processes.get_mut(id.process) else { return };
        process.waiting.retain(|&tid| tid != id.tid);
        let Some(thread) = process.threads.remove(&id.tid) else { return };
        let served = thread.stack.filter(|&top| self.transactions[top].to_thread == Some(id));
        let mut next = thread.stack;
        while let Some(transaction) = next {
            next = self.detach(id, transaction);
        }
        if let Some(served) = served {
            self.send_failed_reply(served, Refusal::DeadReply);
        }
        self.release_work(thread.todo);
    }

    /// Takes the thread out of a transaction on its stack; says which is next on the stack.
    fn detach(&mut self, id: ThreadId, transaction: TransactionId) -> Option<TransactionId> {
        let transaction = &mut self.transactions[transaction];
        if transaction.to_thread == Some(id) {
            transaction.to_thread = None;
            transaction.to_parent
        } else {
            transaction.from = None;
            transaction.from_parent
        }
    }

    /// `binder_release_work`: what nobody will read.
    fn release_work(&mut self, todo: impl IntoIterator<Item = Work>) {
        for work in todo {
            match work {
                Work::Transaction(id) => self.cleanup_transaction(id, Refusal::DeadReply),
                Work::Node(node) => {
                    if let Some(node) = self.nodes.get_mut(node) {
                        node.work = None;
                    }
                }
                Work::TransactionComplete | Work::ReturnError | Work::ReplyError => {}
            }
        }
    }

    /// `binder_node_release`: the node has no owner any more; it goes with the last handle on it.
    fn release_node(&mut self, id: NodeId) {
        let waiting = core::mem::take(&mut self.nodes[id].async_todo);
        self.release_work(waiting.into_iter().map(Work::Transaction));
        self.dequeue_node_work(id);
        let node = &mut self.nodes[id];
        let (owner, ptr) = (node.owner.take(), node.ptr);
        (node.local_strong, node.local_weak) = (0, 0);
        (node.has_strong, node.has_weak, node.has_async) = (false, false, false);
        (node.pending_strong, node.pending_weak) = (false, false);
        if let Some(owner) = owner {
            self.processes[owner].nodes.remove(&ptr);
        }
        self.reap_node(id);
    }
}
