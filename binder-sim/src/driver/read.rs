//! The read part of an ioctl: work becomes returns (`binder_thread_read`).

use super::allocation::Buffer;
use super::install::{HeldReader, Install};
use super::thread::{Call, Hold, ThreadKey, WriteRead};
use super::transaction::TransactionId;
use super::work::Work;
use super::{Driver, Output};
use crate::errno::Errno;
use crate::protocol::{Delivered, Refusal, Return};
use alloc::boxed::Box;
use alloc::format;

/// Room that has to be left for the largest return before new work is taken: 72 bytes and its word.
const WORK_ROOM: usize = 76;

/// How many returns a read mostly brings at most.
const RETURNS: usize = 4;

/// How reading goes on after one item.
enum Next {
    /// With the next item.
    Item,
    /// Back to the reader.
    Done,
    /// Back to the reader, whose memory could not be written.
    Failed,
    /// Not now: the reader is held for numbers.
    Held,
}

impl<F> Call<F> {
    /// Whether the reader's memory can be written for another return.
    fn is_writable(&self, answer: &Return) -> bool {
        self.used.saturating_add(answer.wire_size()) <= self.read.writable
    }

    /// Adds a return to what is read; says whether it could be written (`put_user`).
    #[must_use = "the read ends with `EFAULT`"]
    fn put(&mut self, answer: Return) -> bool {
        if !self.is_writable(&answer) {
            return false;
        }
        if self.returns.capacity() == 0 {
            self.returns.reserve_exact(RETURNS);
        }
        self.used += answer.wire_size();
        self.returns.push(answer);
        true
    }

    /// Whether it waits for a table's answer.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.hold, Hold::Building(_) | Hold::Delivering(_))
    }
}

impl<F: core::fmt::Debug> Driver<F> {
    /// Begins the read part.
    pub(crate) fn thread_read(&mut self, key: ThreadKey) {
        let Some(call) = self.call_mut(key) else { return };
        // The files of commands that were refused are nobody's.
        call.files.clear();
        if call.read.size == 0 {
            return self.finish(key, None);
        }
        call.is_reading = true;
        call.used = call.read.consumed;
        call.returns.extend((0..call.used / 4).map(|_| Return::Ok));
        // Nothing has been taken from a list yet, so nothing is lost.
        if call.used == 0 && !call.put(Return::Noop) {
            return self.finish_with(key, Errno::EFAULT);
        }
        self.look_for_work(key);
    }

    /// Decides whose work the thread may take, and begins to wait for it.
    fn look_for_work(&mut self, key: ThreadKey) {
        let available = self.threads[key].is_available();
        if let Some(call) = self.call_mut(key) {
            call.takes_process_work = available;
        }
        self.wait_for_work(key);
    }

    /// Reads if there is something to read for; otherwise waits, or says `EAGAIN`.
    fn wait_for_work(&mut self, key: ThreadKey) {
        let thread = &mut self.threads[key];
        let process = &mut self.processes[thread.id.process];
        let Some(call) = thread.call.as_mut() else { return };
        let has_process_work = call.takes_process_work && !process.todo.is_empty();
        if thread.process_todo || thread.need_return || has_process_work {
            return self.go_on_reading(key);
        }
        if call.read.nonblock {
            return self.finish_with(key, Errno::EAGAIN);
        }
        // INVARIANT: a thread waits for its process's work at most once, and only while parked.
        call.hold = Hold::Work;
        if call.takes_process_work {
            process.waiting.push(key);
        }
    }

    /// A woken thread goes on waiting, or reads.
    pub(crate) fn resume_reader(&mut self, key: ThreadKey) {
        let Some(call) = self.call_mut(key) else { return };
        if !matches!(call.hold, Hold::Work | Hold::Woken) {
            return;
        }
        call.hold = Hold::Nothing;
        self.stop_waiting(key);
        self.wait_for_work(key);
    }

    /// A signal: a thread that waits comes back with nothing.
    pub(crate) fn interrupt_reader(&mut self, key: ThreadKey) {
        let Some(call) = self.call_mut(key) else { return };
        if matches!(call.hold, Hold::Work | Hold::Woken) {
            call.hold = Hold::Nothing;
            self.stop_waiting(key);
            self.finish_with(key, Errno::EINTR);
        }
    }

    /// Turns work into returns until one ends the read, or nothing is left, or there is no room.
    pub(crate) fn go_on_reading(&mut self, key: ThreadKey) {
        loop {
            let Some(thread) = self.threads.get_mut(key) else { return };
            let process = &mut self.processes[thread.id.process];
            let Some(call) = thread.call.as_mut() else { return };
            let list = if !thread.todo.is_empty() {
                &mut thread.todo
            } else if call.takes_process_work && !process.todo.is_empty() {
                &mut process.todo
            } else if call.used == Return::Noop.wire_size() && !thread.need_return {
                return self.look_for_work(key);
            } else {
                break;
            };
            if call.read.size < call.used + WORK_ROOM {
                break;
            }
            let Some(work) = list.pop_front() else { break };
            if thread.todo.is_empty() {
                thread.process_todo = false;
            }
            match self.work(key, work) {
                Next::Item => {}
                Next::Done => break,
                Next::Failed => return self.finish_with(key, Errno::EFAULT),
                Next::Held => return,
            }
        }
        self.end_read(key);
    }

    /// One item of work. What cannot be written has been taken from its list all the same, and is not put back.
    fn work(&mut self, key: ThreadKey, work: Work) -> Next {
        let mut is_last = false;
        let answer = match work {
            Work::Transaction(transaction) => return self.begin_delivery(key, transaction),
            Work::Complete(complete) => {
                let wants_spam = self.processes[self.process_of(key)].oneway_spam_detection;
                complete.to_return(wants_spam)
            }
            Work::ReturnError | Work::ReplyError => return self.read_error(key, work == Work::ReplyError),
            Work::Node(node) => {
                let mut told = self.tell_owner(node);
                let written = self.call_mut(key).is_none_or(|call| told.all(|answer| call.put(answer)));
                return if written { Next::Item } else { Next::Failed };
            }
            Work::Death(death) => {
                let (answer, last) = self.read_death(death);
                is_last = last;
                answer
            }
            Work::Freeze(notice) => {
                let (answer, last) = self.read_freeze_notice(notice);
                is_last = last;
                answer
            }
        };
        match self.call_mut(key).is_none_or(|call| call.put(answer)) {
            false => Next::Failed,
            true if is_last => Next::Done,
            true => Next::Item,
        }
    }

    /// What a refused command, or a call that came to nothing, has left to be read. An error that cannot be
    /// written stays where it is with no work to bring it again: a thread with an unread refusal of its own
    /// writes no more, and one with an unread failure of a call is not told of the next.
    fn read_error(&mut self, key: ThreadKey, is_reply: bool) -> Next {
        let thread = &mut self.threads[key];
        let error = if is_reply {
            thread.reply_error.map(Return::from)
        } else {
            thread.return_error.map(Return::from)
        };
        let (Some(call), Some(error)) = (thread.call.as_mut(), error) else { return Next::Item };
        if !call.put(error) {
            return Next::Failed;
        }
        if is_reply {
            thread.reply_error = None;
        } else {
            thread.return_error = None;
        }
        Next::Item
    }

    /// A transaction has reached its reader. Files in flight first need numbers, in the reader's own table.
    fn begin_delivery(&mut self, key: ThreadKey, id: TransactionId) -> Next {
        self.step(key, "binder_thread_read", |driver| {
            format!("{} takes the transaction from its list", driver.comm(driver.process_of(key)))
        });
        let fixups = core::mem::take(&mut self.transactions[id].fixups);
        if fixups.is_empty() {
            return if self.deliver(key, id) { Next::Done } else { Next::Failed };
        }
        let (sender, thread) = (self.transactions[id].sender, self.threads[key].id);
        let Some(call) = self.call_mut(key) else { return Next::Done };
        // INVARIANT: the one place that makes a `HeldReader`; `installed` takes the hold back.
        call.hold = Hold::Delivering(id);
        let call = HeldReader { thread };
        self.outputs.push_back(Output::Install(Install { call, sender, files: fixups }));
        Next::Held
    }

    /// Hands the transaction to its reader: the buffer is the reader's, a call joins its stack. If it cannot be
    /// written, it is lost, and says so: its buffer stays as it is, and descriptors stay where they were put.
    pub(crate) fn deliver(&mut self, key: ThreadKey, id: TransactionId) -> bool {
        let process = self.process_of(key);
        let transaction = &mut self.transactions[id];
        let from = transaction.from.map(|from| &self.processes[self.threads[from].id.process]);
        // `task_tgid_nr_ns`: a process that has ended has no number, though its open may have sent this.
        let sender_pid = from.filter(|from| !from.has_exited).map_or(0, |from| from.pid);
        let (ptr, cookie) =
            transaction.node.map_or((0, 0), |node| (self.nodes[node].ptr, self.nodes[node].cookie));
        let alloc = self.processes[process].alloc.as_ref();
        let taken = transaction.buffer;
        let buffer = alloc.zip(taken).map_or(0, |(alloc, id)| alloc.address(id));
        let delivered = Box::new(Delivered {
            ptr,
            cookie,
            code: transaction.code,
            flags: transaction.flags,
            sender_pid,
            sender_euid: transaction.sender_euid,
            buffer,
            payload: core::mem::take(&mut transaction.payload),
            security_context: transaction.security_context.take(),
        });
        let is_call = transaction.node.is_some();
        let answer = if is_call { Return::Transaction(delivered) } else { Return::Reply(delivered) };
        if !self.call_mut(key).is_none_or(|call| call.put(answer)) {
            self.lose_buffer(id);
            self.cleanup_transaction(id, Refusal::FailedReply);
            return false;
        }
        if let Some(buffer) = taken.and_then(|taken| self.buffer_mut(process, taken)) {
            buffer.allow_user_free = true;
        }
        let transaction = &mut self.transactions[id];
        if transaction.expects_reply() {
            // INVARIANT: a call being served is on top of its server's stack.
            transaction.to_parent = self.threads[key].stack.replace(id);
            transaction.to_thread = Some(key);
        } else {
            self.free_transaction(id);
        }
        true
    }

    /// The reader's table had no room: the transaction is dropped, whole. A reply becomes `BR_FAILED_REPLY`,
    /// the caller of a call reads it in its place, a one-way call is lost without a word.
    pub(crate) fn deliver_failed(&mut self, key: ThreadKey, id: TransactionId) {
        let process = self.process_of(key);
        let dropped = &mut self.transactions[id];
        let (taken, node) = (dropped.buffer.take(), dropped.node);
        self.step(key, "binder_cleanup_transaction", |_| {
            "fd fixups failed: the transaction is dropped".into()
        });
        self.cleanup_transaction(id, Refusal::FailedReply);
        let is_async = |buffer: &mut Buffer| buffer.is_async;
        let was_async = taken.and_then(|taken| self.buffer_mut(process, taken)).is_some_and(is_async);
        if let (true, Some(node)) = (was_async, node) {
            self.next_async(node);
        }
        taken.into_iter().for_each(|taken| self.release_buffer(process, taken));
        if node.is_some() {
            return self.go_on_reading(key);
        }
        if !self.call_mut(key).is_none_or(|call| call.put(Return::FailedReply)) {
            return self.finish_with(key, Errno::EFAULT);
        }
        self.end_read(key);
    }

    /// The end of a read that found something: the process may be asked for one more thread.
    pub(crate) fn end_read(&mut self, key: ThreadKey) {
        let thread = &mut self.threads[key];
        let process = &mut self.processes[thread.id.process];
        let wanted = process.requested_threads == 0
            && process.waiting.is_empty()
            && process.requested_threads_started < process.max_threads
            && thread.looper.is_looper();
        if let (true, Some(call)) = (wanted, thread.call.as_mut()) {
            process.requested_threads += 1;
            // It is written over the word that opens the read, or whatever is there.
            call.returns[0] = Return::SpawnLooper;
        }
        self.finish(key, None);
    }

    /// The ioctl returns with an error: nothing was read.
    pub(crate) fn finish_with(&mut self, key: ThreadKey, errno: Errno) {
        if let Some(call) = self.call_mut(key) {
            call.returns.truncate(call.read.consumed / 4);
        }
        self.finish(key, Some(errno));
    }

    /// The ioctl returns. If it has read, and left its process work, somebody else who waits is woken.
    pub(crate) fn finish(&mut self, key: ThreadKey, error: Option<Errno>) {
        let thread = &mut self.threads[key];
        thread.need_return = false;
        let (id, Some(call)) = (thread.id, thread.call.take()) else { return };
        if call.is_reading && !self.processes[id.process].todo.is_empty() {
            self.wake_process(id.process);
        }
        let result = WriteRead { error, write_consumed: call.consumed, returns: call.returns };
        self.outputs.push_back(Output::Return { thread: id, result });
    }
}
