//! The read part of an ioctl: work becomes returns (`binder_thread_read`).

use super::install::{HeldReader, Install};
use super::node::NodeId;
use super::thread::{ThreadId, Work, WriteRead};
use super::transaction::TransactionId;
use super::{Driver, Output};
use crate::errno::Errno;
use crate::protocol::{Delivered, Refusal, Return};
use alloc::format;

/// Room that has to be left for the largest return before new work is taken: 72 bytes and its word.
const WORK_ROOM: usize = 76;

/// How reading goes on after one item.
enum Next {
    /// With the next item.
    Item,
    /// Back to the reader.
    Done,
    /// Not now: the reader is held for numbers.
    Held,
}

impl<F: core::fmt::Debug> Driver<F> {
    /// Begins the read part.
    pub(crate) fn thread_read(&mut self, id: ThreadId) {
        let Some(call) = self.call_mut(id) else { return };
        if call.read.size == 0 {
            return self.finish(id, None);
        }
        call.returns.push(Return::Noop);
        call.used = Return::Noop.wire_size();
        self.wait_for_work(id);
    }

    /// Reads if there is something to read for; otherwise waits, or says `EAGAIN`.
    fn wait_for_work(&mut self, id: ThreadId) {
        let Some(process) = self.processes.get_mut(id.process) else { return };
        let has_process_work = !process.todo.is_empty();
        let Some(thread) = process.threads.get_mut(&id.tid) else { return };
        let takes_process_work = thread.stack.is_none() && thread.todo.is_empty();
        let has_work = thread.process_todo || thread.need_return || (takes_process_work && has_process_work);
        let Some(call) = thread.call.as_mut() else { return };
        call.takes_process_work = takes_process_work;
        if has_work {
            return self.go_on_reading(id);
        }
        if call.read.nonblock {
            call.returns.clear();
            return self.finish_with(id, Errno::EAGAIN);
        }
        // INVARIANT: a thread waits for its process's work at most once, and only while parked.
        (call.parked, call.woken) = (true, false);
        if takes_process_work && !process.waiting.contains(&id.tid) {
            process.waiting.push(id.tid);
        }
    }

    /// A woken thread goes on: as if it had just begun to wait.
    pub(crate) fn resume(&mut self, id: ThreadId) {
        let Some(call) = self.call_mut(id).filter(|call| call.parked) else { return };
        (call.parked, call.woken) = (false, false);
        self.processes[id.process].waiting.retain(|&tid| tid != id.tid);
        self.wait_for_work(id);
    }

    /// Turns work into returns until one ends the read, or nothing is left, or there is no room.
    pub(crate) fn go_on_reading(&mut self, id: ThreadId) {
        loop {
            let Some(process) = self.processes.get_mut(id.process) else { return };
            let Some(thread) = process.threads.get_mut(&id.tid) else { return };
            let Some(call) = thread.call.as_ref() else { return };
            let (room, only_noop) = (call.read.size.saturating_sub(call.used), call.returns.len() == 1);
            let from_thread = !thread.todo.is_empty();
            let from_process = call.takes_process_work && !process.todo.is_empty();
            if !from_thread && !from_process {
                if only_noop && !thread.need_return {
                    return self.wait_for_work(id);
                }
                return self.finish(id, None);
            }
            if room < WORK_ROOM {
                return self.finish(id, None);
            }
            let work = if from_thread { thread.todo.pop_front() } else { process.todo.pop_front() };
            if thread.todo.is_empty() {
                thread.process_todo = false;
            }
            let next = work.map_or(Next::Done, |work| self.work(id, work));
            match next {
                Next::Item => {}
                Next::Done => return self.finish(id, None),
                Next::Held => return,
            }
        }
    }

    /// One item of work.
    fn work(&mut self, id: ThreadId, work: Work) -> Next {
        match work {
            Work::Transaction(transaction) => return self.begin_delivery(id, transaction),
            Work::TransactionComplete => self.put(id, Return::TransactionComplete),
            Work::ReturnError => {
                let answer = self.thread_mut(id).and_then(|thread| thread.return_error.take());
                self.put_some(id, answer);
            }
            Work::ReplyError => {
                let answer = self.thread_mut(id).and_then(|thread| thread.reply_error.take());
                self.put_some(id, answer);
            }
            Work::Node(node) => self.tell_owner(id, node),
        }
        Next::Item
    }

    /// Adds a return to what the thread reads.
    fn put(&mut self, id: ThreadId, answer: Return) {
        if let Some(call) = self.call_mut(id) {
            call.used += answer.wire_size();
            call.returns.push(answer);
        }
    }

    /// Adds a return, if there is one.
    fn put_some(&mut self, id: ThreadId, answer: Option<Return>) {
        if let Some(answer) = answer {
            self.put(id, answer);
        }
    }

    /// How a node is held has changed: its owner reads what it has not been told.
    fn tell_owner(&mut self, id: ThreadId, node_id: NodeId) {
        let Some(node) = self.nodes.get_mut(node_id) else { return };
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
            self.reap_node(node_id);
        }
        let told = [
            (weak && !had_weak, Return::IncRefs { ptr, cookie }),
            (strong && !had_strong, Return::Acquire { ptr, cookie }),
            (!strong && had_strong, Return::Release { ptr, cookie }),
            (!weak && had_weak, Return::DecRefs { ptr, cookie }),
        ];
        for (_, answer) in told.into_iter().filter(|(due, _)| *due) {
            self.put(id, answer);
        }
    }

    /// A transaction has reached its reader. Files in flight first need numbers, in the reader's own table.
    fn begin_delivery(&mut self, id: ThreadId, transaction: TransactionId) -> Next {
        self.step(id, "binder_thread_read", |driver| {
            format!("{} takes the transaction from its list", driver.comm(id.process))
        });
        let fixups = core::mem::take(&mut self.transactions[transaction].fixups);
        if fixups.is_empty() {
            self.deliver(id, transaction);
            return Next::Done;
        }
        let sender = self.transactions[transaction].sender;
        let Some(call) = self.call_mut(id) else { return Next::Done };
        // INVARIANT: the one place that makes a `HeldReader`; `installed` takes `delivering` back.
        call.delivering = Some(transaction);
        let call = HeldReader { thread: id };
        self.outputs.push_back(Output::Install(Install { call, sender, files: fixups }));
        Next::Held
    }

    /// Hands the transaction to its reader: the buffer is the reader's, a call joins its stack.
    pub(crate) fn deliver(&mut self, id: ThreadId, transaction_id: TransactionId) {
        let transaction = &mut self.transactions[transaction_id];
        let payload = core::mem::take(&mut transaction.payload);
        let (node, from, expects_reply) = (transaction.node, transaction.from, transaction.expects_reply());
        let (address, code, flags) = (transaction.buffer.unwrap_or(0), transaction.code, transaction.flags);
        let (ptr, cookie) = node.map_or((0, 0), |node| (self.nodes[node].ptr, self.nodes[node].cookie));
        let delivered = Delivered {
            ptr,
            cookie,
            code,
            flags,
            sender_pid: from.map_or(0, |from| self.pid(from.process)),
            sender_euid: self.transactions[transaction_id].sender_euid,
            buffer: address,
            payload,
            security_context: None,
        };
        if let Some(buffer) = self.buffer_mut(id.process, address) {
            buffer.allow_user_free = true;
        }
        if expects_reply {
            // INVARIANT: a call being served is on top of its server's stack.
            let parent = self.thread_mut(id).and_then(|thread| thread.stack.replace(transaction_id));
            let transaction = &mut self.transactions[transaction_id];
            (transaction.to_thread, transaction.to_parent) = (Some(id), parent);
        } else {
            self.free_transaction(transaction_id);
        }
        self.put(id, if node.is_some() { Return::Transaction(delivered) } else { Return::Reply(delivered) });
    }

    /// The reader's table had no room: the transaction is dropped, whole. A reply becomes `BR_FAILED_REPLY`,
    /// the caller of a call reads it in its place, a one-way call is lost without a word.
    pub(crate) fn deliver_failed(&mut self, id: ThreadId, transaction: TransactionId) {
        let dropped = &mut self.transactions[transaction];
        let (address, node, is_reply) = (dropped.buffer.take(), dropped.node, dropped.node.is_none());
        self.step(id, "binder_cleanup_transaction", |_| {
            "fd fixups failed: the transaction is dropped".into()
        });
        self.cleanup_transaction(transaction, Refusal::FailedReply);
        if let Some(address) = address {
            let is_async = self.buffer_mut(id.process, address).is_some_and(|buffer| buffer.is_async);
            if let (true, Some(node)) = (is_async, node) {
                self.next_async(node);
            }
            self.release_buffer(id.process, address);
        }
        if is_reply {
            self.put(id, Return::FailedReply);
            self.finish(id, None);
        } else {
            self.go_on_reading(id);
        }
    }

    /// The ioctl returns with an error: nothing was read.
    pub(crate) fn finish_with(&mut self, id: ThreadId, errno: Errno) {
        if let Some(call) = self.call_mut(id) {
            call.returns.clear();
        }
        self.finish(id, Some(errno));
    }

    /// The ioctl returns.
    pub(crate) fn finish(&mut self, id: ThreadId, error: Option<Errno>) {
        let Some(thread) = self.thread_mut(id) else { return };
        thread.need_return = false;
        let Some(call) = thread.call.take() else { return };
        let result = WriteRead { error, write_consumed: call.consumed, returns: call.returns };
        self.outputs.push_back(Output::Return { thread: id, result });
    }
}
