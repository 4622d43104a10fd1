//! Threads: one for each tid that has made a call; who waits, what for, and what it answers next.

use super::freeze::Freezer;
use super::process::ProcessId;
use super::slab::key;
use super::transaction::{Building, Refused, TransactionId};
use super::work::Work;
use super::{Driver, Output};
use crate::errno::Errno;
use crate::protocol::{Command, ExtendedError, Refusal, Return};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

key! {
    /// A thread's number inside the driver.
    pub(crate) ThreadKey
}

/// A thread of an open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ThreadId {
    /// The open.
    pub process: ProcessId,
    /// The thread, by its tid.
    pub tid: u32,
}

/// What a thread said of itself with the looper commands, noted, as the kernel does, not enforced; and by polling.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Looper {
    /// `BC_ENTER_LOOPER`.
    pub(crate) entered: bool,
    /// `BC_REGISTER_LOOPER`.
    pub(crate) registered: bool,
    /// `BC_EXIT_LOOPER`.
    pub(crate) exited: bool,
    /// Both, or registered without having been asked for.
    pub(crate) invalid: bool,
    /// It has called `poll`, and somebody may still look at what it sleeps on.
    pub(crate) polled: bool,
}

impl Looper {
    /// Whether the thread serves calls.
    pub(crate) fn is_looper(self) -> bool {
        self.entered || self.registered
    }
}

/// The read part of an ioctl.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// The bytes there are for returns. 80 is the least that a transaction fits into; 0 reads nothing.
    pub size: usize,
    /// `O_NONBLOCK`: `EAGAIN` instead of waiting.
    pub nonblock: bool,
    /// The bytes that the caller says it has been given already (`read_consumed`): new returns go behind them. A
    /// multiple of 4, and here each word of them is `BR_OK`.
    pub consumed: usize,
    /// How many bytes of the room can be written, those at least that are said to be used: `EFAULT` for a return
    /// that reaches further. What was on its way then is lost, unless it is the word that opens the read.
    pub writable: usize,
}

impl Read {
    /// Waits for as long as it takes, with room for 256 bytes of returns, as libbinder does.
    pub const WAIT: Read = Read { size: 256, nonblock: false, consumed: 0, writable: usize::MAX };
    /// Takes what there is.
    pub const NOW: Read = Read { nonblock: true, ..Read::WAIT };
    /// Reads nothing: the ioctl only writes.
    pub const NONE: Read = Read { size: 0, ..Read::NOW };
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

/// What an ioctl under way waits for, if it does.
#[derive(Debug)]
pub(crate) enum Hold<F> {
    /// Nothing: it is just being done.
    Nothing,
    /// Something to read.
    Work,
    /// The same; the backend has been told to run it.
    Woken,
    /// Numbers in the reader's table, for the files of this transaction (deferred).
    Delivering(TransactionId),
    /// A number in the receiver's table, for a transaction that is being built (classic).
    Building(Box<Building<F>>),
}

/// An ioctl under way: the thread is inside it until it returns.
#[derive(Debug)]
pub(crate) struct Call<F> {
    /// The pid of whoever makes it.
    pub(crate) pid: u32,
    /// The effective uid of whoever makes it.
    pub(crate) euid: u32,
    /// The commands that are left.
    pub(crate) commands: vec::IntoIter<Command>,
    /// For each descriptor number in all commands, the file that the caller's table has there.
    pub(crate) files: Vec<Option<F>>,
    /// How many of them belong to commands that are done.
    pub(crate) looked_up: usize,
    /// The bytes of those that are done.
    pub(crate) consumed: usize,
    /// The read part.
    pub(crate) read: Read,
    /// What has been read so far.
    pub(crate) returns: Vec<Return>,
    /// The bytes that takes.
    pub(crate) used: usize,
    /// The commands are done, and the read part has begun.
    pub(crate) is_reading: bool,
    /// The thread may take work of its process: decided when the read began.
    pub(crate) takes_process_work: bool,
    /// What it waits for.
    pub(crate) hold: Hold<F>,
}

/// What a refused command leaves for its thread to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReturnError {
    /// The refusal.
    Refused(Refusal),
    /// Of a reply: the replier is told that all is well, the caller is not.
    Complete,
}

impl From<ReturnError> for Return {
    fn from(error: ReturnError) -> Return {
        match error {
            ReturnError::Refused(refusal) => refusal.into(),
            ReturnError::Complete => Return::TransactionComplete,
        }
    }
}

/// `struct binder_thread`.
#[derive(Debug)]
pub(crate) struct Thread<F> {
    /// Whose it is.
    pub(crate) id: ThreadId,
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
    pub(crate) return_error: Option<ReturnError>,
    /// The answer to a call that came to nothing.
    pub(crate) reply_error: Option<Refusal>,
    /// More about its last transaction.
    pub(crate) extended_error: ExtendedError,
    /// The `BINDER_WRITE_READ` it is inside.
    pub(crate) call: Option<Call<F>>,
    /// The `BINDER_FREEZE` it is inside.
    pub(crate) freezer: Option<Freezer>,
}

impl<F> Thread<F> {
    /// A thread before its first call.
    pub(crate) fn new(id: ThreadId) -> Thread<F> {
        Thread {
            id,
            looper: Looper::default(),
            need_return: true,
            todo: VecDeque::new(),
            process_todo: false,
            stack: None,
            return_error: None,
            reply_error: None,
            extended_error: ExtendedError::default(),
            call: None,
            freezer: None,
        }
    }

    /// Whether it waits for something to read and has not been woken.
    pub(crate) fn is_parked(&self) -> bool {
        self.call.as_ref().is_some_and(|call| matches!(call.hold, Hold::Work))
    }

    /// `binder_available_for_proc_work`: whether it may take work of its process.
    pub(crate) fn is_available(&self) -> bool {
        self.stack.is_none() && self.todo.is_empty()
    }
}

impl<F: core::fmt::Debug> Driver<F> {
    /// `binder_get_thread`: the thread that makes a call, made if this is its first; none if the open is gone.
    pub(crate) fn get_thread(&mut self, id: ThreadId) -> Option<ThreadKey> {
        let process = self.processes.get_mut(id.process).filter(|process| !process.is_closed)?;
        if let Some(&key) = process.threads.get(&id.tid) {
            return Some(key);
        }
        let key = self.threads.insert(Thread::new(id));
        process.threads.insert(id.tid, key);
        Some(key)
    }

    /// The thread, if it has made a call and is still there.
    pub(crate) fn find_thread(&self, id: ThreadId) -> Option<ThreadKey> {
        self.processes.get(id.process)?.threads.get(&id.tid).copied()
    }

    /// Whether the thread is inside an ioctl: it waits, or has been woken and not run.
    pub fn is_in_call(&self, id: ThreadId) -> bool {
        self.find_thread(id).is_some_and(|key| self.threads[key].call.is_some())
    }

    /// The ioctl that the thread is inside.
    pub(crate) fn call_mut(&mut self, key: ThreadKey) -> Option<&mut Call<F>> {
        self.threads.get_mut(key)?.call.as_mut()
    }

    /// Whose thread it is.
    pub(crate) fn process_of(&self, key: ThreadKey) -> ProcessId {
        self.threads[key].id.process
    }

    /// Says that the thread may go on, once; when it does is the backend's to say.
    pub(crate) fn wake(&mut self, key: ThreadKey) {
        let Some(thread) = self.threads.get_mut(key) else { return };
        if let Some(call) = thread.call.as_mut().filter(|call| matches!(call.hold, Hold::Work)) {
            call.hold = Hold::Woken;
            self.outputs.push_back(Output::Wake(thread.id));
        }
    }

    /// The thread no longer counts as waiting for its process's work.
    pub(crate) fn stop_waiting(&mut self, key: ThreadKey) {
        let process = self.process_of(key);
        self.processes[process].waiting.retain(|&waiting| waiting != key);
    }

    /// `binder_select_thread`: the thread to be woken for work of `process`; it no longer counts as waiting.
    pub(crate) fn select_thread(&mut self, process: ProcessId) -> Option<ThreadKey> {
        self.processes.get_mut(process)?.waiting.pop()
    }

    /// `binder_wakeup_proc`: wakes a waiting thread of `process`, if there is one.
    pub(crate) fn wake_process(&mut self, process: ProcessId) {
        if let Some(thread) = self.select_thread(process) {
            self.wake(thread);
        }
    }

    /// `poll`: whether a read would find something. A completion that waits for its reply is nothing.
    pub(crate) fn poll_thread(&mut self, key: ThreadKey) -> bool {
        self.threads[key].looper.polled = true;
        let (thread, process) = (&self.threads[key], &self.processes[self.process_of(key)]);
        thread.process_todo || thread.need_return || (thread.is_available() && !process.todo.is_empty())
    }

    /// `binder_deferred_flush`: every thread of `process` comes back from its read, once.
    pub(crate) fn flush(&mut self, process: ProcessId) {
        let Some(process) = self.processes.get(process) else { return };
        let threads: Vec<ThreadKey> = process.threads.values().copied().collect();
        for key in threads {
            self.threads[key].need_return = true;
            if self.threads[key].is_parked() {
                self.stop_waiting(key);
                self.wake(key);
            }
        }
    }

    /// The ioctl that the thread is inside never returns: the thread is gone.
    pub(crate) fn drop_call(&mut self, key: ThreadKey) {
        self.stop_waiting(key);
        self.threads[key].freezer = None;
        let Some(call) = self.threads[key].call.take() else { return };
        match call.hold {
            Hold::Building(mut building) => self.abort(key, &mut building, Refused::dead(Errno::ESRCH)),
            Hold::Delivering(transaction) => self.cleanup_transaction(transaction, Refusal::DeadReply),
            Hold::Nothing | Hold::Work | Hold::Woken => {}
        }
    }
}
