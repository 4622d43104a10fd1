//! The boundary: what comes in ([`Input`]), what goes out ([`Output`]).

use super::context::Device;
use super::install::{HeldReader, HeldSender, Install, InstallRemote, Installed};
use super::process::ProcessId;
use super::thread::{Read, ThreadId, WriteRead};
use crate::errno::Errno;
use crate::protocol::{Answer, Command, Ioctl};
use alloc::string::String;
use alloc::vec::Vec;

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
    /// `EINVAL` if the caller is not the opener, `size` is 0 or runs past the end of memory; `EPERM` if it is to be
    /// writable; `EBUSY` if it is mapped already, or was.
    Mmap {
        /// Whose.
        process: ProcessId,
        /// The caller's pid.
        pid: u32,
        /// At which address.
        base: u64,
        /// How many bytes; of more than 4 MiB, 4 MiB are used.
        size: usize,
        /// Whether it is to be writable.
        write: bool,
    },
    /// `munmap` of it, or of any part of it: nothing new is received from now on.
    Munmap(ProcessId),
    /// The opener has another effective uid from now on (`seteuid`).
    SetEuid {
        /// Whose.
        process: ProcessId,
        /// Which.
        euid: u32,
    },
    /// `ioctl(BINDER_WRITE_READ)`; answered with [`Output::Return`], now or later, or with [`Output::Done`] and
    /// `EBUSY` if the thread is inside a call already.
    WriteRead {
        /// The caller.
        thread: ThreadId,
        /// The caller's pid, which is the opener's unless the open was handed over.
        pid: u32,
        /// The caller's effective uid, likewise.
        euid: u32,
        /// The commands.
        write: Vec<Command>,
        /// For each descriptor number in them, in order, the file that the caller's table has there, if any.
        files: Vec<Option<F>>,
        /// The read part.
        read: Read,
    },
    /// Any other ioctl; answered with [`Output::Answered`], and of all of them only `BINDER_FREEZE` may wait.
    Ioctl {
        /// The caller.
        thread: ThreadId,
        /// The caller's effective uid.
        euid: u32,
        /// Which, and its argument.
        ioctl: Ioctl,
    },
    /// `poll`, which never waits here; answered with [`Output::Answered`].
    Poll(ThreadId),
    /// A woken thread runs.
    Resume(ThreadId),
    /// A signal, or death: a thread that waits comes back with `EINTR`.
    Interrupt(ThreadId),
    /// A process has ended, and its pid names nobody any more. Its opens may live on, in the hands of others.
    Exited(u32),
    /// The time that a `BINDER_FREEZE` was to wait is over.
    TimeUp(ThreadId),
    /// The answer to [`Output::Install`].
    Installed(HeldReader, Installed),
    /// The answer to [`Output::InstallRemote`].
    InstalledRemotely(HeldSender, Result<u32, Errno>),
    /// A number of an open was closed, not the last: its threads will be woken, at [`Input::RunDeferred`].
    Flush(ProcessId),
    /// The last number of an open was closed, which is also what an exit or a kill comes to: it will be taken
    /// apart, at [`Input::RunDeferred`].
    Close(ProcessId),
    /// The kernel's own thread does what closes have left to do, for one open. It can stop half way
    /// ([`Driver::is_pausing`](super::Driver::is_pausing)), and goes on with the next one of these.
    RunDeferred,
}

/// The one way out: answers, and what the backend has to do.
#[derive(Debug)]
pub enum Output<F> {
    /// The number of a new open.
    Opened(ProcessId),
    /// An input that answers with success or an errno only.
    Done(Result<(), Errno>),
    /// An ioctl other than `BINDER_WRITE_READ` returns; or `poll`.
    Answered {
        /// Whose.
        thread: ThreadId,
        /// With what.
        result: Result<Answer, Errno>,
    },
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
    /// Close these numbers in the table of the calling thread: descriptors of arrays, whose buffer it freed.
    /// Whether they still are what they were is nobody's business.
    CloseFds {
        /// The thread.
        thread: ThreadId,
        /// Which numbers.
        numbers: Vec<u32>,
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
    /// What the driver just did, if it was asked to say so ([`Driver::set_tracing`](super::Driver::set_tracing)).
    Step {
        /// In whose call.
        thread: ThreadId,
        /// The kernel function that does this.
        function: &'static str,
        /// What happened, with values.
        text: String,
    },
}
