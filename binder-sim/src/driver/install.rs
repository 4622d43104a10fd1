//! Putting a file into a table: the one thing the driver cannot do itself, and when it may be done at all.
//!
//! No process can be given a descriptor while it is doing something else. Either its own call is held, and the
//! number is chosen in *its* thread ([`HeldReader`], the deferred scheme of today's kernels); or a sender's call
//! is held, and the number is chosen in a table that is not the sender's ([`HeldSender`], the classic scheme,
//! which needs a kernel that lets one process write another's table). The two types say which, exist only while
//! the call is held, cannot be copied, and come back with the answer: a number without a held call is a type
//! error.

use super::process::ProcessId;
use super::scatter::number_descriptors;
use super::thread::{Hold, ThreadId};
use super::transaction::{Building, Refused};
use super::{Driver, Output};
use crate::errno::Errno;
use alloc::format;
use alloc::vec::Vec;

/// A file in flight: taken from the sender, not yet in the receiver's table.
#[derive(Debug)]
pub struct InFlight<F> {
    /// Where its object stands in the payload; of one in an array, where its number does.
    pub offset: u64,
    /// The sender's number for it, which it had when the call was made.
    pub sender_fd: u32,
    /// The open file: one reference, held by the transaction and dropped with it.
    pub file: F,
}

/// A *receiver* inside its own read: the only time at which its table may be given something.
///
/// # Invariants
/// Made by the driver when it holds the read, taken back with the answer; never two for one thread.
///
/// # Examples
/// Nobody else can make one, or keep a copy of one:
/// ```compile_fail,E0451
/// # fn of(thread: binder_sim::driver::ThreadId) -> binder_sim::driver::HeldReader {
/// binder_sim::driver::HeldReader { thread }
/// # }
/// ```
/// ```compile_fail,E0599
/// # fn twice(call: binder_sim::driver::HeldReader) -> [binder_sim::driver::HeldReader; 2] {
/// [call.clone(), call]
/// # }
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the reader stays inside its call until this comes back with `Input::Installed`"]
pub struct HeldReader {
    /// The reading thread.
    pub(crate) thread: ThreadId,
}

impl HeldReader {
    /// The reading thread. The numbers are for its own table and no other (`current->files`), which need not be
    /// that of the process that opened the device.
    pub fn thread(&self) -> ThreadId {
        self.thread
    }
}

/// A *sender* inside its own write, while somebody else's table is given something.
///
/// # Invariants
/// Made by the driver when it holds the write, taken back with the answer; never two for one thread.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the sender stays inside its call until this comes back with `Input::InstalledRemotely`"]
pub struct HeldSender {
    /// The writing thread.
    pub(crate) thread: ThreadId,
    /// The receiver, which is not held and may be doing anything.
    pub(crate) target: ProcessId,
}

impl HeldSender {
    /// The writing thread.
    pub fn thread(&self) -> ThreadId {
        self.thread
    }

    /// Whose table it is: the receiver's, whatever it is doing (`target_proc->files`).
    pub fn table(&self) -> ProcessId {
        self.target
    }
}

/// Deferred: give the reader all these files, or none.
#[derive(Debug)]
pub struct Install<F> {
    /// The reader, held.
    pub call: HeldReader,
    /// Who sent them.
    pub sender: ProcessId,
    /// The files, in the order of their objects. All numbers are reserved before any is installed.
    pub files: Vec<InFlight<F>>,
}

/// Classic: give the target this one file, from inside the sender's call.
#[derive(Debug)]
pub struct InstallRemote<F> {
    /// The sender, held.
    pub call: HeldSender,
    /// The file.
    pub file: InFlight<F>,
}

/// The answer to an [`Install`]: as many numbers as files, in order, or why there are none.
pub type Installed = Result<Vec<u32>, Errno>;

impl<F: core::fmt::Debug> Driver<F> {
    /// Deferred: the reader's own table has answered, the delivery goes on or comes to nothing.
    pub(crate) fn installed(&mut self, call: HeldReader, answer: Installed) {
        let Some(key) = self.find_thread(call.thread) else { return };
        let Some(call) = self.call_mut(key) else { return };
        let Hold::Delivering(id) = call.hold else { return };
        call.hold = Hold::Nothing;
        let Ok(numbers) = answer else { return self.deliver_failed(key, id) };
        let transaction = &mut self.transactions[id];
        let arrays = number_descriptors(&mut transaction.payload, &numbers);
        if let (Some(to), Some(buffer)) = (transaction.to, transaction.buffer)
            && let Some(buffer) = self.buffer_mut(to, buffer)
        {
            buffer.arrays = arrays;
        }
        if !self.deliver(key, id) {
            return self.finish_with(key, Errno::EFAULT);
        }
        self.end_read(key);
    }

    /// Classic: the receiver's table has answered, the sender goes on.
    pub(crate) fn installed_remotely(&mut self, call: HeldSender, answer: Result<u32, Errno>) {
        let target = call.target;
        let hold = self.find_thread(call.thread).and_then(|key| {
            let call = self.call_mut(key)?;
            Some((key, core::mem::replace(&mut call.hold, Hold::Nothing)))
        });
        let Some((sender, Hold::Building(mut building))) = hold else {
            // The sender went meanwhile: nobody will ever tell the receiver of the number.
            return self.close_remote(target, answer.into_iter().collect());
        };
        if !self.is_alive(&building) {
            self.close_remote(target, answer.into_iter().collect());
            self.abort(sender, &mut building, Refused::dead(Errno::ESRCH));
        } else if let Ok(number) = answer {
            building.installed.push(number);
            self.step(sender, "fp->fd = target_fd", |_| {
                format!("the object says {number} now; the receiver knows nothing yet")
            });
            if let Some(file) = self.go_on_translating(sender, &mut building) {
                self.hold_sender(sender, building, file);
            }
        } else {
            // Whatever the table said, a sender reads ENOMEM.
            self.abort(sender, &mut building, Refused::failed(Errno::ENOMEM));
        }
        self.thread_write(sender);
    }

    /// Whether the receiver (and the calling thread, for a reply) is still there.
    fn is_alive(&self, building: &Building<F>) -> bool {
        let route = building.route;
        let caller = route.to_thread.is_none_or(|thread| self.threads.get(thread).is_some());
        let mapping = self.processes.get(route.to).and_then(|process| process.alloc.as_ref());
        caller && mapping.is_some_and(|alloc| alloc.is_mapped())
    }

    /// `task_close_fd`: numbers that a receiver was given for a transaction that never came (classic).
    pub(crate) fn close_remote(&mut self, target: ProcessId, numbers: Vec<u32>) {
        for number in numbers {
            self.outputs.push_back(Output::CloseRemote { target, number });
        }
    }
}
