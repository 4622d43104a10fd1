//! Sending: a translated transaction becomes work for whoever receives it (`binder_proc_transaction`).

use super::Driver;
use super::node::NodeId;
use super::process::ProcessId;
use super::thread::ThreadKey;
use super::transaction::{Building, Refused, Transaction, TransactionId};
use super::work::{Complete, List, Work};
use crate::protocol::TransactionFlags;
use alloc::format;
use core::mem::take;

impl<F: core::fmt::Debug> Driver<F> {
    /// All objects are translated: gives the transaction to its receiver.
    pub(crate) fn commit(&mut self, sender: ThreadKey, building: &mut Building<F>) {
        let Building { id: debug_id, route, flags, buffer, .. } = *building;
        let is_sync = route.in_reply_to.is_none() && !flags.contains(TransactionFlags::ONE_WAY);
        let from = self.process_of(sender);
        let transaction = Transaction {
            from: is_sync.then_some(sender),
            sender: from,
            sender_pid: self.caller_pid(sender),
            sender_euid: self.sender_euid(sender),
            from_parent: if is_sync { self.threads[sender].stack } else { None },
            to: Some(route.to),
            to_thread: route.to_thread,
            to_parent: None,
            node: route.node,
            code: building.code,
            flags,
            buffer: Some(buffer.id),
            payload: take(&mut building.payload),
            fixups: take(&mut building.fixups),
            security_context: building.security_context.take(),
        };
        let id = self.transactions.insert(transaction);
        if let Some(taken) = self.buffer_mut(route.to, buffer.id) {
            taken.transaction = Some(id);
            taken.objects = take(&mut building.held);
        }
        let complete = if buffer.is_spam { Complete::SpamSuspect } else { Complete::Plain };
        match (route.in_reply_to, route.to_thread) {
            (Some(call), Some(caller)) => self.commit_reply(sender, caller, call, id),
            _ if is_sync => self.commit_call(sender, debug_id, id),
            _ => self.commit_one_way(sender, id, complete),
        }
        if let Some(node) = route.node {
            self.put_node(node);
        }
    }

    /// Who calls, for what is counted by sender (`current->tgid`).
    pub(crate) fn caller_pid(&self, sender: ThreadKey) -> u32 {
        let caller = self.threads[sender].call.as_ref().map(|call| call.pid);
        caller.unwrap_or(self.processes[self.process_of(sender)].pid)
    }

    /// Which uid the receiver is told: they differ for an open that was handed over.
    fn sender_euid(&self, sender: ThreadKey) -> u32 {
        let caller = self.threads[sender].call.as_ref().map(|call| call.euid);
        let opener = self.processes[self.process_of(sender)].euid;
        caller.filter(|_| self.profile.tells_callers_uid).unwrap_or(opener)
    }

    /// Ends the call `call` with the reply `id`: the caller's stack pops, the reply is its next work.
    fn commit_reply(&mut self, sender: ThreadKey, caller: ThreadKey, call: TransactionId, id: TransactionId) {
        self.enqueue_thread(sender, Work::Complete(Complete::Plain));
        self.pop_caller(caller, call);
        self.step(sender, "binder_enqueue_thread_work", |driver| {
            format!("the reply waits for the calling thread of {}", driver.comm(driver.process_of(caller)))
        });
        self.count_outstanding(self.process_of(caller), 1);
        self.enqueue_thread(caller, Work::Transaction(id));
        self.free_transaction(call);
    }

    /// A call: its sender is told that it was taken together with the reply, so that one read brings both.
    fn commit_call(&mut self, sender: ThreadKey, debug_id: u32, id: TransactionId) {
        let Some(to) = self.transactions[id].to else { return };
        if self.processes[to].is_frozen {
            self.processes[to].sync_recv = true;
            return self.take_back(sender, debug_id, id, Refused::frozen());
        }
        self.enqueue_deferred(sender, Work::Complete(Complete::Plain));
        self.threads[sender].stack = Some(id);
        self.step_queued(sender, to, id);
        match self.transactions[id].to_thread.or_else(|| self.select_thread(to)) {
            Some(thread) => self.enqueue_thread(thread, Work::Transaction(id)),
            None => self.enqueue(List::Process(to), Work::Transaction(id)),
        }
        self.count_outstanding(to, 1);
    }

    /// A one-way call: one a node is with its receiver at a time.
    fn commit_one_way(&mut self, sender: ThreadKey, id: TransactionId, mut complete: Complete) {
        let Transaction { to: Some(to), node: Some(node), .. } = self.transactions[id] else { return };
        self.step_queued(sender, to, id);
        self.count_outstanding(to, 1);
        let is_frozen = self.processes[to].is_frozen;
        if is_frozen {
            self.processes[to].async_recv = true;
        }
        if is_frozen && self.profile.pending_frozen {
            complete = Complete::PendingFrozen;
        }
        if core::mem::replace(&mut self.nodes[node].has_async, true) {
            if is_frozen && self.transactions[id].flags.contains(TransactionFlags::UPDATE_TXN) {
                self.supersede(to, node, id);
            }
            self.nodes[node].async_todo.push_back(id);
        } else if let Some(thread) = self.select_thread(to) {
            self.enqueue_thread(thread, Work::Transaction(id));
        } else {
            self.enqueue(List::Process(to), Work::Transaction(id));
        }
        self.enqueue_thread(sender, Work::Complete(complete));
    }

    /// `binder_find_outdated_transaction`: an older one-way call like `newer`, which waits behind another and
    /// has not been seen, is dropped.
    fn supersede(&mut self, to: ProcessId, node: NodeId, newer: TransactionId) {
        let new = &self.transactions[newer];
        let is_like = |&&id: &&TransactionId| {
            let old = &self.transactions[id];
            (old.code, old.flags, old.sender_pid) == (new.code, new.flags, new.sender_pid)
        };
        let Some(&outdated) = self.nodes[node].async_todo.iter().find(is_like) else { return };
        self.nodes[node].async_todo.retain(|&id| id != outdated);
        let Some(outdated) = self.transactions.remove(outdated) else { return };
        self.count_outstanding(to, -1);
        if let Some(buffer) = outdated.buffer {
            self.release_buffer(to, buffer);
        }
    }

    /// Says that a transaction has been queued.
    fn step_queued(&mut self, sender: ThreadKey, to: ProcessId, id: TransactionId) {
        let in_flight = self.transactions[id].fixups.len();
        self.step(sender, "binder_proc_transaction", |driver| match in_flight {
            0 => format!("the transaction waits for {}", driver.comm(to)),
            1 => format!("the transaction waits for {}, 1 file in flight", driver.comm(to)),
            n => format!("the transaction waits for {}, {n} files in flight", driver.comm(to)),
        });
    }
}
