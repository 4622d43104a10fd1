//! pidfd_getfd: the receiver takes the descriptor out of the sender, as a debugger could.
//!
//! Run it: `cargo run --example fd_12_pidfd_getfd`
//!
//! What to look for: the sender is asleep in a read while its descriptor is taken. So the kernel decides: a
//! parent may, a stranger may not while the sender is undumpable, and may once the sender lets it. Nobody
//! here has any capability; with CAP_SYS_PTRACE none of these questions would be asked.

use std::error::Error;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::process::ExitCode;

use fd_shm::handover::{Pull, pidfd};
use fd_shm::{Region, same_open_file};
use nix::errno::Errno;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

#[path = "support/other.rs"]
#[allow(dead_code)] // each example uses what it needs of it
mod other;
use other::{Other, go, role, start, tell, wait};

#[path = "support/ordinary.rs"]
mod ordinary;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: sender
/// Holds a region, says where, and lets whom it is told to let.
fn sender() -> Result<()> {
    let region = Region::create("frames", 4096)?;
    let mut socket = other::socket()?;
    socket.write_all(&std::process::id().to_ne_bytes())?;
    socket.write_all(&region.as_fd().as_raw_fd().to_ne_bytes())?;
    wait(&socket)?; // the parent pulls meanwhile

    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    tell("sender", "makes itself undumpable (PR_SET_DUMPABLE 0)");
    go(&socket)?;
    let receiver = read_number(&mut socket)?.cast_unsigned(); // the stranger is refused meanwhile

    set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    let _until_the_end = pidfd::allow(receiver)?;
    tell("sender", "is dumpable again, and allows the stranger, by name (PR_SET_PTRACER)");
    go(&socket)?;
    Ok(wait(&socket)?) // the stranger pulls meanwhile
}
// ANCHOR_END: sender

// ANCHOR: puller
/// Tries to take the sender's descriptor.
fn pull(who: &str, sender: u32, number: i32) -> Result<()> {
    match pidfd::Process::open(sender)?.pull(number) {
        Ok(fd) => {
            let ours = fd.as_raw_fd();
            tell(who, format!("pulls the sender's {number}, and has it as {ours}"));
            let same = same_open_file((sender, number), (std::process::id(), ours))?;
            tell("", format!("kcmp: {} open file", if same { "one" } else { "not one" }));
            tell("", format!("a region of {} bytes that cannot shrink", Region::from_fd(fd)?.len()));
        }
        Err(refused) if refused.is_permission_denied() => {
            let errno = refused.raw_os_error().map(Errno::from_raw).ok_or("no errno")?;
            tell(who, format!("pulls the sender's {number}: {errno:?}, is_permission_denied"));
        }
        Err(refused) => return Err(refused.into()),
    }
    Ok(())
}
// ANCHOR_END: puller

/// A process that is nobody's parent: pulls twice, when it is told to.
fn stranger() -> Result<()> {
    let mut socket = other::socket()?;
    socket.write_all(&std::process::id().to_ne_bytes())?;
    let (sender, number) = (read_number(&mut socket)?.cast_unsigned(), read_number(&mut socket)?);
    for _ in 0..2 {
        wait(&socket)?;
        pull("stranger", sender, number)?;
        go(&socket)?;
    }
    Ok(())
}

// ANCHOR: parent
/// Pulls as a parent, then lets a stranger try.
fn parent() -> Result<()> {
    println!("A sender tells the number of its descriptor, and sleeps. No process here has a capability.\n");
    let mut sender = start(role("sender"))?;
    let (pid, number) = (read_number(&mut sender.socket)?, read_number(&mut sender.socket)?);
    pull("parent", pid.cast_unsigned(), number)?;

    let mut stranger = start(role("stranger"))?;
    let stranger_pid = read_number(&mut stranger.socket)?;
    stranger.socket.write_all(&pid.to_ne_bytes())?;
    stranger.socket.write_all(&number.to_ne_bytes())?;
    take_turns(&sender, &stranger)?;
    sender.socket.write_all(&stranger_pid.to_ne_bytes())?;
    wait(&sender.socket)?;
    go(&stranger.socket)?;
    wait(&stranger.socket)?;
    go(&sender.socket)?;
    stranger.end()?;
    sender.end()?;
    Ok(())
}
// ANCHOR_END: parent

/// First the one does something, then the other.
fn take_turns(first: &Other, second: &Other) -> Result<()> {
    for other in [first, second] {
        go(&other.socket)?;
        wait(&other.socket)?;
    }
    Ok(())
}

fn read_number(socket: &mut impl Read) -> Result<i32> {
    let mut bytes = [0; 4];
    socket.read_exact(&mut bytes)?;
    Ok(i32::from_ne_bytes(bytes))
}

fn run() -> Result<ExitCode> {
    match std::env::args().nth(1).as_deref() {
        None => {
            if let Some(reason) = ordinary::obstacle()? {
                println!("not shown here: {reason}");
                return Ok(ExitCode::from(77)); // the book keeps the committed output then
            }
            parent()?;
        }
        Some("sender") => sender()?,
        Some("stranger") => stranger()?,
        Some(other) => return Err(format!("no role {other}: say nothing, the parent starts them").into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("fd_12_pidfd_getfd: {error}");
        ExitCode::FAILURE
    })
}
