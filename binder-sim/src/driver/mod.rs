//! The driver: one way in ([`Driver::handle`]), one way out ([`Driver::poll`]), and [`Driver::check`].
//!
//! It makes no system call, reads no clock and iterates over no hash map: the same inputs give the same outputs.
//! It is generic over `F`, *what a file is*, and only ever moves it: a file in flight lives in the transaction
//! and drops with it. Blocking is a returned value (no [`Output::Return`] yet), a wake-up is data
//! ([`Output::Wake`]), and what only a backend can do, give a process a descriptor, is asked for with the call
//! that is held meanwhile ([`Install`], [`InstallRemote`]).
//!
//! The files are named after the kernel's nouns, so that they can be read beside its own
//! (`drivers/android/binder.c`, `binder_alloc.c`, `drivers/android/binder/*.rs`).

pub(crate) mod allocation;
mod check;
mod context;
mod install;
pub(crate) mod node;
mod process;
mod range_alloc;
mod read;
mod reference;
mod release;
mod route;
pub(crate) mod slab;
mod thread;
mod transaction;
mod translate;
mod write;

pub use check::Broken;
pub use context::Device;
pub use install::{HeldReader, HeldSender, InFlight, Install, InstallRemote, Installed};
pub use process::ProcessId;
pub use thread::{Read, ThreadId, WriteRead};

use crate::errno::Errno;
use crate::protocol::{Command, ExtendedError, ObjectFlags};
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use allocation::Allocation;
use context::Context;
use node::{Node, NodeId};
use process::Process;
use slab::Slab;
use thread::Call;
use transaction::{Transaction, TransactionId};

/// Who chooses the number that a descriptor gets in the receiver, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Translation {
    /// The sender's thread, while it sends, in the receiver's table: `task_get_unused_fd_flags(target_proc)`.
    /// The kernels up to about 4.19, and the article.
    Classic,
    /// The receiver's thread, while it reads, in its own table: `get_unused_fd_flags()`. Kernels since then.
    Deferred,
}

impl Translation {
    /// Both, the older first.
    pub const ALL: [Translation; 2] = [Translation::Classic, Translation::Deferred];
}

impl core::fmt::Display for Translation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Translation::Classic => "classic",
            Translation::Deferred => "deferred",
        })
    }
}

/// A command, and what only the caller's table can say of it.
#[derive(Debug)]
pub struct Looked<F> {
    /// The command.
    pub command: Command,
    /// For each descriptor number in it, in order, the file that the caller's table has there, if any.
    pub files: Vec<Option<F>>,
}

impl<F> Looked<F> {
    /// `command`, each descriptor number looked up with `find`.
    pub fn new(command: Command, mut find: impl FnMut(u32) -> Option<F>) -> Looked<F> {
        let files = match command.data() {
            Some(data) => data.payload.descriptors().map(&mut find).collect(),
            None => Vec::new(),
        };
        Looked { command, files }
    }
}

/// The one way in: what a process does to the device, or what the backend answers.
#[derive(Debug)]
pub enum Input<F> {
    /// `open("/dev/binder")`; answered with [`Output::Opened`].
    Open {
        /// Which device.
        device: Device,
        /// The caller's pid.
        pid: u32,
        /// The caller's effective uid.
        euid: u32,
        /// The caller's name.
        comm: String,
    },
    /// `mmap` of the device: room to receive; answered with [`Output::Done`].
    ///
    /// `EBUSY` if it is mapped already, `EINVAL` if `size` is 0 or runs past the end of memory.
    Mmap {
        /// Whose.
        process: ProcessId,
        /// At which address.
        base: u64,
        /// How many bytes; of more than 4 MiB, 4 MiB are used.
        size: usize,
    },
    /// `ioctl(BINDER_SET_CONTEXT_MGR_EXT)`, or `BINDER_SET_CONTEXT_MGR` with flags 0; answered with
    /// [`Output::Done`].
    ///
    /// `EBUSY` if there is a manager, `EPERM` if the first manager had another uid.
    SetContextManager {
        /// The caller.
        thread: ThreadId,
        /// The flags of the node that handle 0 will name.
        flags: ObjectFlags,
    },
    /// `ioctl(BINDER_GET_EXTENDED_ERROR)`: answers and clears; answered with [`Output::ExtendedError`].
    GetExtendedError {
        /// The caller.
        thread: ThreadId,
    },
    /// `ioctl(BINDER_WRITE_READ)`; answered with [`Output::Return`], now or later, or with [`Output::Done`] and
    /// `EBUSY` if the thread is inside a call already.
    WriteRead {
        /// The caller.
        thread: ThreadId,
        /// The commands.
        write: Vec<Looked<F>>,
        /// The read part.
        read: Read,
    },
    /// A woken thread runs.
    Resume(ThreadId),
    /// The answer to [`Output::Install`].
    Installed(HeldReader, Installed),
    /// The answer to [`Output::InstallRemote`].
    InstalledRemotely(HeldSender, Result<u32, Errno>),
    /// The last close of an open: also what an exit or a kill comes to.
    Close(ProcessId),
}

/// The one way out: answers, and what the backend has to do.
#[derive(Debug)]
pub enum Output<F> {
    /// The number of a new open.
    Opened(ProcessId),
    /// An input that answers with success or an errno only.
    Done(Result<(), Errno>),
    /// The answer to [`Input::GetExtendedError`].
    ExtendedError(ExtendedError),
    /// Give a reader numbers in its own table (deferred).
    Install(Install<F>),
    /// Give somebody else's table a number (classic).
    InstallRemote(InstallRemote<F>),
    /// Close a number that came from [`Output::InstallRemote`] again: its transaction failed later on (classic).
    CloseRemote {
        /// Whose table.
        target: ProcessId,
        /// Which number.
        number: u32,
    },
    /// A thread that waits has something to look at: run it, some time, with [`Input::Resume`].
    Wake(ThreadId),
    /// An ioctl returns.
    Return {
        /// Whose.
        thread: ThreadId,
        /// With what.
        result: WriteRead,
    },
    /// What the driver just did, if it was asked to say so ([`Driver::set_tracing`]).
    Step {
        /// In whose call.
        thread: ThreadId,
        /// The kernel function that does this.
        function: &'static str,
        /// What happened, with values.
        text: String,
    },
}

/// The Binder driver, all devices of one kernel.
///
/// # Examples
/// ```
/// use binder_sim::driver::{Device, Driver, Input, Output, Translation};
///
/// let mut driver: Driver<&str> = Driver::new(Translation::Deferred);
/// driver.handle(Input::Open { device: Device::Binder, pid: 7, euid: 0, comm: "init".into() });
/// let Some(Output::Opened(process)) = driver.poll() else { unreachable!("an open is answered at once") };
/// driver.handle(Input::Mmap { process, base: 0x7000_0000, size: 4096 });
/// assert!(matches!(driver.poll(), Some(Output::Done(Ok(())))));
/// assert!(driver.poll().is_none(), "nothing else to say");
/// driver.check().expect("every invariant holds");
/// ```
#[derive(Debug)]
pub struct Driver<F> {
    /// Who chooses the numbers.
    translation: Translation,
    /// One for each [`Device`].
    contexts: [Context; Device::ALL.len()],
    /// The opens.
    processes: Slab<ProcessId, Process<F>>,
    /// The nodes of all of them.
    nodes: Slab<NodeId, Node>,
    /// The calls and replies on their way or being served.
    transactions: Slab<TransactionId, Transaction<F>>,
    /// What has not been polled.
    outputs: VecDeque<Output<F>>,
    /// The number of the last transaction.
    last_id: u32,
    /// Whether to say what it does.
    tracing: bool,
}

impl<F: core::fmt::Debug> Driver<F> {
    /// A driver that nobody has opened.
    pub fn new(translation: Translation) -> Driver<F> {
        Driver {
            translation,
            contexts: Default::default(),
            processes: Slab::new(),
            nodes: Slab::new(),
            transactions: Slab::new(),
            outputs: VecDeque::new(),
            last_id: 0,
            tracing: false,
        }
    }

    /// Who chooses the numbers.
    pub fn translation(&self) -> Translation {
        self.translation
    }

    /// Whether to put out an [`Output::Step`] for each thing it does.
    pub fn set_tracing(&mut self, on: bool) {
        self.tracing = on;
    }

    /// Takes one input in, completely; what comes of it is then to be had from [`poll`](Driver::poll).
    pub fn handle(&mut self, input: Input<F>) {
        match input {
            Input::Open { device, pid, euid, comm } => {
                let id = self.processes.insert(Process::new(pid, euid, comm, device));
                self.outputs.push_back(Output::Opened(id));
            }
            Input::Mmap { process, base, size } => {
                let done = self.mmap(process, base, size);
                self.outputs.push_back(Output::Done(done));
            }
            Input::SetContextManager { thread, flags } => {
                let done = self.set_context_manager(thread, flags);
                self.outputs.push_back(Output::Done(done));
            }
            Input::GetExtendedError { thread } => self.get_extended_error(thread),
            Input::WriteRead { thread, write, read } => {
                if let Err(errno) = self.write_read(thread, write, read) {
                    self.outputs.push_back(Output::Done(Err(errno)));
                }
            }
            Input::Resume(thread) => self.resume(thread),
            Input::Installed(call, answer) => self.installed(call.thread, answer),
            Input::InstalledRemotely(call, answer) => self.installed_remotely(call, answer),
            Input::Close(process) => self.close_process(process),
        }
    }

    /// The next output, in the order in which things happened.
    pub fn poll(&mut self) -> Option<Output<F>> {
        self.outputs.pop_front()
    }

    /// A mapping for `process`.
    fn mmap(&mut self, process: ProcessId, base: u64, size: usize) -> Result<(), Errno> {
        let process = self.processes.get_mut(process).ok_or(Errno::EBADF)?;
        if process.alloc.is_some() {
            return Err(Errno::EBUSY);
        }
        if size == 0 || base.checked_add(size as u64).is_none() {
            return Err(Errno::EINVAL);
        }
        process.alloc = Some(Allocation::new(base, size));
        Ok(())
    }

    /// Makes a node of the caller the one that everybody reaches as handle 0.
    fn set_context_manager(&mut self, thread: ThreadId, flags: ObjectFlags) -> Result<(), Errno> {
        let id = thread.process;
        self.get_thread(thread).ok_or(Errno::EBADF)?.need_return = false;
        let (device, euid) = (self.processes[id].device as usize, self.processes[id].euid);
        let context = &mut self.contexts[device];
        if context.manager.is_some() {
            return Err(Errno::EBUSY);
        }
        if *context.manager_uid.get_or_insert(euid) != euid {
            return Err(Errno::EPERM);
        }
        let node_id = self.new_node(id, 0, 0, flags);
        let node = &mut self.nodes[node_id];
        // INVARIANT: the device itself holds the manager's node, and the owner is not told: it asked for it.
        (node.local_strong, node.local_weak) = (node.local_strong + 1, node.local_weak + 1);
        (node.has_strong, node.has_weak) = (true, true);
        self.contexts[device].manager = Some(node_id);
        Ok(())
    }

    /// Answers with the extended error of the thread, and clears it.
    fn get_extended_error(&mut self, thread: ThreadId) {
        let error = match self.get_thread(thread) {
            Some(thread) => {
                thread.need_return = false;
                core::mem::take(&mut thread.extended_error)
            }
            None => ExtendedError::default(),
        };
        self.outputs.push_back(Output::ExtendedError(error));
    }

    /// Begins an ioctl.
    fn write_read(&mut self, id: ThreadId, write: Vec<Looked<F>>, read: Read) -> Result<(), Errno> {
        let thread = self.get_thread(id).ok_or(Errno::EBADF)?;
        if thread.call.is_some() {
            return Err(Errno::EBUSY);
        }
        // A kernel does not notice, and writes past the end.
        if (1..4).contains(&read.size) {
            return Err(Errno::EINVAL);
        }
        thread.call = Some(Call {
            commands: write.into_iter(),
            consumed: 0,
            read,
            returns: Vec::new(),
            used: 0,
            takes_process_work: false,
            parked: false,
            woken: false,
            building: None,
            delivering: None,
        });
        self.thread_write(id);
        Ok(())
    }

    /// Says what it just did, if it was asked to.
    fn step(&mut self, thread: ThreadId, function: &'static str, text: impl FnOnce(&Self) -> String) {
        if self.tracing {
            let text = text(self);
            self.outputs.push_back(Output::Step { thread, function, text });
        }
    }

    /// The pid behind an open; 0 once it is closed.
    fn pid(&self, process: ProcessId) -> u32 {
        self.processes.get(process).map_or(0, |process| process.pid)
    }

    /// The name behind an open.
    fn comm(&self, process: ProcessId) -> &str {
        self.processes.get(process).map_or("(closed)", |process| &process.comm)
    }
}
