//! Which memory a process shares, with whom, and what keeps it there.
//!
//! Run it: `cargo run --example inspect`, which starts processes to be looked at,
//! or:     `cargo run --example inspect -- PID`, for what one process of yours has,
//! or:     `cargo run --example inspect -- all`, for whatever can be seen on this machine.
//!
//! What to look for: the letter A, wherever two descriptors are one open file, whatever their numbers;
//! what is held by a descriptor that no maps file shows, or by a mapping that has no number; and the
//! last line of each region, which says what it waits for. One process lets nobody look, and is found
//! out all the same: a segment counts its mappings.

#![allow(unsafe_code)] // a private mapping, which the library does not make

use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};

use fd_shm::{Memfd, Region, scm_rights};
use memmap2::MmapOptions;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use sysv_shm::{Key, Segment, SegmentOptions, SegmentStat, segments};

#[path = "look/mod.rs"]
#[allow(dead_code)] // each example uses what it needs of it
mod look;
use look::devices::Devices;
use look::process::{self, Process};
use look::regions::regions;

#[path = "../../fd-shm/examples/support/ordinary.rs"]
mod ordinary;

#[path = "../../fd-shm/examples/support/other.rs"]
#[allow(dead_code)] // each example uses what it needs of it
mod other;
use other::{go, role, start, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const KEY: Key = Key::new(0x5348_4d14);

// ANCHOR: inspect
/// What can be seen of these processes, and who did not let us look.
fn look_at(pids: &[u32], devices: &Devices) -> (Vec<Process>, Vec<u32>) {
    let (mut seen, mut refused) = (Vec::new(), Vec::new());
    for &pid in pids {
        match Process::look(pid, devices) {
            Ok(process) => seen.push(process),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => refused.push(pid),
            Err(_) => {} // it has ended meanwhile
        }
    }
    (seen, refused)
}

/// Prints what `of`, or anybody, has, as far as these processes show it.
fn inspect(out: &mut impl Write, of: Option<u32>, pids: &[u32]) -> Result<()> {
    let devices = Devices::find()?;
    let (processes, refused) = look_at(pids, &devices);
    for region in regions(&processes, &devices) {
        let mut holders = region.mapped.iter().map(|it| it.by).chain(region.open.iter().map(|it| it.by));
        if of.is_none_or(|pid| holders.any(|holder| holder.pid == pid)) {
            writeln!(out, "{region}")?;
        }
    }
    for Process { pid, command, unread, ashmem, .. } in &processes {
        for (socket, count) in unread {
            writeln!(
                out,
                "unread in socket {socket}, descriptors: {count}, of what is not told; {command}, pid {pid}"
            )?;
        }
        if !ashmem.is_empty() {
            writeln!(
                out,
                "of ashmem's driver: descriptors {ashmem:?}, of what is not told; {command}, pid {pid}"
            )?;
        }
    }
    for pid in refused.iter().take(3) {
        writeln!(out, "EACCES: what it has is not shown, pid {pid}")?;
    }
    if refused.len() > 3 {
        writeln!(out, "EACCES: and so for {} more", refused.len() - 3)?;
    }
    Ok(())
}
// ANCHOR_END: inspect

/// What no process has, and the table keeps: of a segment nobody need have anything.
fn inspect_table(out: &mut impl Write) -> Result<()> {
    for segment in segments()?.into_iter().filter(|segment| segment.attached == 0) {
        let SegmentStat { key, id, size, creator_pid, .. } = segment;
        let gone = if segment.is_orphan() { ", who has ended" } else { "" };
        writeln!(
            out,
            "System V, attached by nobody: key {key}, id {id}, {size} bytes, made by pid {creator_pid}{gone}"
        )?;
    }
    Ok(())
}

/// One process first, so that its not being there, or not being ours, is an error.
fn inspect_one(out: &mut impl Write, pid: u32) -> Result<()> {
    let process = Process::look(pid, &Devices::find()?).map_err(|error| {
        let meaning = match error.kind() {
            io::ErrorKind::PermissionDenied => "EACCES, whom we may not debug we may not look into",
            io::ErrorKind::NotFound => "ENOENT, no such process",
            _ => return format!("read(/proc/{pid}): {error}"),
        };
        format!("open(/proc/{pid}/maps): {meaning}")
    })?;
    writeln!(out, "{}, pid {pid}\n", process.command)?;
    inspect(out, Some(pid), &with_memory()?)
}

/// Those that can have any: not the kernel's threads, of which there are many.
fn with_memory() -> io::Result<Vec<u32>> {
    Ok(process::all()?.into_iter().filter(|pid| process::has_memory(*pid)).collect())
}

// ANCHOR: server
/// Makes memory of several kinds, and shares some of it with processes that it starts.
fn server() -> Result<()> {
    let mut socket = other::socket()?;
    let segment = SegmentOptions::new().mode(0o640).create_new(KEY, 65_536)?.remove_on_drop();
    let attached = segment.attach::<AtomicU32>()?;
    attached.store(1, Ordering::Relaxed);
    let nameless = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
    let _removed = nameless.attach::<()>()?;
    nameless.remove()?;

    let frames = Region::create("frames", 8192)?;
    let ours = frames.map::<AtomicU32>()?;
    ours.store(1, Ordering::Relaxed);
    let client = start(role("client"))?;
    scm_rights::send(&client.socket, &[0], &[frames.as_fd()])?;
    let clients_pid = ready(&client.socket)?;
    let guarded = start(role("guarded"))?; // after the client, so that it is the last to attach
    let pids = [std::process::id(), clients_pid, ready(&guarded.socket)?];

    let spare = File::from(OwnedFd::from(Memfd::create("spare")?));
    spare.write_all_at(&[1; 4096], 0)?;
    let template = Region::create("template", 4096)?;
    // SAFETY: the region cannot shrink, and nobody else has it to write to it.
    let mut copy = unsafe { MmapOptions::new().map_copy(&template.as_fd()) }?;
    copy[0] = 1;
    drop(template); // the mapping stays

    for pid in pids {
        socket.write_all(&pid.to_ne_bytes())?;
    }
    wait(&socket)?;
    for other in [client, guarded] {
        go(&other.socket)?;
        other.end()?;
    }
    Ok(())
}
// ANCHOR_END: server

// ANCHOR: client
/// Has what it is given, reads the segment, and opens the file a second time.
fn client() -> Result<()> {
    let mut socket = other::socket()?;
    let [descriptor] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
    let _again = File::open(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))?;
    let frames = Region::from_fd(descriptor)?;
    let theirs = frames.map_read_only::<AtomicU32>()?;
    let segment = Segment::open(KEY, 0)?.attach_read_only::<AtomicU32>()?;
    let _ = theirs.load(Ordering::Relaxed) + segment.load(Ordering::Relaxed);
    socket.write_all(&std::process::id().to_ne_bytes())?;
    Ok(wait(&socket)?)
}

/// Has the segment too, and lets nobody see it.
fn guarded() -> Result<()> {
    let mut socket = other::socket()?;
    let _attached = Segment::open(KEY, 0)?.attach_read_only::<()>()?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    socket.write_all(&std::process::id().to_ne_bytes())?;
    Ok(wait(&socket)?)
}
// ANCHOR_END: client

/// Waits until another process has made what it makes, and says its pid.
fn ready(mut socket: &UnixStream) -> io::Result<u32> {
    let mut pid = [0; 4];
    socket.read_exact(&mut pid)?;
    Ok(u32::from_ne_bytes(pid))
}

fn demonstrate(out: &mut impl Write) -> Result<()> {
    let server = start(role("server"))?;
    let shown = show(out, &server.socket);
    // In any case: a server that is killed leaves its segment behind.
    go(&server.socket)?;
    server.end()?;
    shown
}

fn show(out: &mut impl Write, server: &UnixStream) -> Result<()> {
    let mut pids = [0; 3];
    for (name, pid) in ["server", "client", "guarded"].into_iter().zip(&mut pids) {
        *pid = ready(server)?;
        writeln!(out, "{name:8} pid {pid}")?;
    }
    writeln!(out)?;
    inspect(out, None, &pids)
}

/// Does what a role has to, under the role's name.
fn play(name: &str, part: impl FnOnce() -> Result<()>) -> Result<()> {
    rustix::thread::set_name(&std::ffi::CString::new(name)?)?;
    part()
}

fn run() -> Result<ExitCode> {
    let out = &mut io::stdout();
    match std::env::args().nth(1).as_deref() {
        None => {
            // Root would see all, and others would not: everybody is to see what the book shows.
            if let Some(reason) = ordinary::obstacle()? {
                println!("not shown here: {reason}");
                return Ok(ExitCode::from(77)); // the book keeps the committed output then
            }
            demonstrate(out)?;
        }
        Some("all") => {
            inspect(out, None, &with_memory()?)?;
            inspect_table(out)?;
        }
        Some("server") => play("server", server)?,
        Some("client") => play("client", client)?,
        Some("guarded") => play("guarded", guarded)?,
        Some(pid) => match pid.parse() {
            Ok(pid) => inspect_one(out, pid)?,
            Err(_) => return Err(format!("{pid} is no pid: say one, or all, or nothing").into()),
        },
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        let reader_has_gone = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        if error.downcast_ref().is_some_and(reader_has_gone) {
            return ExitCode::SUCCESS; // as when it is piped into head
        }
        eprintln!("inspect: {error}");
        ExitCode::FAILURE
    })
}
