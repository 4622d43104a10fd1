//! Two receivers of one open file, recognised as such; and one receiver that is sent it again and again.
//!
//! Run it: `cargo run --example fd_14_two_receivers`
//!
//! What to look for: the numbers say nothing, and the inode says less than it seems. kcmp knows the two that
//! were sent from the one that was opened again. And a receiver who is sent the same region a hundred times
//! runs out of numbers, unless it asks whether it knows the open file already.

use std::error::Error;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::process::ExitCode;

use fd_shm::handover::{OpenFiles, Pull, procfs};
use fd_shm::{Region, same_open_file, scm_rights};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[path = "support/other.rs"]
#[allow(dead_code)] // each example uses what it needs of it
mod other;
use other::{Other, role, start, tell, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: receiver
/// Takes one descriptor, says under which number, and holds it until it is told to end.
fn receiver(name: &str, ballast: usize) -> Result<()> {
    let mut socket = other::socket()?;
    let in_use: std::io::Result<Vec<_>> = (0..ballast).map(|_| socket.try_clone()).collect();
    let [fd] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
    drop(in_use?); // only so that the numbers differ
    tell(name, format!("has it as {}", fd.as_raw_fd()));
    socket.write_all(&[std::process::id().cast_signed(), fd.as_raw_fd()].map(i32::to_ne_bytes).concat())?;
    Ok(wait(&socket)?)
}
// ANCHOR_END: receiver

// ANCHOR: sender
/// Sends one region to two processes, opens it once more, and asks which are one.
fn compare(region: &Region) -> Result<()> {
    println!("One region goes to two receivers, and is opened once more through /proc:\n");
    let here = std::process::id();
    tell("sender", format!("has it as {}", region.as_fd().as_raw_fd()));
    let (first, first_has) = give(region, "first")?;
    let (second, second_has) = give(region, "second")?;
    let opened = procfs::Process::open(here)?.pull(region.as_fd().as_raw_fd())?;
    tell("sender", format!("has opened it again, as {}", opened.as_raw_fd()));

    let all = [
        ("the sender's", (here, region.as_fd().as_raw_fd())),
        ("the first's", first_has),
        ("the second's", second_has),
        ("opened again", (here, opened.as_raw_fd())),
    ];
    println!("\n  one open file?  {}", all.map(|(name, _)| format!("{name:>13}")).concat());
    for (name, one) in all {
        let row = all.map(|(_, other)| same_open_file(one, other).map(|same| if same { "yes" } else { "-" }));
        let row: fd_shm::Result<Vec<_>> = row.into_iter().collect();
        println!("  {name:16}{}", row?.iter().map(|cell| format!("{cell:>13}")).collect::<String>());
    }
    for receiver in [first, second] {
        other::go(&receiver.socket)?;
        receiver.end()?;
    }
    Ok(())
}
// ANCHOR_END: sender

/// Sends the region to a new process, and hears where it is there.
fn give(region: &Region, name: &'static str) -> Result<(Other, (u32, RawFd))> {
    let mut receiver = start(role(name))?;
    scm_rights::send(&receiver.socket, &[0], &[region.as_fd()])?;
    let (mut pid, mut number) = ([0; 4], [0; 4]);
    receiver.socket.read_exact(&mut pid)?;
    receiver.socket.read_exact(&mut number)?;
    Ok((receiver, (u32::from_ne_bytes(pid), i32::from_ne_bytes(number))))
}

// ANCHOR: again
/// Receives until its table is full, or the sender ends.
fn collector(forgetful: bool) -> Result<()> {
    let limits = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(20), ..limits })?;
    let socket = other::socket()?;
    let (mut kept, mut known, mut came) = (Vec::new(), OpenFiles::new(), 0);
    loop {
        match scm_rights::receive(&socket, &mut [0], 1) {
            Err(end) if end.is_end_of_stream() => break,
            Err(full) if full.is_truncated() => {
                tell("receiver", format!("after {came}: its table of 20 is full, and one is lost"));
                break;
            }
            Err(other) => return Err(other.into()),
            Ok(message) => {
                let [fd] = message.into_exactly()?;
                came += 1;
                if forgetful { kept.push(fd) } else { known.keep(fd, Region::from_fd).map(drop)? }
            }
        }
    }
    tell("receiver", format!("received {came}, keeps {}", kept.len() + known.len()));
    Ok(())
}
// ANCHOR_END: again

/// Sends two regions a hundred times over.
fn repeat(region: &Region, to: &str) -> Result<()> {
    let receiver = start(role(to))?;
    let other = Region::create("other", 4096)?;
    let both: [BorrowedFd<'_>; 2] = [region.as_fd(), other.as_fd()];
    for one in both.iter().cycle().take(100) {
        // A receiver that has given up is no failure here: it says so itself.
        if scm_rights::send(&receiver.socket, &[0], &[*one]).is_err() {
            break;
        }
    }
    receiver.end()?;
    Ok(())
}

fn tour() -> Result<()> {
    let region = Region::create("shared", 4096)?;
    compare(&region)?;
    println!("\nTwo regions are sent to one receiver, in turn, a hundred times:\n");
    tell("receiver", "keeps whatever comes:");
    repeat(&region, "forgetful")?;
    tell("receiver", "asks whether it knows the open file (OpenFiles::keep):");
    repeat(&region, "attentive")
}

fn run() -> Result<ExitCode> {
    let ourselves = (std::process::id(), std::io::stdin().as_fd().as_raw_fd());
    match std::env::args().nth(1).as_deref() {
        None => {
            if let Err(refused) = same_open_file(ourselves, ourselves) {
                println!("not shown here: {refused}");
                return Ok(ExitCode::from(77)); // the book keeps the committed output then
            }
            tour()?;
        }
        Some("first") => receiver("first", 2)?,
        Some("second") => receiver("second", 7)?,
        Some("forgetful") => collector(true)?,
        Some("attentive") => collector(false)?,
        Some(other) => return Err(format!("no role {other}: say nothing, the sender starts them").into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("fd_14_two_receivers: {error}");
        ExitCode::FAILURE
    })
}
