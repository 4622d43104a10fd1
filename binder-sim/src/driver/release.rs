//! Releases: how an open, or one thread of it, is taken apart, and who hears of it.
//!
//! The kernel waits in the middle of it. A thread that has polled may still have somebody on its wait queue, and
//! `binder_thread_release` lets him leave (`synchronize_rcu`). Those who waited for the open have been told by
//! then, as far as its threads are gone; its nodes and handles are still there.

use super::Driver;
use super::process::ProcessId;
use super::thread::{ThreadId, ThreadKey};
use super::transaction::TransactionId;
use super::work::List;
use crate::protocol::Refusal;

/// A release that waits at a thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paused {
    /// The open.
    pub(crate) process: ProcessId,
    /// The thread: its open does not know it any more.
    pub(crate) thread: ThreadKey,
    /// The call that it served, whose caller has not been told yet.
    pub(crate) served: Option<TransactionId>,
}

impl<F: core::fmt::Debug> Driver<F> {
    /// `binder_deferred_release`: everything that a closed open has goes, and everybody who waits for it is told.
    pub(crate) fn begin_release(&mut self, id: ProcessId) {
        let Some(process) = self.processes.get_mut(id) else { return };
        process.is_dead = true;
        (process.is_frozen, process.sync_recv, process.async_recv) = (false, false, false);
        let context = &mut self.contexts[process.device as usize];
        if context.manager.is_some_and(|node| self.nodes[node].owner == Some(id)) {
            context.manager = None;
        }
        self.release_threads(id);
    }

    /// The wait is over.
    pub(crate) fn resume_release(&mut self, paused: Paused) {
        self.end_thread(paused.thread, paused.served);
        self.release_threads(paused.process);
    }

    /// The threads go, by tid, and then the rest; unless one of them makes the release wait.
    fn release_threads(&mut self, id: ProcessId) {
        while let Some((_, &thread)) = self.processes[id].threads.first_key_value() {
            let served = self.detach_thread(thread);
            if self.threads[thread].looper.polled {
                self.paused = Some(Paused { process: id, thread, served });
                return;
            }
            self.end_thread(thread, served);
        }
        self.end_release(id);
    }

    /// The nodes, the handles and what is still to be read go.
    fn end_release(&mut self, id: ProcessId) {
        while let Some((_, node)) = self.processes[id].nodes.pop_first() {
            self.release_node(node);
        }
        while let Some(handle) = self.processes[id].refs.first() {
            self.remove_ref(id, handle);
        }
        for list in [List::Process(id), List::DeliveredDeath(id), List::DeliveredFreeze(id)] {
            self.release_work(list);
        }
        // The mapping goes with the process; what its buffers held was counted on things that went above,
        // or is counted on nodes that outlive it only through other processes' handles.
        self.processes.remove(id);
        // Whoever waits to freeze it is not woken: nobody is woken for an open that is not frozen any more, so
        // he sleeps until his time is up.
    }

    /// `BINDER_THREAD_EXIT`: one thread goes. That its caller may wait in the middle is seen by nobody, since
    /// nobody has been told of anything by then.
    pub(crate) fn release_thread(&mut self, key: ThreadKey) {
        let served = self.detach_thread(key);
        self.end_thread(key, served);
    }

    /// The first half of `binder_thread_release`: the calls that the thread makes lose their caller. Says which
    /// call it serves, that comes to nothing.
    fn detach_thread(&mut self, key: ThreadKey) -> Option<TransactionId> {
        self.drop_call(key);
        let ThreadId { process, tid } = self.threads[key].id;
        self.processes[process].threads.remove(&tid);
        let stack = self.threads[key].stack.take();
        let served = stack.filter(|&top| self.transactions[top].to_thread == Some(key));
        let mut next = stack;
        while let Some(transaction) = next {
            next = self.detach(key, transaction);
        }
        served
    }

    /// The second half: the caller whom it served is told, and what it had still to read goes.
    fn end_thread(&mut self, key: ThreadKey, served: Option<TransactionId>) {
        if let Some(served) = served {
            self.send_failed_reply(served, Refusal::DeadReply);
        }
        self.release_work(List::Thread(key));
        self.threads.remove(key);
    }

    /// Takes the thread out of a transaction on its stack; says which is next on the stack.
    fn detach(&mut self, key: ThreadKey, id: TransactionId) -> Option<TransactionId> {
        let transaction = &mut self.transactions[id];
        if transaction.to_thread != Some(key) {
            transaction.from = None;
            return transaction.from_parent;
        }
        transaction.to_thread = None;
        let (to, buffer, next) = (transaction.to.take(), transaction.buffer.take(), transaction.to_parent);
        // One less to be answered; whoever waits for that to freeze the process is not woken, as for other ends.
        if let Some(process) = to.and_then(|process| self.processes.get_mut(process)) {
            process.outstanding = process.outstanding.saturating_sub(1);
        }
        if let Some(buffer) = to.zip(buffer).and_then(|(process, buffer)| self.buffer_mut(process, buffer)) {
            buffer.transaction = None;
        }
        next
    }
}
