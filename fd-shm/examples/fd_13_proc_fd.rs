//! /proc/<pid>/fd: the same file, and a new open file.
//!
//! Run it: `cargo run --example fd_13_proc_fd`
//!
//! What to look for: both ways lead to the same memory. Pulled by pidfd it is the holder's own open
//! file, at the holder's offset; opened through /proc it is another one, which begins at 0, and which
//! kcmp tells apart. What is no file cannot be opened again, and opening is the receiver's act: the
//! file's mode bits are asked as well.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;

use fd_shm::handover::{Pull, pidfd, procfs};
use fd_shm::{Memfd, same_open_file};
use rustix::fs::Mode;

#[path = "support/other.rs"]
#[allow(dead_code)] // each example uses what it needs of it
mod other;
use other::{Other, role, start, tell, wait};

#[path = "support/ordinary.rs"]
mod ordinary;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: holder
/// Holds a memory file at offset 5, a pipe, and a memory file that its mode closes.
fn holder() -> Result<()> {
    let mut file = File::from(OwnedFd::from(Memfd::create("text")?));
    file.write_all(b"some text")?;
    file.seek(SeekFrom::Start(5))?;
    let (_reader, writer) = std::io::pipe()?;
    let closed = Memfd::create("closed")?;
    rustix::fs::fchmod(&closed, Mode::empty())?;
    tell("holder", format!("has \"some text\" as descriptor {}, at offset 5", file.as_raw_fd()));
    tell(
        "",
        format!(
            "a pipe as {}, and a file of mode 0000 as {}",
            writer.as_raw_fd(),
            closed.as_fd().as_raw_fd()
        ),
    );

    let mut socket = other::socket()?;
    socket.write_all(&std::process::id().to_ne_bytes())?;
    for fd in [file.as_fd(), writer.as_fd(), closed.as_fd()] {
        socket.write_all(&fd.as_raw_fd().to_ne_bytes())?;
    }
    wait(&socket)?;
    tell("holder", format!("finds its own offset at {}", file.stream_position()?));
    Ok(())
}
// ANCHOR_END: holder

// ANCHOR: receiver
/// Takes the file in both ways, and compares.
fn receiver() -> Result<()> {
    println!("A holder has a file open, and a receiver gets at it in two ways.\n");
    let mut holder = start(role("holder"))?;
    let [pid, text, pipe, closed] = numbers(&mut holder)?;
    let pid = pid.cast_unsigned();
    let pulled = File::from(pidfd::Process::open(pid)?.pull(text)?);
    let by_proc = procfs::Process::open(pid)?;
    let opened = File::from(by_proc.pull(text)?);

    tell("receiver", "pidfd_getfd, and open of /proc/<pid>/fd");
    compare(
        "one file (inode)",
        |file| Ok(file.metadata()?.ino() == pulled.metadata()?.ino()),
        [&pulled, &opened],
    )?;
    let here = std::process::id();
    let same = |file: &File| Ok(same_open_file((pid, text), (here, file.as_raw_fd()))?);
    compare("one open file with the holder's (kcmp)", same, [&pulled, &opened])?;
    for (way, mut file) in [("pidfd_getfd", pulled), ("/proc", opened)] {
        let at = file.stream_position()?;
        let mut rest = String::new();
        file.read_to_string(&mut rest)?;
        tell("", format!("by {way}: at offset {at}, and reads \"{rest}\""));
    }
    tell("receiver", refusal("the pipe", by_proc.pull(pipe))?);
    tell("receiver", refusal("the file of mode 0000", by_proc.pull(closed))?);
    other::go(&holder.socket)?;
    holder.end()?;
    Ok(())
}
// ANCHOR_END: receiver

/// Says of both whether it is so.
fn compare(what: &str, is_so: impl Fn(&File) -> Result<bool>, files: [&File; 2]) -> Result<()> {
    let [pulled, opened] = files.map(|file| is_so(file).map(|is_so| if is_so { "yes" } else { "no" }));
    tell("", format!("{what}: {} and {}", pulled?, opened?));
    Ok(())
}

/// How an open through /proc was refused: by this library, or with an errno by the kernel.
fn refusal(what: &str, opened: fd_shm::Result<OwnedFd>) -> Result<String> {
    let refused = opened.err().ok_or("it was opened")?;
    Ok(match refused.raw_os_error().map(nix::errno::Errno::from_raw) {
        None => format!("{what} is not opened, is_not_a_region: {}", refused.is_not_a_region()),
        Some(errno) => format!(
            "{what} is not opened: {errno:?}, is_permission_denied: {}",
            refused.is_permission_denied()
        ),
    })
}

fn numbers<const N: usize>(holder: &mut Other) -> Result<[i32; N]> {
    let mut numbers = [0; N];
    for number in &mut numbers {
        let mut bytes = [0; 4];
        holder.socket.read_exact(&mut bytes)?;
        *number = i32::from_ne_bytes(bytes);
    }
    Ok(numbers)
}

fn run() -> Result<ExitCode> {
    match std::env::args().nth(1).as_deref() {
        None => {
            // Root is asked for no mode bits, unless it is like anybody.
            if let Some(reason) = ordinary::obstacle()? {
                println!("not shown here: {reason}");
                return Ok(ExitCode::from(77)); // the book keeps the committed output then
            }
            receiver()?;
        }
        Some("holder") => holder()?,
        Some(other) => return Err(format!("no role {other}: say nothing, the receiver starts it").into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("fd_13_proc_fd: {error}");
        ExitCode::FAILURE
    })
}
