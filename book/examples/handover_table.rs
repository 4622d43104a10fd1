//! Every way to hand a descriptor over, put to the same questions.
//!
//! Run it: `cargo run --example handover_table`
//!
//! What to look for: where the holder has to act, nobody's permission is asked; where it need not, the kernel
//! asks what it asks of a debugger. Only /proc gives a new open file. And a full table costs a receiver
//! nothing where it pulls, and the message where it is sent one.

#![allow(unsafe_code)]

use std::error::Error;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use fd_shm::handover::{Pull, Push, inherit, inherit::Heir, pidfd, procfs};
use fd_shm::{FixedFd, Region, same_open_file, scm_rights};
use ipc_channel::TryRecvError;
use ipc_channel::ipc::{IpcOneShotServer, IpcReceiver, IpcSender, IpcSharedMemory, channel};
use nix::errno::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

#[path = "../../fd-shm/examples/support/ordinary.rs"]
mod ordinary;

#[path = "support/reaped.rs"]
mod reaped;
use reaped::Reaped;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The ways, as a receiver is told which to go.
const WAYS: [&str; 5] = ["inheritance", "SCM_RIGHTS", "pidfd_getfd", "/proc/<pid>/fd", "ipc-channel"];

// The questions.
const IDLE: &str = "the holder does nothing";
const UNDUMPABLE: &str = "the holder is undumpable";
const NUMBERS: &str = "its number there and here";
const OPEN_FILE: &str = "the open file";
const MARK: &str = "close-on-exec";
const SEALED: &str = "its size is sealed";
const FULL: &str = "the receiver's table full";

/// The answer of a receiver that has waited in vain.
const NOTHING: &str = "nothing arrives";

/// The name under which a child inherits.
const NAME: &str = "HANDED_DOWN";

/// How the kernel lists a memory file of ipc-channel's.
const THEIRS: &str = "/memfd:/ipc-channel-shared-memory.";

/// The exit code of a Rust program that panicked.
const PANICKED: i32 = 101;

// ANCHOR: holder
/// Gives a region away in one of the ways, and returns what the receiver, a child, says to the question.
///
/// For a pull there is nothing to give: the receiver is told our number, and knows its parent.
fn ask(way: &str, question: &str) -> Result<String> {
    let region = Region::create("table", 4096)?;
    let memory = IpcSharedMemory::from_byte(1, 4096);
    let (gives, is_ipc) = (question != IDLE, way == "ipc-channel");
    let number = if is_ipc { number_of_theirs()? } else { region.as_fd().as_raw_fd() };

    let (stream, theirs) = UnixStream::pair()?;
    let (server, address) = IpcOneShotServer::<IpcSender<IpcSharedMemory>>::new()?;
    let mut receiver = Command::new("/proc/self/exe");
    receiver.args([way, question, &number.to_string(), &address]);
    receiver.stdin(OwnedFd::from(theirs)).stdout(Stdio::piped()).stderr(Stdio::null());
    if way == "inheritance" && gives {
        Heir::new(&mut receiver, NAME).push(region.as_fd())?;
    }
    let mut child = Reaped(receiver.spawn()?);
    // Only a Yama needs this: it would let a parent into its child, and not the other way round.
    let allowance = pidfd::allow(child.0.id())?;
    let mut channel = None; // open until the answer is there
    if is_ipc {
        channel = Some(server.accept()?.1);
        if let (Some(channel), true) = (&channel, gives) {
            channel.send(memory.clone())?;
        }
    } else if way == "SCM_RIGHTS" {
        if gives {
            (&stream).push(region.as_fd())?;
        }
    } else {
        (&stream).write_all(b".")?; // no descriptor: it may begin
    }
    let mut answer = String::new();
    child.0.stdout.take().ok_or("the receiver has no output")?.read_to_string(&mut answer)?;
    drop((allowance, channel));
    match child.0.wait()?.code() {
        Some(0) => Ok(answer.trim().to_owned()),
        Some(PANICKED) => Ok("the receiver panics".into()),
        code => Err(format!("the receiver by {way} ended with {code:?} when asked: {question}").into()),
    }
}
// ANCHOR_END: holder

// ANCHOR: receiver
/// One way, from the receiver's side.
enum Receiver {
    /// From the table that this process was started with.
    Heir,
    /// By a message.
    Stream(UnixStream),
    /// Out of the holder.
    Puller(Box<dyn Pull>, RawFd),
    /// By ipc-channel, which keeps the descriptor to itself.
    Channel(IpcReceiver<IpcSharedMemory>),
}

impl Receiver {
    fn new(way: &str, holder: u32, number: RawFd, address: String) -> Result<Self> {
        let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        if way == "ipc-channel" {
            let (sender, receiver) = channel()?;
            IpcSender::connect(address)?.send(sender)?;
            return Ok(Self::Channel(receiver));
        }
        if way == "SCM_RIGHTS" {
            return Ok(Self::Stream(stream));
        }
        (&stream).read_exact(&mut [0])?;
        Ok(match way {
            "pidfd_getfd" => Self::Puller(Box::new(pidfd::Process::open(holder)?), number),
            "/proc/<pid>/fd" => Self::Puller(Box::new(procfs::Process::open(holder)?), number),
            _ => Self::Heir,
        })
    }

    /// What arrives, or why nothing does.
    fn obtain(&self) -> std::result::Result<Arrived, String> {
        let fd = match self {
            // SAFETY: what this process has opened is close-on-exec, and nobody else takes what is inherited.
            Self::Heir => unsafe { inherit::take(NAME) },
            Self::Stream(stream) => scm_rights::receive(stream, &mut [0], 1)
                .and_then(|message| message.into_exactly().map(|[fd]| fd)),
            Self::Puller(process, number) => process.pull(*number),
            // Not for ever: what was lost does not come.
            Self::Channel(channel) => {
                let memory = channel.try_recv_timeout(Duration::from_millis(100));
                return memory.map(Arrived::Theirs).map_err(|error| match error {
                    TryRecvError::Empty => NOTHING.into(),
                    TryRecvError::IpcError(_) => "an error".into(),
                });
            }
        };
        fd.map(Arrived::Ours).map_err(|error| in_a_word(&error))
    }
}
// ANCHOR_END: receiver

/// What arrived; held until the question is answered.
enum Arrived {
    /// A descriptor.
    Ours(OwnedFd),
    /// Mapped memory, with its descriptor inside.
    Theirs(#[allow(dead_code)] IpcSharedMemory), // held for being open
}

impl Arrived {
    fn number(&self) -> Result<RawFd> {
        match self {
            Self::Ours(fd) => Ok(fd.as_raw_fd()),
            Self::Theirs(_) => number_of_theirs(),
        }
    }
}

// ANCHOR: questions
/// Answers one question by trying.
fn answer(question: &str, receiver: &Receiver, holder: u32, number: RawFd) -> Result<String> {
    Ok(match question {
        NUMBERS => format!("{number}, {}", receiver.obtain()?.number()?),
        OPEN_FILE => {
            let arrived = receiver.obtain()?;
            let here = (std::process::id(), arrived.number()?);
            if same_open_file((holder, number), here)? { "the same".into() } else { "a new one".into() }
        }
        MARK => {
            let before = inherited_mark()?;
            let arrived = receiver.obtain()?;
            let after = mark(arrived.number()?)?;
            before.map_or_else(|| after.clone(), |before| format!("{before}; {after} once taken"))
        }
        SEALED => {
            let arrived = receiver.obtain()?;
            let again = fs::File::open(format!("/proc/self/fd/{}", arrived.number()?))?;
            match FixedFd::new(again.into()) {
                Ok(_) => "yes".into(),
                Err(refused) if refused.is_shrinkable() => "no".into(),
                Err(refused) => return Err(refused.into()),
            }
        }
        IDLE => {
            if let Receiver::Stream(stream) = receiver {
                stream.set_nonblocking(true)?;
            }
            outcome(&receiver.obtain())
        }
        FULL => {
            let limits = getrlimit(Resource::Nofile);
            let free = io::stdin().as_fd().try_clone_to_owned()?.as_raw_fd().unsigned_abs();
            setrlimit(Resource::Nofile, Rlimit { current: Some(free.into()), ..limits })?;
            let first = receiver.obtain();
            setrlimit(Resource::Nofile, limits)?;
            if let Receiver::Stream(stream) = receiver {
                stream.set_nonblocking(true)?;
            }
            let again = first.is_err().then(|| outcome(&receiver.obtain()));
            again
                .map_or_else(|| outcome(&first), |again| format!("{}; tried again: {again}", outcome(&first)))
        }
        _ => outcome(&receiver.obtain()),
    })
}
// ANCHOR_END: questions

/// What happened, in a word or two.
fn outcome(obtained: &std::result::Result<Arrived, String>) -> String {
    obtained.as_ref().map_or_else(Clone::clone, |_| "it arrives".into())
}

/// A refusal by its errno, or by what a caller would branch on.
fn in_a_word(error: &fd_shm::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EAGAIN) => NOTHING.into(),
        Some(errno) => format!("{errno:?}"),
        None if error.is_truncated() => "an error, is_truncated".into(),
        None if error.is_not_found() => NOTHING.into(),
        None => error.to_string(),
    }
}

/// Whether a descriptor is closed on exec.
fn mark(number: RawFd) -> Result<String> {
    const CLOEXEC: u32 = 0o2_000_000;
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}"))?;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).ok_or("no flags")?;
    Ok(if u32::from_str_radix(flags.trim(), 8)? & CLOEXEC == 0 { "no".into() } else { "yes".into() })
}

/// The same of what was inherited, before it is taken.
fn inherited_mark() -> Result<Option<String>> {
    let told = std::env::var(NAME).ok();
    let number = told.as_deref().and_then(|told| told.split(' ').next()).map(str::parse).transpose()?;
    number.map(mark).transpose()
}

/// The number of ipc-channel's memory file in this process: it tells nobody, but the kernel lists it.
fn number_of_theirs() -> Result<RawFd> {
    for entry in fs::read_dir("/proc/self/fd")? {
        let path = entry?.path();
        if fs::read_link(&path).is_ok_and(|to| to.to_string_lossy().starts_with(THEIRS)) {
            return Ok(path.file_name().and_then(|name| name.to_str()).ok_or("no name")?.parse()?);
        }
    }
    Err("ipc-channel has no memory file open".into())
}

/// Asks all of all, as a process that may be looked into, except where the question is what then.
fn table() -> Result<()> {
    println!("Who holds a region gives it to a child, which answers. Neither has any capability.");
    for way in WAYS {
        println!("\n{way}");
        for question in [IDLE, UNDUMPABLE, NUMBERS, OPEN_FILE, MARK, SEALED, FULL] {
            if question == UNDUMPABLE {
                set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
            }
            let answer = ask(way, question);
            set_dumpable_behavior(DumpableBehavior::Dumpable)?;
            println!("  {question:26} {}", answer?);
        }
    }
    Ok(())
}

fn run() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => {
            if let Some(reason) = ordinary::obstacle()? {
                println!("not shown here: {reason}");
                return Ok(ExitCode::from(77)); // the book keeps the committed output then
            }
            table()?;
        }
        [way, question, number, address] => {
            let holder = std::os::unix::process::parent_id();
            let number = number.parse()?;
            let receiver = Receiver::new(way, holder, number, address.clone())?;
            println!("{}", answer(question, &receiver, holder, number)?);
        }
        _ => return Err("say nothing: the receivers are started by the program itself".into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("handover_table: {error}");
        ExitCode::FAILURE
    })
}
