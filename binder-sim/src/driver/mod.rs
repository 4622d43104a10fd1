//! The driver: one way in ([`Driver::handle`]), one way out ([`Driver::poll`]), and [`Driver::check`].
//!
//! It makes no system call, reads no clock and iterates over no hash map: the same inputs give the same outputs.
//! It is generic over `F`, *what a file is*, and only ever moves it: a file in flight lives in the transaction
//! and drops with it. Blocking is a returned value (no [`Output::Return`] yet), a wake-up is data
//! ([`Output::Wake`]), and what only a backend can do, give a process a descriptor, is asked for with the call
//! that is held meanwhile ([`Install`], [`InstallRemote`]).
//!
//! The files are named after the kernel's nouns, so that they can be read beside its own
//! (`drivers/android/binder.c`, `binder_alloc.c`, `drivers/android/binder/*.rs`). What comes from outside, a
//! [`ProcessId`], a [`ThreadId`], is looked up where it comes in; behind that, an object that the driver keeps
//! a number of is there.

pub(crate) mod allocation;
mod boundary;
mod check;
mod context;
mod death;
mod deferred;
mod failure;
mod free_tree;
mod freeze;
mod freeze_notice;
mod install;
mod ioctl;
pub(crate) mod node;
mod process;
mod profile;
mod range_alloc;
mod read;
mod reference;
mod release;
mod route;
mod scatter;
mod security;
mod send;
pub(crate) mod slab;
mod thread;
mod transaction;
mod translate;
mod work;
mod write;

pub use boundary::{Input, Output};
pub use check::Broken;
pub use context::Device;
pub use install::{HeldReader, HeldSender, InFlight, Install, InstallRemote, Installed};
pub use process::ProcessId;
pub use profile::{Profile, SpamCount, Translation};
pub use security::{Credentials, Security};
pub use thread::{Read, ThreadId, WriteRead};

use crate::errno::Errno;
use crate::protocol::Answer;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use context::Context;
use death::{Death, DeathId};
use deferred::Deferred;
use freeze_notice::{FreezeNotice, NoticeId};
use node::{Node, NodeId};
use process::Process;
use release::Paused;
use slab::Slab;
use thread::{Thread, ThreadKey};
use transaction::{Transaction, TransactionId};

/// The Binder driver, all devices of one kernel.
///
/// # Examples
/// ```
/// use binder_sim::driver::{Device, Driver, Input, Output, Profile, Translation};
///
/// let mut driver: Driver<&str> = Driver::new(Profile::V6_1, Translation::Deferred);
/// driver.handle(Input::Open { device: Device::Binder, pid: 7, euid: 0, comm: "init".into() });
/// let Some(Output::Opened(process)) = driver.poll() else { unreachable!("an open is answered at once") };
/// driver.handle(Input::Mmap { process, pid: 7, base: 0x7000_0000, size: 4096, write: false });
/// assert!(matches!(driver.poll(), Some(Output::Done(Ok(())))));
/// assert!(driver.poll().is_none(), "nothing else to say");
/// driver.check().expect("every invariant holds");
/// ```
#[derive(Debug)]
pub struct Driver<F> {
    /// Which kernel's.
    profile: Profile,
    /// Who chooses the numbers.
    translation: Translation,
    /// Who is asked whether things may be done, if anybody is.
    security: Option<Arc<dyn Security<F>>>,
    /// One for each [`Device`].
    contexts: [Context; Device::ALL.len()],
    /// The opens.
    processes: Slab<ProcessId, Process>,
    /// The threads of all of them.
    threads: Slab<ThreadKey, Thread<F>>,
    /// The nodes.
    nodes: Slab<NodeId, Node>,
    /// The calls and replies on their way or being served.
    transactions: Slab<TransactionId, Transaction<F>>,
    /// The death notices that were asked for.
    deaths: Slab<DeathId, Death>,
    /// The freeze notices that were asked for.
    freeze_notices: Slab<NoticeId, FreezeNotice>,
    /// What closes have left to do.
    deferred: Vec<Deferred>,
    /// The one of them that is half done.
    paused: Option<Paused>,
    /// What has not been polled.
    outputs: VecDeque<Output<F>>,
    /// The number of the last transaction, node or handle.
    last_id: u32,
    /// How many opens there have been.
    opened: u64,
    /// Whether to say what it does.
    tracing: bool,
}

impl<F: core::fmt::Debug> Driver<F> {
    /// A driver that nobody has opened.
    pub fn new(profile: Profile, translation: Translation) -> Driver<F> {
        Driver {
            profile,
            translation,
            security: None,
            contexts: Default::default(),
            processes: Slab::new(),
            threads: Slab::new(),
            nodes: Slab::new(),
            transactions: Slab::new(),
            deaths: Slab::new(),
            freeze_notices: Slab::new(),
            deferred: Vec::new(),
            paused: None,
            outputs: VecDeque::new(),
            last_id: 0,
            opened: 0,
            tracing: false,
        }
    }

    /// Which kernel's it is.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Who chooses the numbers.
    pub fn translation(&self) -> Translation {
        self.translation
    }

    /// Has `security` asked from now on.
    pub fn set_security(&mut self, security: Arc<dyn Security<F>>) {
        self.security = Some(security);
    }

    /// Whether to put out an [`Output::Step`] for each thing it does.
    pub fn set_tracing(&mut self, on: bool) {
        self.tracing = on;
    }

    /// Takes one input in, completely; what comes of it is then to be had from [`poll`](Driver::poll).
    ///
    /// What names an open or a thread that is not there is answered with `EBADF` where there is an answer, and
    /// ignored where there is none.
    pub fn handle(&mut self, input: Input<F>) {
        match input {
            Input::Open { device, pid, euid, comm } => {
                self.opened += 1;
                let process = Process::new(pid, euid, comm, device, self.opened);
                let id = self.processes.insert(process);
                self.outputs.push_back(Output::Opened(id));
            }
            Input::Mmap { process, pid, base, size, write } => {
                let done = self.mmap(process, pid, (base, size), write);
                self.outputs.push_back(Output::Done(done));
            }
            Input::Munmap(process) => {
                if let Some(alloc) = self.processes.get_mut(process).and_then(|p| p.alloc.as_mut()) {
                    alloc.unmap();
                }
            }
            Input::SetEuid { process, euid } => {
                if let Some(process) = self.processes.get_mut(process) {
                    process.euid = euid;
                }
            }
            Input::WriteRead { thread, pid, euid, write, files, read } => {
                if let Err(errno) = self.write_read(thread, (pid, euid), (write, files), read) {
                    self.outputs.push_back(Output::Done(Err(errno)));
                }
            }
            Input::Ioctl { thread, euid, ioctl } => self.ioctl(thread, euid, ioctl),
            Input::Poll(thread) => {
                let key = self.get_thread(thread).ok_or(Errno::EBADF);
                let result = key.map(|key| Answer::Readable(self.poll_thread(key)));
                self.outputs.push_back(Output::Answered { thread, result });
            }
            Input::Resume(thread) | Input::Interrupt(thread) | Input::TimeUp(thread) => {
                if let Some(key) = self.find_thread(thread) {
                    self.run_thread(key, &input);
                }
            }
            Input::Exited(pid) => self.exited(pid),
            Input::Installed(call, answer) => self.installed(call, answer),
            Input::InstalledRemotely(call, answer) => self.installed_remotely(call, answer),
            Input::Flush(process) => self.defer(process, false),
            Input::Close(process) => self.defer(process, true),
            Input::RunDeferred => self.run_deferred(),
        }
    }

    /// A thread that waits has a reason not to.
    fn run_thread(&mut self, key: ThreadKey, why: &Input<F>) {
        match why {
            Input::Interrupt(_) => {
                self.interrupt_freezer(key);
                self.interrupt_reader(key);
            }
            Input::TimeUp(_) => self.resume_freezer(key, true),
            _ => {
                self.resume_freezer(key, false);
                self.resume_reader(key);
            }
        }
    }

    /// The next output, in the order in which things happened.
    pub fn poll(&mut self) -> Option<Output<F>> {
        self.outputs.pop_front()
    }

    /// A number for something new (`binder_last_id`).
    fn next_id(&mut self) -> u32 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }

    /// Says what it just did, if it was asked to.
    fn step(&mut self, thread: ThreadKey, function: &'static str, text: impl FnOnce(&Self) -> String) {
        if self.tracing {
            let (thread, text) = (self.threads[thread].id, text(self));
            self.outputs.push_back(Output::Step { thread, function, text });
        }
    }
}
