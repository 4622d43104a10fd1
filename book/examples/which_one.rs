//! Four ways to one memory, put to the same questions: what each lets in, gives away and leaves behind.
//!
//! Run it: `cargo run --example which_one`
//!
//! What to look for: no way answers all questions well. Whatever has a name can be found by it, and stays when its
//! users are gone. A descriptor has to be given, and then says what can be done to it, and by whom it was given.
//! POSIX's name is the memory of the one under the rules of the other.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read as _};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use fd_shm::{FixedFd, Region, Seals, scm_rights};
use rustix::fs::{Mode, OFlags, SealFlags, fchmod, fcntl_add_seals, ftruncate};
use rustix::shm;
use sysv_shm::{Key, OwnedSegment, Segment};

#[path = "support/broker.rs"]
mod broker;

#[path = "../../fd-shm/examples/support/ordinary.rs"]
mod ordinary;

#[path = "support/reaped.rs"]
mod reaped;
use reaped::Reaped;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The ways, as a receiver is told which to go.
const WAYS: [&str; 4] = [SYSTEM_V, POSIX, DESCRIPTOR, BINDER];
const SYSTEM_V: &str = "System V";
const POSIX: &str = "POSIX name";
const DESCRIPTOR: &str = "descriptor";
const BINDER: &str = "Binder";

// The questions.
const MEET: &str = "two that were started apart meet";
const WHOSE: &str = "the receiver learns whose it is";
const LOOK: &str = "it can be given to look at only";
const CUT: &str = "it can be cut under the receiver";
const SURE: &str = "the receiver can be sure that it is not";
const KILLED: &str = "its processes are all killed";
const SEEN: &str = "it is listed";
const QUESTIONS: [&str; 7] = [MEET, WHOSE, LOOK, CUT, SURE, KILLED, SEEN];

/// What both sides of System V know.
const KEY: Key = Key::new(0x3357_0017);
/// The bytes of the memory, and the first of its words.
const SIZE: usize = 4096;
const WORD: u32 = 42;
/// What a descriptor's memory is called, for those who list it.
const LABEL: &str = "which-one";

// ANCHOR: memory
/// What a way leads to.
enum Memory {
    /// A System V segment.
    Segment(Segment),
    /// An open file: of all other ways.
    File(OwnedFd),
}

/// The giver's: made, with a word in it, and with what has to be removed again.
enum Made {
    Segment(OwnedSegment),
    Named(Named),
    Region(Region),
}

/// A file in /dev/shm, whose name is removed when dropped.
struct Named {
    name: String,
    file: OwnedFd,
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = shm::unlink(&self.name); // where it has been removed already, there is nothing to do
    }
}

impl Made {
    fn new(way: &str, name: &str) -> Result<Self> {
        match way {
            SYSTEM_V => {
                let segment = Segment::create_new(KEY, SIZE)?.remove_on_drop();
                segment.attach::<AtomicU32>()?.store(WORD, Ordering::Relaxed);
                Ok(Self::Segment(segment))
            }
            POSIX => {
                let new = shm::OFlags::CREATE | shm::OFlags::EXCL | shm::OFlags::RDWR;
                let file = shm::open(name, new, Mode::RUSR | Mode::WUSR)?;
                let named = Named { name: name.into(), file };
                ftruncate(&named.file, SIZE as u64)?;
                rustix::io::pwrite(&named.file, &WORD.to_ne_bytes(), 0)?;
                Ok(Self::Named(named))
            }
            _ => {
                let region = Region::create(LABEL, SIZE)?;
                region.map::<AtomicU32>()?.store(WORD, Ordering::Relaxed);
                Ok(Self::Region(region))
            }
        }
    }
}
// ANCHOR_END: memory

// ANCHOR: giver
impl Made {
    /// What can be done so that others look and do not write.
    fn close_to_writers(&self) -> Result<()> {
        match self {
            Self::Segment(segment) => segment.set_mode(0o400)?,
            Self::Named(named) => fchmod(&named.file, Mode::RUSR)?,
            Self::Region(region) => fcntl_add_seals(region, SealFlags::FUTURE_WRITE)?,
        }
        Ok(())
    }

    /// Makes it smaller, if there is a way to.
    fn cut(&self) -> Result<()> {
        match self {
            // There is no call for it; and the file that it is to the kernel is not to be opened.
            Self::Segment(segment) => {
                let attached = segment.attach::<AtomicU32>()?;
                let at = std::ptr::from_ref(&*attached).addr();
                let file = format!("/proc/self/map_files/{at:x}-{:x}", at + SIZE);
                drop(fs::File::options().write(true).open(file).map(|file| file.set_len(0)));
            }
            Self::Named(named) => ftruncate(&named.file, 0)?,
            Self::Region(region) => drop(ftruncate(region, 0)),
        }
        Ok(())
    }
}

/// Gives it away, and returns what the receiver, a child, says to the question.
fn ask(way: &str, question: &str) -> Result<String> {
    let name = format!("/{LABEL}-{}", std::process::id());
    if question == KILLED {
        return after_a_kill(way, &name);
    }
    let made = Made::new(way, &name)?;
    if question == LOOK {
        made.close_to_writers()?;
    }
    let (ours, theirs) = UnixStream::pair()?;
    let mut receiver = Command::new("/proc/self/exe");
    receiver.args(["receiver", way, question, &name]).stdout(Stdio::piped());
    // Who was started apart, and who only looks around, has nothing of ours.
    receiver.stdin(if [MEET, SEEN].contains(&question) {
        Stdio::null()
    } else {
        OwnedFd::from(theirs).into()
    });
    let mut child = Reaped(receiver.spawn()?);
    if let (Made::Region(region), true) = (&made, ![MEET, SEEN].contains(&question)) {
        scm_rights::send(&ours, b".", &[region.as_fd()])?;
    }
    let mut output = BufReader::new(child.0.stdout.take().ok_or("the receiver has no output")?);
    let mut answer = String::new();
    output.read_line(&mut answer)?;
    if answer.trim() == ARRIVED {
        made.cut()?;
        drop(ours); // which it waits for
        answer.clear();
        output.read_to_string(&mut answer)?;
    }
    match child.0.wait()?.code() {
        Some(0) => Ok(answer.trim().to_owned()),
        code => Err(format!("the receiver by {way} ended with {code:?} when asked: {question}").into()),
    }
}
// ANCHOR_END: giver

// ANCHOR: receiver
/// Gets hold of the memory, knowing what one is to know of such a way: a key, a name, or a socket.
fn obtain(way: &str, name: &str, socket: &UnixStream) -> Result<Memory> {
    Ok(match way {
        SYSTEM_V => Memory::Segment(Segment::open(KEY, SIZE)?),
        POSIX => Memory::File(shm::open(name, shm::OFlags::RDONLY, Mode::empty())?),
        _ => {
            let [fd] = scm_rights::receive(socket, &mut [0], 1)?.into_exactly()?;
            Memory::File(if way == BINDER { broker::carry(fd)? } else { fd })
        }
    })
}

impl Memory {
    /// Writes by whatever means a process of the same user has.
    fn write(&self) -> Result<()> {
        match self {
            Self::Segment(segment) => {
                segment.set_mode(0o600)?;
                segment.attach::<AtomicU32>()?.store(WORD + 1, Ordering::Relaxed);
            }
            Self::File(file) => {
                fchmod(file, Mode::RUSR | Mode::WUSR)?;
                let again = format!("/proc/self/fd/{}", file.as_raw_fd());
                let again = rustix::fs::open(again, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
                fs::File::from(again).write_all_at(&WORD.to_ne_bytes(), 0)?;
            }
        }
        Ok(())
    }

    /// How many bytes it has now.
    fn size(&self) -> Result<usize> {
        Ok(match self {
            Self::Segment(segment) => segment.stat()?.size,
            Self::File(file) => usize::try_from(rustix::fs::fstat(file)?.st_size)?,
        })
    }

    /// Whether it is known to be one that nobody can make smaller.
    fn proves_fixed(self) -> Result<bool> {
        match self {
            Self::Segment(segment) => Ok(segment.attach::<AtomicU32>().is_ok()),
            Self::File(file) => match FixedFd::new(file) {
                Ok(fixed) => Ok(fixed.seals()?.contains(Seals::SHRINK)),
                Err(refused) if refused.is_shrinkable() => Ok(false),
                Err(other) => Err(other.into()),
            },
        }
    }
}

/// Answers a question by trying.
fn answer(way: &str, question: &str, name: &str) -> Result<String> {
    let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    Ok(match question {
        MEET => meet(way, name).into(),
        WHOSE => whose(way, &obtain(way, name, &socket)?, &socket)?.into(),
        LOOK => match obtain(way, name, &socket)?.write() {
            Ok(()) => "no: its user lets himself write again".into(),
            Err(refused) if is_sealed(&*refused) => "yes, by a seal".into(),
            Err(other) => return Err(other),
        },
        CUT => {
            let memory = obtain(way, name, &socket)?;
            println!("{ARRIVED}");
            (&socket).read_to_end(&mut Vec::new())?; // until it has been tried
            if memory.size()? < SIZE { "yes" } else { "no" }.into()
        }
        SURE => if obtain(way, name, &socket)?.proves_fixed()? { "yes" } else { "no" }.into(),
        _ => seen(name)?.into(),
    })
}
// ANCHOR_END: receiver

/// What the receiver of a question about a change says when it is ready for it.
const ARRIVED: &str = "arrived";

/// Whether it is a seal that has refused: no mode bit says EPERM.
fn is_sealed(refused: &(dyn Error + 'static)) -> bool {
    let errno = refused.downcast_ref().and_then(std::io::Error::raw_os_error);
    errno.is_some_and(|errno| errno == rustix::io::Errno::PERM.raw_os_error())
}

/// What a process that has nothing of the other's can say to be let in.
fn meet(way: &str, name: &str) -> &'static str {
    match way {
        SYSTEM_V if Segment::open(KEY, SIZE).is_ok() => "by the key",
        POSIX if shm::open(name, shm::OFlags::RDWR, Mode::empty()).is_ok() => "by the name",
        BINDER if broker::meets_by_name().is_ok_and(|meets| meets) => "by a name, if a manager has it",
        _ => "no: somebody has to connect them",
    }
}

/// What can be learnt of the giver, if it is true.
fn whose(way: &str, memory: &Memory, socket: &UnixStream) -> Result<&'static str> {
    let (pid, uid) = (std::os::unix::process::parent_id(), rustix::process::geteuid().as_raw());
    Ok(match memory {
        Memory::Segment(segment) => {
            let made = segment.stat()?;
            if (made.creator_pid, made.creator_uid) == (pid, uid) { "pid and uid of its maker" } else { "no" }
        }
        Memory::File(_) if way == BINDER => {
            if broker::tells_who_calls()? {
                "pid and uid of who calls"
            } else {
                "no"
            }
        }
        Memory::File(_) if way == DESCRIPTOR => {
            let peer = rustix::net::sockopt::socket_peercred(socket)?;
            let peer = (peer.pid.as_raw_nonzero().get().unsigned_abs(), peer.uid.as_raw());
            if peer == (pid, uid) { "pid and uid of the socket's other end" } else { "no" }
        }
        Memory::File(file) => {
            if rustix::fs::fstat(file)?.st_uid == uid {
                "uid of its owner"
            } else {
                "no"
            }
        }
    })
}

/// Where a process that was told nothing finds it.
fn seen(name: &str) -> Result<&'static str> {
    let holder = format!("/proc/{}/fd", std::os::unix::process::parent_id());
    let is_it = |entry: fs::DirEntry| {
        fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("/memfd:which-one"))
    };
    Ok(if sysv_shm::segments()?.iter().any(|segment| segment.key == KEY) {
        "in /proc/sysvipc/shm"
    } else if fs::read_dir("/dev/shm")?.flatten().any(|entry| entry.file_name() == name[1..]) {
        "in /dev/shm"
    } else if fs::read_dir(holder)?.flatten().any(is_it) {
        "among its holder's descriptors only"
    } else {
        "nowhere"
    })
}

// ANCHOR: killed
/// What is left when the only process that has the memory was killed.
fn after_a_kill(way: &str, name: &str) -> Result<String> {
    if way == BINDER {
        return Ok(if broker::holds_after_a_kill()? { STAYS } else { GOES }.into());
    }
    let maker = Command::new("/proc/self/exe").args(["maker", way, name]).stdout(Stdio::piped()).spawn()?;
    let mut maker = Reaped(maker);
    let mut inode = String::new();
    BufReader::new(maker.0.stdout.take().ok_or("the maker has no output")?).read_line(&mut inode)?;
    let inode: u64 = inode.trim().parse().map_err(|_| format!("the maker of {way} failed"))?;
    drop(maker);
    let is_left = match way {
        SYSTEM_V => Segment::open(KEY, SIZE).and_then(Segment::remove).is_ok(),
        POSIX => shm::unlink(name).is_ok(),
        _ => is_held(inode)?,
    };
    Ok(if is_left { STAYS } else { GOES }.into())
}

/// Makes it, says its inode, and waits to be killed.
fn maker(way: &str, name: &str) -> Result<()> {
    let made = Made::new(way, name)?;
    let inode = match &made {
        Made::Segment(_) => 0, // it is found by its key
        Made::Named(named) => rustix::fs::fstat(&named.file)?.st_ino,
        Made::Region(region) => rustix::fs::fstat(region)?.st_ino,
    };
    println!("{inode}");
    loop {
        std::thread::park();
    }
}
// ANCHOR_END: killed

const STAYS: &str = "it stays, until somebody removes it";
const GOES: &str = "it goes with them";

/// Whether some process that this user can look into has an open file with this inode.
fn is_held(inode: u64) -> Result<bool> {
    let is_it = |entry: fs::DirEntry| fs::metadata(entry.path()).is_ok_and(|file| file.ino() == inode);
    let tables =
        fs::read_dir("/proc")?.flatten().filter_map(|process| fs::read_dir(process.path().join("fd")).ok());
    Ok(tables.flatten().flatten().any(is_it))
}

fn run() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => {
            if let Some(reason) = ordinary::obstacle()? {
                println!("not shown here: {reason}");
                return Ok(ExitCode::from(77)); // the book keeps the committed output then
            }
            println!("Both sides are one user's, and neither has any capability.");
            for question in QUESTIONS {
                println!("\n{question}");
                for way in WAYS {
                    println!("  {way:12} {}", ask(way, question)?);
                }
            }
        }
        ["receiver", way, question, name] => println!("{}", answer(way, question, name)?),
        ["maker", way, name] => maker(way, name)?,
        _ => return Err("say nothing: the others are started by the program itself".into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("which_one: {error}");
        ExitCode::FAILURE
    })
}
