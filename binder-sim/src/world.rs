//! Processes around the driver, all in memory: names, tables of descriptors, and who runs next.
//!
//! The world is the backend that needs no kernel. It keeps the tables, looks numbers up when a process makes a
//! call, and does what the driver asks for; it decides nothing else. A process is told of a result when its call
//! returns, never earlier.

mod backend;
mod check;
mod device;
mod file;
mod notes;
mod opens;
mod pair;
mod process;
mod serve;

pub use file::File;
pub(crate) use opens::{MAPPING_BASE, MAPPING_STEP, PAGE};
pub use pair::RoundTrip;
pub use process::{Caller, Pid};

use crate::driver::{Driver, Input, ProcessId, Profile, ThreadId, Translation, WriteRead};
use crate::errno::Errno;
use crate::error::Error;
use crate::fd_table::FdTable;
use crate::protocol::Answer;
use crate::trace::Trace;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use file::Watch;
use process::Process;

/// An open of the device, as the world remembers it.
#[derive(Debug)]
struct Open<T> {
    /// The driver's number for it.
    id: ProcessId,
    /// Who opened it.
    opener: Pid,
    /// Whether any number, or any message, still holds it.
    watch: Watch<T>,
    /// Nobody does, and the driver knows.
    is_closed: bool,
    /// Nobody does, but a thread is inside a call of it: it goes when the call returns.
    is_left: bool,
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
/// assert!(world.write_read(client, vec![Command::Transaction(call)], Read::NONE)?.is_some());
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
    processes: Vec<Process<T>>,
    /// The opens, by [`ProcessId::index`].
    opens: Vec<Open<T>>,
    /// The threads that may go on, in the order in which they were woken.
    ready: VecDeque<ThreadId>,
    /// What came out of calls and has not been asked for.
    returned: Vec<(ThreadId, WriteRead)>,
    /// What came out of other ioctls and has not been asked for.
    answered: Vec<(ThreadId, Result<Answer, Errno>)>,
    /// The driver's number for the last open.
    opened: Option<ProcessId>,
    /// The last answer of the driver to an input that is answered at once.
    done: Option<Result<(), Errno>>,
    /// Files that a thread has let go of inside a call: they go when it returns (`task_work`).
    closing: Vec<(ThreadId, File<T>)>,
    /// Every file that was opened, for the count.
    ledger: Vec<Watch<T>>,
    /// What closes have left to do is done at once.
    is_eager: bool,
    /// A release waits, and others run meanwhile.
    is_pausing: bool,
    /// A device has been sent to somebody: its last reference may go with a message.
    devices_travel: bool,
    /// What happened, if it is being written down.
    trace: Option<Trace>,
}

impl<T> World<T> {
    /// A machine without processes, with the newest kernel's driver.
    pub fn new(translation: Translation) -> World<T> {
        World::with_profile(Profile::default(), translation)
    }

    /// A machine without processes, with the driver of the kernel `profile`.
    pub fn with_profile(profile: Profile, translation: Translation) -> World<T> {
        World {
            driver: Driver::new(profile, translation),
            processes: Vec::new(),
            opens: Vec::new(),
            ready: VecDeque::new(),
            returned: Vec::new(),
            answered: Vec::new(),
            opened: None,
            done: None,
            closing: Vec::new(),
            ledger: Vec::new(),
            is_eager: true,
            is_pausing: false,
            devices_travel: false,
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

    /// `fork`: a process with a copy of the table of `parent`. Opens of the device are shared, mappings are not.
    ///
    /// # Errors
    /// `ESRCH`: no such process.
    pub fn fork(&mut self, parent: Pid, name: &str) -> Result<Pid, Error> {
        let table = self.table_mut(parent, &|| format!("fork(pid {parent})"))?.clone();
        let (device_fd, euid) = {
            let parent = &self.processes[parent.index()];
            (parent.device_fd, parent.euid)
        };
        let child = self.spawn_as(name, euid);
        let process = &mut self.processes[child.index()];
        (process.table, process.device_fd) = (Some(table), device_fd);
        Ok(child)
    }

    /// The name of a process.
    pub fn name(&self, pid: Pid) -> &str {
        self.processes.get(pid.index()).map_or("(nobody)", |process| &process.name)
    }

    /// The first process with this name.
    pub fn pid(&self, name: &str) -> Option<Pid> {
        self.processes.iter().position(|process| process.name == name).map(Pid::from_index)
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
        self.install_new(pid, File::new(label, content))
    }

    /// `open(label, O_PATH)`: a number that cannot be handed to anybody.
    ///
    /// # Errors
    /// `ESRCH`: no such process. `EMFILE`: its table is full.
    pub fn open_path(&mut self, pid: Pid, label: &str) -> Result<u32, Error> {
        self.install_new(pid, File::path(label))
    }

    /// Opens a file under exactly this number.
    ///
    /// # Errors
    /// `ESRCH`: no such process. `EBADF`: at or above the limit. `EBUSY`: in use.
    pub fn open_at(&mut self, pid: Pid, fd: u32, label: &str, content: T) -> Result<(), Error> {
        self.place_new(pid, fd, File::new(label, content))
    }

    /// Opens a file with `O_PATH` under exactly this number.
    ///
    /// # Errors
    /// As [`open_at`](World::open_at).
    pub fn open_path_at(&mut self, pid: Pid, fd: u32, label: &str) -> Result<(), Error> {
        self.place_new(pid, fd, File::path(label))
    }

    /// `dup(fd)`: another number for the same open file, the lowest free one.
    ///
    /// # Errors
    /// `ESRCH`: no such process. `EBADF`: nothing is open there. `EMFILE`: its table is full.
    pub fn dup(&mut self, pid: Pid, fd: u32) -> Result<u32, Error> {
        let call = || format!("dup(pid {pid}, {fd})");
        let table = self.table_mut(pid, &call)?;
        let file = table.get(fd).cloned().ok_or(Errno::EBADF);
        let dup = file.and_then(|file| {
            let number = table.get_unused_fd_flags()?;
            Ok(table.fd_install(number, file, false))
        });
        dup.map_err(|errno| Error::new(call(), errno, "nothing is open there, or every number is in use"))
    }

    /// `close(fd)`. Of a device, its threads come back from their reads; with the last number it is released.
    ///
    /// # Errors
    /// `ESRCH`: no such process. `EBADF`: nothing is open there.
    pub fn close(&mut self, pid: Pid, fd: u32) -> Result<(), Error> {
        let call = || format!("close(pid {pid}, {fd})");
        let bad = |errno| Error::new(call(), errno, "nothing is open under this number");
        let file = self.table_mut(pid, &call)?.close(fd).map_err(bad)?;
        if file.as_device().is_some() {
            self.closed_device(file);
            self.run_eagerly();
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

    /// `exit`, or a kill: every number is closed, the device's among them; calls that wait never return.
    ///
    /// # Errors
    /// `ESRCH`: no such process, or it has exited.
    pub fn exit(&mut self, pid: Pid) -> Result<(), Error> {
        self.table_mut(pid, &|| format!("exit(pid {pid})"))?;
        let process = &mut self.processes[pid.index()];
        process.device_fd = None;
        let (mapped, Some(table)) = (core::mem::take(&mut process.mappings), process.table.take()) else {
            return Ok(());
        };
        let devices = table.iter().map(|(_, file)| file).filter(|file| file.as_device().is_some());
        let devices: Vec<File<T>> = devices.cloned().collect();
        drop(table);
        self.kill_threads(pid);
        self.handle(Input::Exited(pid.raw()));
        // Memory goes before numbers.
        mapped.into_iter().for_each(|device| self.unmapped(device));
        devices.into_iter().for_each(|device| self.closed_device(device));
        self.run_eagerly();
        Ok(())
    }

    /// Begins to write down what happens; the tables of these are followed.
    pub fn trace(&mut self, processes: &[Pid]) {
        let tables = processes.iter().map(|&pid| (self.name(pid).into(), self.rows_of(pid))).collect();
        self.driver.set_tracing(true);
        self.trace = Some(Trace::new(self.driver.translation(), tables));
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

    /// The table of a live process.
    fn table_mut(&mut self, pid: Pid, call: &dyn Fn() -> String) -> Result<&mut FdTable<File<T>>, Error> {
        let gone = || Error::new(call(), Errno::ESRCH, "there is no such process, or it has exited");
        self.processes.get_mut(pid.index()).and_then(|process| process.table.as_mut()).ok_or_else(gone)
    }

    /// A file that was just opened gets the lowest free number.
    fn install_new(&mut self, pid: Pid, file: File<T>) -> Result<u32, Error> {
        let call = || format!("open(pid {pid}, {:?})", file.label());
        self.watch(&file);
        let table = self.table_mut(pid, &call)?;
        let full = |errno| Error::new(call(), errno, "every number below the limit is in use");
        let number = table.get_unused_fd_flags().map_err(full)?;
        Ok(table.fd_install(number, file, false))
    }

    /// A file that was just opened gets this number.
    fn place_new(&mut self, pid: Pid, fd: u32, file: File<T>) -> Result<(), Error> {
        let call = || format!("open_at(pid {pid}, {fd}, {:?})", file.label());
        self.watch(&file);
        let taken = |errno| Error::new(call(), errno, "the number is in use, or not below the limit");
        self.table_mut(pid, &call)?.open_at(fd, file.clone()).map_err(taken)
    }

    /// Remembers a file, for the count.
    fn watch(&mut self, file: &File<T>) {
        if self.ledger.len() == self.ledger.capacity() {
            self.ledger.retain(|watch| watch.references() > 0);
        }
        self.ledger.push(file.watch());
    }
}
