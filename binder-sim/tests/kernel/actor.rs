//! A process of a script: a real one, with real threads, that does what the stage says.

#![allow(unsafe_code)]

use crate::arena::Guarded;
use crate::ioctl::ioctl;
use crate::reply::{Descriptor, Exchange, Hello, Order, Reply, receive, send};
use crate::signal::hear_signals;
use binder_sim::client::{Client, Mapping, WriteRead};
use binder_sim::driver::Read;
use binder_sim::protocol::Return;
use binder_sim::script::{Action, Actor, Encoded, Say, Script, Step, device_name};
use binder_sim::wire::{self, Arena, Memory, br};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::libc;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, rlim_t, setrlimit};
use nix::sys::stat::{Mode, SFlag, fstat, major};
use nix::unistd::{Pid, Uid, Whence, close, gettid, lseek, setresuid};
use std::borrow::Cow;
use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

/// Numbers from here on are the machinery's: no script has so high a limit.
pub(crate) const HIGH: RawFd = 1000;

/// The major number of character devices that belong to nobody in particular, Binder's among them.
const MISC: u64 = 10;

/// What an actor is given when it begins.
#[derive(Debug)]
pub(crate) struct Given {
    /// Who it is.
    pub(crate) actor: Actor,
    /// A stream to the stage for each of its threads.
    pub(crate) streams: Vec<UnixStream>,
    /// Every file of the script; it may open those that it is told to.
    pub(crate) files: Vec<Option<OwnedFd>>,
    /// Which of them are open from the start, and under which number.
    pub(crate) open: Vec<(u32, usize)>,
}

/// An open of the device.
#[derive(Debug)]
struct Open {
    /// Its numbers.
    fds: Vec<RawFd>,
    /// Its mapping.
    mapping: Option<Mapping>,
}

/// What the threads of an actor share.
#[derive(Debug)]
struct Shared {
    /// Its opens, in the order in which they were made.
    opens: Vec<Open>,
    /// The files that it may still open.
    files: Vec<Option<OwnedFd>>,
}

/// One thread of an actor.
#[derive(Debug)]
struct Thread {
    /// What all share.
    shared: Arc<Mutex<Shared>>,
    /// Payloads on their way.
    arena: Guarded,
}

/// A descriptor by its number.
fn borrowed<'a>(fd: RawFd) -> BorrowedFd<'a> {
    // SAFETY: whether the number is open is what the script asks; it is used for one call, which says so.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// Moves a descriptor out of the script's way.
fn raised(fd: &impl std::os::fd::AsFd) -> OwnedFd {
    let fd = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(HIGH)).expect("a high number");
    // SAFETY: the number was made in the line above.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Becomes the actor, and ends when the stage closes its stream.
pub(crate) fn play(given: Given) -> ! {
    let Given { actor, streams, files, open: initial } = given;
    let keep = |file: Option<OwnedFd>| file.map(|file| raised(&file));
    let streams: Vec<UnixStream> = streams.iter().map(|stream| raised(stream).into()).collect();
    let files: Vec<_> = files.into_iter().map(keep).collect();
    // What was inherited lies below; the numbers belong to values that nobody uses any more.
    for fd in 0..HIGH {
        if close(fd) == Err(Errno::EBADF) && fd > 64 {
            break;
        }
    }
    let null = open("/dev/null", OFlag::O_RDWR, Mode::empty()).expect("/dev/null");
    let null = ManuallyDrop::new(null);
    for fd in 1..3 {
        install(&*null, fd);
    }
    let mut shared = Shared { opens: Vec::new(), files };
    for (fd, place) in initial {
        if let Some(file) = shared.files.get_mut(place).and_then(Option::take) {
            install(&file, RawFd::try_from(fd).expect("a small number"));
        }
    }
    setrlimit(Resource::RLIMIT_NOFILE, actor.limit.into(), HIGH_LIMIT).expect("root may");
    take_turns();
    hear_signals();
    let uid = Uid::from_raw(actor.euid);
    setresuid(uid, uid, uid).expect("root may");
    let shared = Arc::new(Mutex::new(shared));
    let threads: Vec<_> = streams
        .into_iter()
        .map(|stream| {
            let thread = Thread { shared: Arc::clone(&shared), arena: Guarded::new() };
            std::thread::spawn(move || serve(thread, stream))
        })
        .collect();
    // The stage kills an actor that waits in a call; the others end with their streams.
    threads.into_iter().for_each(|thread| drop(thread.join()));
    std::process::exit(0);
}

/// Has all actors share one processor, on which a woken thread does not push the running one aside: what a
/// call wakes runs when the call is over, as it does in a world. A release that the driver does by itself
/// is above them all.
fn take_turns() {
    let mut first = CpuSet::new();
    first.set(0).expect("there is a first processor");
    sched_setaffinity(Pid::from_raw(0), &first).expect("root may");
    let batch = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call reads one such structure, where one lies.
    let set = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const batch) };
    Errno::result(set).expect("root may");
}

/// The hard limit stays where the machinery's numbers are.
const HIGH_LIMIT: rlim_t = 4096;

/// Puts an open file under a number.
fn install(file: &impl std::os::fd::AsFd, fd: RawFd) {
    // SAFETY: the number is free, or /dev/null's.
    let placed = unsafe { nix::unistd::dup2_raw(file, fd) }.expect("a number of the script");
    std::mem::forget(placed);
}

/// Does what the stage says, until it hangs up.
fn serve(mut thread: Thread, mut stream: UnixStream) {
    let mut said = send(&mut stream, &Hello { tid: gettid().as_raw() });
    while said.is_ok() {
        let Ok(order) = receive::<Order>(&mut stream) else { return };
        let reply = thread.step(&order);
        said = send(&mut stream, &reply);
    }
}

/// Success, or the errno.
fn done(result: Result<(), Errno>) -> Reply {
    result.map_or_else(|errno| Reply::Failed(errno as i32), |()| Reply::Done)
}

/// The errno of a call of the device.
fn errno(error: binder_sim::client::Error) -> Errno {
    error.errno()
}

impl Thread {
    /// Does one step.
    fn step(&mut self, order: &Order) -> Reply {
        let script: Script = order.script.parse().expect("the stage wrote it");
        let step = &script.steps[0];
        match self.act(step, order.number) {
            Ok(reply) => reply,
            Err(errno) => Reply::Failed(errno as i32),
        }
    }

    /// Does what a step says that is not about the device.
    fn act(&mut self, step: &Step, number: u32) -> Result<Reply, Errno> {
        match &step.action {
            Action::OpenDevice(device) => {
                let path = format!("/dev/{}", device_name(*device));
                let client = Client::open(path.as_ref()).map_err(errno)?;
                let fd = OwnedFd::from(client);
                let number = fd.as_raw_fd();
                std::mem::forget(fd);
                self.shared().opens.push(Open { fds: vec![number], mapping: None });
                Ok(Reply::Fd(number.cast_unsigned()))
            }
            Action::Open(..) => {
                let place = number as usize;
                let file = self.shared().files.get_mut(place).and_then(Option::take).ok_or(Errno::ENOENT)?;
                let fd = fcntl(&file, FcntlArg::F_DUPFD(0))?;
                Ok(Reply::Fd(fd.cast_unsigned()))
            }
            Action::Close(fd) => {
                let fd = fd.cast_signed();
                close(fd)?;
                self.shared().opens.iter_mut().for_each(|open| open.fds.retain(|&known| known != fd));
                Ok(Reply::Done)
            }
            Action::Dup(fd) => {
                let fd = fd.cast_signed();
                let copy = fcntl(borrowed(fd), FcntlArg::F_DUPFD(0))?;
                let mut shared = self.shared();
                if let Some(open) = shared.opens.iter_mut().find(|open| open.fds.contains(&fd)) {
                    open.fds.push(copy);
                }
                Ok(Reply::Fd(copy.cast_unsigned()))
            }
            Action::SetLimit(limit) => {
                Ok(done(setrlimit(Resource::RLIMIT_NOFILE, (*limit).into(), HIGH_LIMIT)))
            }
            // Of all its threads, as glibc does it; the saved one stays, so that it can be changed back.
            Action::SetEuid(euid) => {
                let same = Uid::from_raw(u32::MAX);
                Ok(done(setresuid(same, Uid::from_raw(*euid), same)))
            }
            Action::Table => Ok(Reply::Table((0..HIGH).filter_map(describe).collect())),
            _ => self.call(step, number),
        }
    }

    /// What all threads share.
    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().expect("no thread panics")
    }

    /// The open that a step uses, by its place, if it is one of the actor's own, and a number of it.
    fn open(&self, step: &Step) -> Result<(Option<usize>, RawFd), Errno> {
        let shared = self.shared();
        let said = step.device.map(u32::cast_signed);
        let is_it = |open: &Open| match said {
            Some(fd) => open.fds.contains(&fd),
            None => !open.fds.is_empty() || open.mapping.is_some(),
        };
        let place = shared.opens.iter().position(is_it);
        let number = match place {
            // A number that is closed: the kernel says EBADF.
            Some(place) => shared.opens[place].fds.first().copied().unwrap_or(-1),
            None => said.ok_or(Errno::EBADF)?,
        };
        Ok((place, number))
    }

    /// The mapping of an open of the actor's own.
    fn mapping(shared: &Shared, place: Option<usize>) -> Option<&Mapping> {
        shared.opens.get(place?)?.mapping.as_ref()
    }

    /// A call of the device.
    fn call(&mut self, step: &Step, number: u32) -> Result<Reply, Errno> {
        let (place, fd) = self.open(step)?;
        if let (&Action::Munmap(behind), Some(place)) = (&step.action, place) {
            let mut shared = self.shared();
            let mapping = &mut shared.opens[place].mapping;
            let unmap = |whole: &mut Option<Mapping>| whole.take().map(drop).ok_or(Errno::EINVAL);
            let shrink = |part: &mut Mapping| part.shrink(behind);
            return Ok(done(match behind {
                0 => unmap(mapping),
                _ => mapping.as_mut().ok_or(Errno::EINVAL).and_then(shrink),
            }));
        }
        if fd < 0 {
            return Err(Errno::EBADF);
        }
        let stat = fstat(borrowed(fd))?;
        if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFCHR.bits() || major(stat.st_rdev) != MISC {
            return Ok(Reply::Text("no device".into()));
        }
        // SAFETY: the number is the device's; it is not closed here, because the value is never dropped.
        let client = ManuallyDrop::new(Client::from(unsafe { OwnedFd::from_raw_fd(fd) }));
        match &step.action {
            Action::Mmap { size, writable: false } => {
                let mapping = client.mmap(*size).map_err(errno)?;
                match place {
                    Some(place) => self.shared().opens[place].mapping = Some(mapping),
                    // Through a number that was sent: nothing unmaps it, but the end.
                    None => std::mem::forget(mapping),
                }
                Ok(Reply::Done)
            }
            Action::Mmap { size, writable: true } => {
                let size = std::num::NonZeroUsize::new(*size).ok_or(Errno::EINVAL)?;
                let both = nix::sys::mman::ProtFlags::PROT_READ | nix::sys::mman::ProtFlags::PROT_WRITE;
                let flags = nix::sys::mman::MapFlags::MAP_PRIVATE;
                // SAFETY: the kernel chooses where, and is expected to refuse.
                let mapped = unsafe { nix::sys::mman::mmap(None, size, both, flags, borrowed(fd), 0) };
                Ok(done(mapped.map(drop)))
            }
            Action::WriteRead { write, read } => Ok(self.write_read(&client, fd, place, write, *read)),
            Action::Poll => {
                let mut fds = [nix::poll::PollFd::new(borrowed(fd), nix::poll::PollFlags::POLLIN)];
                let ready = nix::poll::poll(&mut fds, nix::poll::PollTimeout::ZERO)?;
                Ok(Reply::Text(if ready > 0 { "readable" } else { "nothing to read" }.into()))
            }
            Action::Ioctl(number) => {
                let mut unused = [0_u64; 16];
                // SAFETY: whatever the number, no ioctl of the device takes more than 72 bytes.
                let result = unsafe { libc::ioctl(fd, (*number).into(), unused.as_mut_ptr()) };
                Ok(done(Errno::result(result).map(drop)))
            }
            Action::Munmap(_) => Err(Errno::EINVAL),
            action => ioctl(&client, action, number).map_err(errno),
        }
    }

    /// `ioctl(BINDER_WRITE_READ)`.
    fn write_read(
        &mut self,
        client: &Client,
        fd: RawFd,
        place: Option<usize>,
        write: &[Say],
        read: Read,
    ) -> Reply {
        let flag = if read.nonblock { OFlag::O_NONBLOCK } else { OFlag::empty() };
        if let Err(errno) = fcntl(borrowed(fd), FcntlArg::F_SETFL(OFlag::O_RDWR | flag)) {
            return Reply::Failed(errno as i32);
        }
        let base = Self::mapping(&self.shared(), place).map_or(0, Mapping::base);
        self.arena.clear();
        let Encoded { bytes, consumed } = Encoded::new(write, base, &mut self.arena);
        // What a kernel does not notice: it would write past the end.
        if (1..4).contains(&read.size) || (read.size > 0 && read.consumed > read.size) {
            return Reply::Failed(Errno::EINVAL as i32);
        }
        let room = read.size.min(read.writable.max(read.consumed));
        let ok = br::BR_OK.to_le_bytes();
        let before: Vec<u8> = (0..room).map(|at| if at < read.consumed { ok[at % 4] } else { 0 }).collect();
        let mut argument = WriteRead {
            write_size: bytes.len() as u64,
            write_consumed: consumed as u64,
            write_buffer: self.arena.put(&bytes),
            read_size: read.size as u64,
            read_consumed: read.consumed as u64,
            read_buffer: self.arena.put(&before),
        };
        let read_buffer = argument.read_buffer;
        // SAFETY: the room lies in the arena, up to a page that is not mapped for anybody.
        let result = unsafe { client.write_read_raw(&mut argument) };
        let taken = usize::try_from(argument.write_consumed).expect("few bytes");
        let came = usize::try_from(argument.read_consumed).expect("few bytes").min(room);
        let room = self.arena.look(read_buffer, came);
        let shared = self.shared();
        let memory = Logged { mapping: Self::mapping(&shared, place), log: RefCell::default() };
        let returns = wire::decode_returns(&room, &memory);
        let fds = returns.iter().filter_map(Return::delivered).flat_map(|d| d.payload.descriptors());
        let descriptors = fds.filter_map(|fd| describe(fd.cast_signed())).collect();
        Reply::Exchange(Exchange {
            errno: result.err().map_or(0, |errno| errno as i32),
            written: (bytes.len(), taken),
            read: room,
            base,
            memory: memory.log.into_inner(),
            descriptors,
        })
    }
}

/// A mapping that remembers what was looked up in it.
struct Logged<'a> {
    /// The mapping.
    mapping: Option<&'a Mapping>,
    /// What was found, by address.
    log: RefCell<Vec<(u64, Vec<u8>)>>,
}

impl Memory for Logged<'_> {
    fn read(&self, address: u64, len: u64) -> Cow<'_, [u8]> {
        let bytes = self.mapping.map_or(Cow::Borrowed(&[][..]), |mapping| mapping.read(address, len));
        self.log.borrow_mut().push((address, bytes.to_vec()));
        bytes
    }
}

/// What the kernel says of a number.
fn describe(fd: RawFd) -> Option<Descriptor> {
    let flags = fcntl(borrowed(fd), FcntlArg::F_GETFD).ok()?;
    let stat = fstat(borrowed(fd)).ok()?;
    Some(Descriptor {
        fd: fd.cast_unsigned(),
        inode: (stat.st_dev, stat.st_ino),
        cloexec: FdFlag::from_bits_truncate(flags).contains(FdFlag::FD_CLOEXEC),
        offset: lseek(borrowed(fd), 0, Whence::SeekCur).ok(),
    })
}
