//! Processes around the driver, all in memory: names, tables of descriptors, and who runs next.
//!
//! The world is the backend that needs no kernel. It keeps the tables, looks numbers up when a process makes a
//! call, and does what the driver asks for; it decides nothing else. A process is told of a result when its call
//! returns, never earlier.

mod backend;
mod check;
mod file;
mod pair;
mod process;

pub use file::File;
pub use pair::RoundTrip;
pub use process::Pid;

use crate::driver::{Device, Driver, Input, ProcessId, Read, ThreadId, Translation, WriteRead};
use crate::errno::Errno;
use crate::error::Error;
use crate::fd_table::FdTable;
use crate::protocol::{Command, ExtendedError, ObjectFlags};
use crate::trace::Trace;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use file::Watch;
use process::Process;

/// Where each process maps the device: the same everywhere, so that a page shows the same address everywhere.
const MAPPING_BASE: u64 = 0x7000_0000;

/// What the driver answered to an input that is answered at once.
#[derive(Debug)]
enum Answer {
    /// An open.
    Opened(ProcessId),
    /// Success or an errno.
    Done(Result<(), Errno>),
    /// The extended error.
    ExtendedError(ExtendedError),
}

/// A machine with Binder: processes, their tables, and one driver. `T` is what an open file is.
///
/// # Examples
/// ```
/// use binder_sim::driver::{Read, Translation};
/// use binder_sim::protocol::{Command, Object, ObjectFlags, Payload, Return, TransactionData};
/// use binder_sim::world::World;
///
/// let mut world: World = World::new(Translation::Deferred);
/// let [server, client] = ["server", "client"].map(|name| world.spawn(name));
/// for process in [server, client] {
///     world.open_device(process)?;
///     world.mmap(process, 128 << 10)?;
/// }
/// world.set_context_manager(server, ObjectFlags::ACCEPTS_FDS)?;
/// let memory = world.open(client, "memory", ())?;
///
/// let call = TransactionData::new(0, 1, Payload::objects([Object::fd(memory)]));
/// assert!(world.write_read(client, vec![Command::Transaction(call)], Read { size: 0, nonblock: true })?.is_some());
/// let read = world.write_read(server, vec![], Read::NOW)?.expect("there is something to read");
/// let Some(Return::Transaction(call)) = read.returns.last() else { panic!("{read:?}") };
/// assert!(matches!(call.payload.objects[0].object, Object::Fd { fd: 1, .. }), "the server's lowest free number");
/// world.check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct World<T = ()> {
    /// The driver.
    driver: Driver<File<T>>,
    /// The processes; a pid is a place in this list, counted from [`Pid::FIRST`].
    processes: Vec<Process<File<T>>>,
    /// For each open, by [`ProcessId::index`], whose it is.
    openers: Vec<Pid>,
    /// The threads that may go on, in the order in which they were woken.
    ready: VecDeque<ThreadId>,
    /// What came out of calls and has not been asked for.
    returned: Vec<(ThreadId, WriteRead)>,
    /// The last answer of the driver to an input that is answered at once.
    answer: Option<Answer>,
    /// Every file that was opened, for the count.
    ledger: Vec<Watch<T>>,
    /// What happened, if it is being written down.
    trace: Option<Trace>,
}

impl<T> World<T> {
    /// A machine without processes.
    pub fn new(translation: Translation) -> World<T> {
        World {
            driver: Driver::new(translation),
            processes: Vec::new(),
            openers: Vec::new(),
            ready: VecDeque::new(),
            returned: Vec::new(),
            answer: None,
            ledger: Vec::new(),
            trace: None,
        }
    }

    /// Starts a process with an empty table, as root.
    pub fn spawn(&mut self, name: &str) -> Pid {
        self.spawn_as(name, 0)
    }

    /// Starts a process with an empty table, under this uid.
    pub fn spawn_as(&mut self, name: &str, euid: u32) -> Pid {
        let pid = Pid::from_index(self.processes.len());
        self.processes.push(Process::new(name, euid));
        pid
    }

    /// The name of a process.
    pub fn name(&self, pid: Pid) -> &str {
        self.processes.get(pid.index()).map_or("(nobody)", |process| &process.name)
    }

    /// The table of a process; none once it has exited.
    pub fn table(&self, pid: Pid) -> Option<&FdTable<File<T>>> {
        self.processes.get(pid.index())?.table.as_ref()
    }

    /// `open(label)`: a new open file under the lowest free number.
    ///
    /// # Errors
    /// `ESRCH`: no such process. `EMFILE`: its table is full.
    pub fn open(&mut self, pid: Pid, label: &str, content: T) -> Result<u32, Error> {
        let call = || format!("open(pid {pid}, {label:?})");
        let file = File::new(label, content);
        self.watch(&file);
        let table = self.table_mut(pid, &call)?;
        let full = |errno| Error::new(call(), errno, "every number below the limit is in use");
        let number = table.get_unused_fd_flags().map_err(full)?;
        Ok(table.fd_install(number, file, false))
    }

    /// Opens a file under exactly this number.
    ///
    /// # Errors
    /// `ESRCH`: no such process. `EBADF`: at or above the limit. `EBUSY`: in use.
    pub fn open_at(&mut self, pid: Pid, fd: u32, label: &str, content: T) -> Result<(), Error> {
        let call = || format!("open_at(pid {pid}, {fd}, {label:?})");
        let file = File::new(label, content);
        self.watch(&file);
        let taken = |errno| Error::new(call(), errno, "the number is in use, or not below the limit");
        self.table_mut(pid, &call)?.open_at(fd, file).map_err(taken)
    }

    /// `close(fd)`. Closing the device's number is the last close of that open.
    ///
    /// # Errors
    /// `ESRCH`: no such process. `EBADF`: nothing is open there.
    pub fn close(&mut self, pid: Pid, fd: u32) -> Result<(), Error> {
        let call = || format!("close(pid {pid}, {fd})");
        let bad = |errno| Error::new(call(), errno, "nothing is open under this number");
        self.table_mut(pid, &call)?.close(fd).map_err(bad)?;
        let process = &mut self.processes[pid.index()];
        if process.device_fd == Some(fd) {
            process.device_fd = None;
            self.close_device(pid);
        }
        Ok(())
    }

    /// `setrlimit(RLIMIT_NOFILE, limit)`.
    ///
    /// # Errors
    /// `ESRCH`: no such process.
    pub fn set_limit(&mut self, pid: Pid, limit: u32) -> Result<(), Error> {
        self.table_mut(pid, &|| format!("setrlimit(pid {pid}, {limit})"))?.set_limit(limit);
        Ok(())
    }

    /// `open("/dev/binder")`: takes a number, like any open file.
    ///
    /// # Errors
    /// `ESRCH`: no such process. `EBUSY`: it has the device open. `EMFILE`: its table is full.
    pub fn open_device(&mut self, pid: Pid) -> Result<u32, Error>
    where
        T: Default,
    {
        let call = || format!("open(pid {pid}, \"/dev/binder\")");
        self.table_mut(pid, &call)?;
        if self.processes[pid.index()].open.is_some() {
            return Err(Error::new(call(), Errno::EBUSY, "the process has the device open already"));
        }
        let fd = self.open(pid, "/dev/binder", T::default())?;
        let process = &mut self.processes[pid.index()];
        process.device_fd = Some(fd);
        let (device, euid, comm) = (Device::Binder, process.euid, process.name.clone());
        self.handle(Input::Open { device, pid: pid.raw(), euid, comm });
        if let Some(Answer::Opened(open)) = self.answer.take() {
            self.processes[pid.index()].open = Some(open);
            self.openers.resize(self.openers.len().max(open.index() + 1), pid);
            self.openers[open.index()] = pid;
        }
        Ok(fd)
    }

    /// `mmap` of the device: room to receive `size` bytes of transactions.
    ///
    /// # Errors
    /// `EBADF`: the device is not open. `EBUSY`: it is mapped already. `EINVAL`: `size` is 0.
    pub fn mmap(&mut self, pid: Pid, size: usize) -> Result<(), Error> {
        let call = || format!("mmap(pid {pid}, {size})");
        let process = self.device(pid, &call)?;
        self.handle(Input::Mmap { process, base: MAPPING_BASE, size });
        self.done().map_err(|errno| Error::new(call(), errno, "the device can be mapped once, with a size"))
    }

    /// `ioctl(BINDER_SET_CONTEXT_MGR_EXT)`: the process is reached as handle 0 from now on.
    ///
    /// The older `BINDER_SET_CONTEXT_MGR` is the same with [`ObjectFlags::NONE`]: such a manager can never
    /// receive a descriptor.
    ///
    /// # Errors
    /// `EBADF`: the device is not open. `EBUSY`: there is a manager. `EPERM`: the first had another uid.
    pub fn set_context_manager(&mut self, pid: Pid, flags: ObjectFlags) -> Result<(), Error> {
        let call = || format!("ioctl(pid {pid}, BINDER_SET_CONTEXT_MGR_EXT, flags {:#x})", flags.0);
        let thread = ThreadId { process: self.device(pid, &call)?, tid: pid.raw() };
        self.handle(Input::SetContextManager { thread, flags });
        self.done().map_err(|errno| Error::new(call(), errno, "one manager at a time, always of one uid"))
    }

    /// `ioctl(BINDER_GET_EXTENDED_ERROR)`: why the main thread's last transaction was refused; clears it.
    ///
    /// # Errors
    /// `EBADF`: the device is not open.
    pub fn extended_error(&mut self, pid: Pid) -> Result<ExtendedError, Error> {
        self.extended_error_of(pid, pid.raw())
    }

    /// [`extended_error`](World::extended_error) of the thread `tid`.
    ///
    /// # Errors
    /// `EBADF`: the device is not open.
    pub fn extended_error_of(&mut self, pid: Pid, tid: u32) -> Result<ExtendedError, Error> {
        let call = || format!("ioctl(pid {pid}, BINDER_GET_EXTENDED_ERROR)");
        let thread = ThreadId { process: self.device(pid, &call)?, tid };
        self.handle(Input::GetExtendedError { thread });
        match self.answer.take() {
            Some(Answer::ExtendedError(error)) => Ok(error),
            _ => Ok(ExtendedError::default()),
        }
    }

    /// `ioctl(BINDER_WRITE_READ)` of the main thread: commands, then a read. `None`: the thread waits; what comes
    /// of it is then to be had from [`take_returned`](World::take_returned).
    ///
    /// # Errors
    /// `EBADF`: the device is not open. `EBUSY`: the thread is inside a call. `EINVAL`: room for less than a
    /// return.
    pub fn write_read(
        &mut self,
        pid: Pid,
        write: Vec<Command>,
        read: Read,
    ) -> Result<Option<WriteRead>, Error> {
        self.write_read_of(pid, pid.raw(), write, read)
    }

    /// [`write_read`](World::write_read) of the thread `tid`.
    ///
    /// # Errors
    /// As there.
    pub fn write_read_of(
        &mut self,
        pid: Pid,
        tid: u32,
        write: Vec<Command>,
        read: Read,
    ) -> Result<Option<WriteRead>, Error> {
        let call = || format!("ioctl(pid {pid}, tid {tid}, BINDER_WRITE_READ)");
        let thread = ThreadId { process: self.device(pid, &call)?, tid };
        self.note_call(pid, &write, read);
        let write = self.look_up(pid, write);
        self.handle(Input::WriteRead { thread, write, read });
        let refused = "the thread is inside another call, or the room is less than a return";
        self.done().map_err(|errno| Error::new(call(), errno, refused))?;
        Ok(self.take_returned_of(thread))
    }

    /// What came out of the main thread's call that had to wait.
    pub fn take_returned(&mut self, pid: Pid) -> Option<WriteRead> {
        self.take_returned_by(pid, pid.raw())
    }

    /// What came out of the call of thread `tid` that had to wait.
    pub fn take_returned_by(&mut self, pid: Pid, tid: u32) -> Option<WriteRead> {
        let process = self.processes.get(pid.index())?.open?;
        self.take_returned_of(ThreadId { process, tid })
    }

    /// How many threads have been woken and have not run yet.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Runs the `n`-th of them (0: the first woken). Out of range: nobody runs.
    pub fn run_nth(&mut self, n: usize) {
        if let Some(thread) = self.ready.remove(n) {
            self.handle(Input::Resume(thread));
        }
    }

    /// Runs woken threads in the order in which they were woken, until none is left.
    pub fn run(&mut self) {
        while !self.ready.is_empty() {
            self.run_nth(0);
        }
    }

    /// `exit`, or a kill: every number is closed, the device's among them.
    ///
    /// # Errors
    /// `ESRCH`: no such process, or it has exited.
    pub fn exit(&mut self, pid: Pid) -> Result<(), Error> {
        self.table_mut(pid, &|| format!("exit(pid {pid})"))?;
        let process = &mut self.processes[pid.index()];
        (process.table, process.device_fd) = (None, None);
        self.close_device(pid);
        Ok(())
    }

    /// Begins to write down what happens between these two.
    pub fn trace_between(&mut self, sender: Pid, receiver: Pid) {
        let mut trace = Trace::new(self.driver.translation(), self.name(sender), self.name(receiver));
        (trace.sender_before, trace.receiver_before) = (self.rows_of(sender), self.rows_of(receiver));
        self.driver.set_tracing(true);
        self.trace = Some(trace);
    }

    /// Ends writing down; gives what has been written.
    pub fn take_trace(&mut self) -> Option<Trace> {
        self.driver.set_tracing(false);
        self.trace.take()
    }

    /// The driver, to look at.
    pub fn driver(&self) -> &Driver<File<T>> {
        &self.driver
    }

    /// The open of a process, as the driver numbers it.
    pub fn open_of(&self, pid: Pid) -> Option<ProcessId> {
        self.processes.get(pid.index())?.open
    }

    /// The table of a live process.
    fn table_mut(&mut self, pid: Pid, call: &dyn Fn() -> String) -> Result<&mut FdTable<File<T>>, Error> {
        let gone = || Error::new(call(), Errno::ESRCH, "there is no such process, or it has exited");
        self.processes.get_mut(pid.index()).and_then(|process| process.table.as_mut()).ok_or_else(gone)
    }

    /// The open of a process that has the device open.
    fn device(&self, pid: Pid, call: &dyn Fn() -> String) -> Result<ProcessId, Error> {
        self.open_of(pid).ok_or_else(|| Error::new(call(), Errno::EBADF, "the process has no open device"))
    }
}
