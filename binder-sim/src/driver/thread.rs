//! Threads: one for each tid that has made a call; who waits, what for, and what it answers next.

use super::node::NodeId;
use super::process::ProcessId;
use super::transaction::{Building, TransactionId};
use super::{Driver, Looked};
use crate::errno::Errno;
use crate::protocol::{ExtendedError, Return};
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

/// A thread of an open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ThreadId {
    /// The open.
    pub process: ProcessId,
    /// The thread, by its tid.
    pub tid: u32,
}

/// An item of a todo list (`struct binder_work`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// A call or a reply to be delivered.
    Transaction(TransactionId),
    /// `BR_TRANSACTION_COMPLETE` is due.
    TransactionComplete,
    /// What stands in the thread's `return_error` is due.
    ReturnError,
    /// What stands in the thread's `reply_error` is due.
    ReplyError,
    /// The owner has to be told how its node is held.
    Node(NodeId),
}

/// What a thread said of itself with the looper commands; noted, as the kernel does, not enforced.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Looper {
    /// `BC_ENTER_LOOPER`.
    pub(crate) entered: bool,
    /// `BC_REGISTER_LOOPER`.
    pub(crate) registered: bool,
    /// `BC_EXIT_LOOPER`.
    pub(crate) exited: bool,
}

/// The read part of an ioctl.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// The bytes there are for returns. 80 is the least that a transaction fits into; 0 reads nothing.
    pub size: usize,
    /// `O_NONBLOCK`: `EAGAIN` instead of waiting.
    pub nonblock: bool,
}

impl Read {
    /// Waits for as long as it takes, with room for 256 bytes of returns, as libbinder does.
    pub const WAIT: Read = Read { size: 256, nonblock: false };
    /// Takes what there is.
    pub const NOW: Read = Read { size: 256, nonblock: true };
}

/// What `ioctl(BINDER_WRITE_READ)` returned (`struct binder_write_read`, as copied back).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteRead {
    /// The ioctl's own error. A refused transaction is none: it is read as a return.
    pub error: Option<Errno>,
    /// The bytes of commands that were taken: fewer than written after a refusal or an error.
    pub write_consumed: usize,
    /// What was read.
    pub returns: Vec<Return>,
}

/// An ioctl under way: the thread is inside it until it returns.
#[derive(Debug)]
pub(crate) struct Call<F> {
    /// The commands that are left.
    pub(crate) commands: vec::IntoIter<Looked<F>>,
    /// The bytes of those that are done.
    pub(crate) consumed: usize,
    /// The read part.
    pub(crate) read: Read,
    /// What has been read so far.
    pub(crate) returns: Vec<Return>,
    /// The bytes that takes.
    pub(crate) used: usize,
    /// The thread may take work of its process: decided when the read began.
    pub(crate) takes_process_work: bool,
    /// The thread sleeps until it is woken.
    pub(crate) parked: bool,
    /// The backend has been told to wake it.
    pub(crate) woken: bool,
    /// A transaction being built, while its sender is held for a number in the target's table (classic).
    pub(crate) building: Option<Building<F>>,
    /// A transaction being delivered, while its reader is held for numbers in its own table (deferred).
    pub(crate) delivering: Option<TransactionId>,
}

/// `struct binder_thread`.
#[derive(Debug)]
pub(crate) struct Thread<F> {
    /// What it said of itself.
    pub(crate) looper: Looper,
    /// The next read has to come back even with nothing: true of a thread's first call.
    pub(crate) need_return: bool,
    /// Work for this thread alone.
    pub(crate) todo: VecDeque<Work>,
    /// Some of it is worth waking for: anything but a completion that waits for its reply.
    pub(crate) process_todo: bool,
    /// The call it is in, innermost first: one it makes or one it serves.
    pub(crate) stack: Option<TransactionId>,
    /// The answer to a refused command; commands stop until it is read.
    pub(crate) return_error: Option<Return>,
    /// The answer to a call that came to nothing.
    pub(crate) reply_error: Option<Return>,
    /// More about its last transaction.
    pub(crate) extended_error: ExtendedError,
    /// The ioctl it is inside.
    pub(crate) call: Option<Call<F>>,
}

impl<F> Thread<F> {
    /// A thread before its first call.
    pub(crate) fn new() -> Thread<F> {
        Thread {
            looper: Looper::default(),
            need_return: true,
            todo: VecDeque::new(),
            process_todo: false,
            stack: None,
            return_error: None,
            reply_error: None,
            extended_error: ExtendedError::default(),
            call: None,
        }
    }
}

impl<F: core::fmt::Debug> Driver<F> {
    /// The thread, if it has made a call.
    pub(crate) fn thread(&self, id: ThreadId) -> Option<&Thread<F>> {
        self.processes.get(id.process)?.threads.get(&id.tid)
    }

    /// The thread, if it has made a call.
    pub(crate) fn thread_mut(&mut self, id: ThreadId) -> Option<&mut Thread<F>> {
        self.processes.get_mut(id.process)?.threads.get_mut(&id.tid)
    }

    /// The call that the thread is inside.
    pub(crate) fn call_mut(&mut self, id: ThreadId) -> Option<&mut Call<F>> {
        self.thread_mut(id)?.call.as_mut()
    }

    /// `binder_get_thread`: the thread, made if this is its first call.
    pub(crate) fn get_thread(&mut self, id: ThreadId) -> Option<&mut Thread<F>> {
        let process = self.processes.get_mut(id.process)?;
        Some(process.threads.entry(id.tid).or_insert_with(Thread::new))
    }

    /// `binder_enqueue_thread_work`: work that the thread is woken for.
    pub(crate) fn enqueue(&mut self, id: ThreadId, work: Work) {
        if let Some(thread) = self.thread_mut(id) {
            thread.todo.push_back(work);
            thread.process_todo = true;
            self.processes[id.process].waiting.retain(|&tid| tid != id.tid);
            self.wake(id);
        }
    }

    /// `binder_enqueue_deferred_thread_work`: work that goes with the next thing that is due.
    pub(crate) fn enqueue_deferred(&mut self, id: ThreadId, work: Work) {
        if let Some(thread) = self.thread_mut(id) {
            thread.todo.push_back(work);
        }
    }
}
