//! Work: what stands in a list until some thread reads it (`struct binder_work`).

use super::Driver;
use super::death::DeathId;
use super::freeze_notice::NoticeId;
use super::node::NodeId;
use super::process::ProcessId;
use super::thread::ThreadKey;
use super::transaction::TransactionId;
use crate::protocol::Return;
use alloc::collections::VecDeque;

/// An item of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// A call or a reply to be delivered.
    Transaction(TransactionId),
    /// The driver took what the thread sent.
    Complete(Complete),
    /// What stands in the thread's `return_error` is due.
    ReturnError,
    /// What stands in the thread's `reply_error` is due.
    ReplyError,
    /// The owner has to be told how its node is held.
    Node(NodeId),
    /// A death notice, or the end of one.
    Death(DeathId),
    /// A freeze notice, or the end of one.
    Freeze(NoticeId),
}

/// How a transaction that was taken is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Complete {
    /// `BR_TRANSACTION_COMPLETE`.
    Plain,
    /// `BR_ONEWAY_SPAM_SUSPECT`, for a process that wants to hear of it.
    SpamSuspect,
    /// `BR_TRANSACTION_PENDING_FROZEN`.
    PendingFrozen,
}

impl Complete {
    /// What the sender reads.
    pub(crate) fn to_return(self, wants_spam: bool) -> Return {
        match self {
            Complete::SpamSuspect if wants_spam => Return::OnewaySpamSuspect,
            Complete::PendingFrozen => Return::TransactionPendingFrozen,
            Complete::Plain | Complete::SpamSuspect => Return::TransactionComplete,
        }
    }
}

/// Where an item stands that can be taken out of the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    /// A thread's todo list.
    Thread(ThreadKey),
    /// A process's todo list.
    Process(ProcessId),
    /// The death notices that a process has read and not answered.
    DeliveredDeath(ProcessId),
    /// The freeze notices that a process has read and not answered.
    DeliveredFreeze(ProcessId),
}

impl<F: core::fmt::Debug> Driver<F> {
    /// The list itself, if its owner is still there.
    pub(crate) fn list_mut(&mut self, list: List) -> Option<&mut VecDeque<Work>> {
        match list {
            List::Thread(thread) => self.threads.get_mut(thread).map(|thread| &mut thread.todo),
            List::Process(process) => self.processes.get_mut(process).map(|process| &mut process.todo),
            List::DeliveredDeath(process) => {
                self.processes.get_mut(process).map(|process| &mut process.delivered_death)
            }
            List::DeliveredFreeze(process) => {
                self.processes.get_mut(process).map(|process| &mut process.delivered_freeze)
            }
        }
    }

    /// `binder_enqueue_work`: `work` goes to the end, and nobody is woken.
    pub(crate) fn enqueue(&mut self, list: List, work: Work) {
        if let Some(list) = self.list_mut(list) {
            list.push_back(work);
        }
    }

    /// `binder_enqueue_work` to a process, whose threads that wait for it are woken: one of them.
    pub(crate) fn enqueue_process(&mut self, process: ProcessId, work: Work) {
        self.enqueue(List::Process(process), work);
        self.wake_process(process);
    }

    /// `binder_enqueue_thread_work`: work that the thread comes back for.
    pub(crate) fn enqueue_thread(&mut self, key: ThreadKey, work: Work) {
        let Some(thread) = self.threads.get_mut(key) else { return };
        thread.todo.push_back(work);
        thread.process_todo = true;
        if thread.is_parked() {
            self.stop_waiting(key);
            self.wake(key);
        }
    }

    /// `binder_enqueue_deferred_thread_work`: work that goes with the next thing that the thread comes back for.
    pub(crate) fn enqueue_deferred(&mut self, key: ThreadKey, work: Work) {
        self.enqueue(List::Thread(key), work);
    }

    /// `binder_dequeue_work`: takes `work` out of `list`.
    pub(crate) fn dequeue(&mut self, list: List, work: Work) {
        self.list_mut(list).into_iter().for_each(|list| list.retain(|&item| item != work));
    }
}
