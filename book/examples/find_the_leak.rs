//! A service that forgets to close, found from outside by five questions.
//!
//! Run it: `cargo run --example find_the_leak`
//!
//! What to look for: the system has 64 MiB more of shared memory, and no process does: what is not
//! mapped is in nobody's RSS. So one goes by descriptors. That they are sixteen files, and not one that
//! was opened sixteen times, says that each request leaves its own behind. Who *made* a memfd is kept
//! nowhere; its name is the only hint.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use fd_shm::{Region, scm_rights};

#[path = "look/mod.rs"]
#[allow(dead_code)] // each example uses what it needs of it
mod look;
use look::devices::Devices;
use look::facts;
use look::process::Process;
use look::regions::{Kind, regions};

#[path = "../../fd-shm/examples/support/ordinary.rs"]
mod ordinary;

#[path = "../../fd-shm/examples/support/other.rs"]
#[allow(dead_code)] // each example uses what it needs of it
mod other;
use other::{Other, go, role, start, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const MIB: u64 = 1 << 20;
const REQUESTS: usize = 16;
const SIZE: usize = 4 << 20;
const ROUNDS: usize = 9;

// ANCHOR: service
/// Looks at what each request brings, and keeps it, by mistake.
fn service() -> Result<()> {
    rustix::thread::set_name(c"service")?;
    let mut socket = other::socket()?;
    socket.write_all(&std::process::id().to_ne_bytes())?;
    let mut requests = Vec::new();
    loop {
        let message = match scm_rights::receive(&socket, &mut [0], 1) {
            Err(end) if end.is_end_of_stream() => return Ok(()),
            message => message?,
        };
        let [descriptor] = message.into_exactly()?;
        let request = Region::from_fd(descriptor)?;
        request.map_read_only::<()>()?.copy_out(0, &mut [0; 16])?;
        requests.push(request); // "we may need it again"
        go(&socket)?;
    }
}
// ANCHOR_END: service

/// A service that has answered its requests, and its pid. The clients have nothing left of them.
fn leaking() -> Result<(Other, u32)> {
    let service = start(role("service"))?;
    let mut pid = [0; 4];
    (&service.socket).read_exact(&mut pid)?;
    for _ in 0..REQUESTS {
        let request = Region::create("request", SIZE)?;
        request.map::<()>()?.copy_in(0, &vec![1; SIZE])?;
        scm_rights::send(&service.socket, &[0], &[request.as_fd()])?;
        wait(&service.socket)?;
    }
    Ok((service, u32::from_ne_bytes(pid)))
}

// ANCHOR: questions
/// 1: `Shmem` counts whatever is on any tmpfs: memfds, segments, ashmem, `/dev/shm`.
fn shared_memory() -> Result<u64> {
    counter("/proc/meminfo", "Shmem:")
}

/// 2: what processes have mapped of that. (What two have mapped is counted twice.)
fn mapped(pid: u32) -> Result<u64> {
    counter(&format!("/proc/{pid}/status"), "RssShmem:")
}

/// 3: by kind and name, what is in memory, and how it is held.
fn by_name(processes: &[Process]) -> Result<BTreeMap<(Kind, String), Held>> {
    let mut found: BTreeMap<_, Held> = BTreeMap::new();
    for region in regions(processes, &Devices::find()?) {
        let held = found.entry((region.identity.kind, region.label())).or_default();
        held.regions += 1;
        held.resident += region.facts.resident.unwrap_or(0);
        held.mappings += region.mapped.len();
        held.descriptors += region.open.len();
        // 4: of each region, how many open files?
        held.open_files += region.open.iter().filter_map(|open| open.file).max().map_or(0, |last| last + 1);
    }
    Ok(found)
}
// ANCHOR_END: questions

/// What all regions of one kind and name have together.
#[derive(Debug, Default)]
struct Held {
    regions: usize,
    resident: u64,
    mappings: usize,
    descriptors: usize,
    open_files: usize,
}

/// A line `Name:   123 kB` of a file, in bytes.
fn counter(path: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(path)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
    Ok(value.ok_or_else(|| format!("{path} has no {name}"))?.parse::<u64>()? * 1024)
}

/// To the nearest 64 MiB, in MiB.
fn rounded(bytes: u64) -> u64 {
    (bytes + 32 * MIB) / (64 * MIB) * 64
}

/// How much more `Shmem` counts with a leaking service, and after its end. Others' memory comes and
/// goes as well, so each is the middle one of several.
fn changes() -> Result<[u64; 2]> {
    let (mut with, mut after) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let before = shared_memory()?;
        let (service, _) = leaking()?;
        with.push(shared_memory()?.saturating_sub(before));
        service.end()?; // closes the socket, and the service ends
        after.push(shared_memory()?.saturating_sub(before));
    }
    Ok([with, after].map(|mut changes| {
        changes.sort_unstable();
        rounded(changes[ROUNDS / 2])
    }))
}

// ANCHOR: hunt
fn hunt() -> Result<()> {
    let [with, after] = changes()?;
    let (service, pid) = leaking()?;
    println!("service  pid {pid}: has answered {REQUESTS} requests of 4 MiB; no client has anything left\n");
    tell("1  Is it shared memory?", format!("Shmem in /proc/meminfo: {with} MiB more"));
    tell("2  Has somebody mapped it?", format!("RssShmem of the service: {} MiB", rounded(mapped(pid)?)));
    let segments: u64 = facts::resident()?.iter().map(|(_, bytes)| bytes).sum();
    tell("3  Is it in segments?", format!("rss in /proc/sysvipc/shm: {} MiB", rounded(segments)));
    let processes = [Process::look(pid, &Devices::find()?)?];
    for ((kind, name), held) in by_name(&processes)? {
        let Held { regions, resident, mappings, descriptors, open_files } = held;
        let resident = resident / MIB;
        tell("   In files?", format!("{kind}, {name}: {regions} inodes, {resident} MiB in memory"));
        let by = format!("{mappings} mappings, {descriptors} descriptors of {open_files} open files");
        tell("4  Held by what?", by);
        tell("5  By whom?", format!("{}, pid {pid}", processes[0].command));
    }
    service.end()?;
    println!();
    tell("The service has ended:", format!("{after} MiB more"));
    Ok(())
}

fn tell(question: &str, answer: String) {
    println!("{question:28}{answer}");
}
// ANCHOR_END: hunt

fn run() -> Result<ExitCode> {
    match std::env::args().nth(1).as_deref() {
        None => {
            if let Some(reason) = ordinary::obstacle()? {
                println!("not shown here: {reason}");
                return Ok(ExitCode::from(77)); // the book keeps the committed output then
            }
            hunt()?;
        }
        Some("service") => service()?,
        Some(other) => return Err(format!("no role {other}: say nothing, it is started by itself").into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("find_the_leak: {error}");
        ExitCode::FAILURE
    })
}
