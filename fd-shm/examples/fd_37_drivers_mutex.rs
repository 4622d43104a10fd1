//! Two processes add to one word a million times each, in a region whose mutex is in use all the while.
//!
//! Run it: `cargo run --example fd_37_drivers_mutex`
//!
//! What to look for: the mutex keeps whoever pins apart from whoever else pins, and nobody who adds: first it
//! is taken again and again, then it is held without a break by a process that was stopped inside, and both
//! times additions are lost. What helps is in the memory itself: an addition that is one step, or a lock
//! there, which all of them take.

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use fd_shm::ashmem::Pinning;
use fd_shm::lock::{SlotLock, SlotWord};
use fd_shm::{Mapping, Region, futex, scm_rights, shareable};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

#[path = "support/other.rs"]
mod other;
use other::{Other, go, role, start, tell, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const MILLION: u32 = 1_000_000;
const PAGE: usize = 4096;

// ANCHOR: shared
#[repr(C)]
struct Shared {
    /// What both add to.
    word: AtomicU32,
    /// A lock in the memory, for the last round.
    lock: SlotWord,
    /// How many have loaded the word for the first time.
    loaded: AtomicU32,
}
shareable!(Shared { word: AtomicU32, lock: SlotWord, loaded: AtomicU32 });

/// What `word += 1` does: a load, an addition, a store. It is spelled out with atomics because
/// two processes doing that to plain memory are a data race, which Rust leaves undefined; relaxed
/// ones promise no more than it does.
fn add_plainly(word: &AtomicU32) {
    let seen = word.load(Relaxed);
    word.store(seen + 1, Relaxed);
}
// ANCHOR_END: shared

// ANCHOR: adder
/// Adds a million times, in one of four ways.
fn adder(how: &str) -> Result<()> {
    let socket = other::socket()?;
    let [descriptor] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
    let region = Region::from_fd(descriptor)?;
    let shared = region.map::<Shared>()?;
    match how {
        "pinning" => {
            together(&shared)?;
            for round in 1..MILLION {
                if round % 1000 == 0 {
                    region.unpin(PAGE, PAGE)?; // takes the mutex, each time
                    region.pin_status(PAGE, PAGE)?;
                }
                add_plainly(&shared.word);
            }
        }
        "plain" => {
            together(&shared)?;
            (1..MILLION).for_each(|_| add_plainly(&shared.word));
        }
        "atomic" => (0..MILLION).for_each(|_| {
            shared.word.fetch_add(1, Relaxed);
        }),
        _ => {
            let mut lock = SlotLock::open(&region, 0)?;
            for _ in 0..MILLION {
                let inside = lock.lock(&shared.lock, Duration::from_secs(10))?;
                add_plainly(&shared.word);
                drop(inside);
            }
        }
    }
    Ok(go(&socket)?)
}

/// The first addition: both load before either stores. Nothing in it is wrong but the order.
fn together(shared: &Shared) -> Result<()> {
    let seen = shared.word.load(Relaxed);
    if shared.loaded.fetch_add(1, Release) == 0 {
        while shared.loaded.load(Acquire) < 2 {
            futex::wait(&shared.loaded, 1, None)?;
        }
    } else {
        futex::wake(&shared.loaded, 1)?;
    }
    shared.word.store(seen + 1, Relaxed);
    Ok(())
}
// ANCHOR_END: adder

// ANCHOR: both
/// Lets two processes add, and says what became of it.
fn both(how: &str, region: &Region, shared: &Mapping<Shared>) -> Result<()> {
    shared.word.store(0, Relaxed);
    shared.loaded.store(0, Relaxed);
    let mut adders = Vec::new();
    for _ in 0..2 {
        let adder = start(role(how))?;
        scm_rights::send(&adder.socket, &[0], &[region.as_fd()])?;
        adders.push(adder);
    }
    for adder in adders {
        wait(&adder.socket)?;
        adder.end()?;
    }
    let arrived = shared.word.load(Relaxed);
    let lost = if arrived < 2 * MILLION { "yes".into() } else { format!("no, the word is {arrived}") };
    tell("both", format!("have added {} times; lost some: {lost}", 2 * MILLION));
    Ok(())
}
// ANCHOR_END: both

// ANCHOR: stopped
/// Takes the mutex again and again.
fn pinner() -> Result<()> {
    let socket = other::socket()?;
    let [descriptor] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
    let region = Region::from_fd(descriptor)?;
    (&socket).write_all(&std::process::id().to_ne_bytes())?;
    loop {
        region.pin_status(PAGE, PAGE)?;
    }
}

/// A process that is stopped with the mutex in its hand. It is tried until it is so.
fn stopped_inside(region: &Region) -> Result<(Other, Pid)> {
    let mut pinner = start(role("pinner"))?;
    scm_rights::send(&pinner.socket, &[0], &[region.as_fd()])?;
    let mut pid = [0; 4];
    pinner.socket.read_exact(&mut pid)?;
    let pid = Pid::from_raw(i32::from_ne_bytes(pid)).ok_or("no process has the id 0")?;
    loop {
        kill_process(pid, Signal::STOP)?;
        waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED | WaitIdOptions::EXITED)?;
        if is_held(region)? {
            return Ok((pinner, pid));
        }
        kill_process(pid, Signal::CONT)?;
    }
}

/// Whether somebody has the mutex: its word is the first behind the data, and 0 when nobody has.
fn is_held(region: &Region) -> Result<bool> {
    let (mut word, behind) = ([0; 4], region.len().next_multiple_of(PAGE));
    let len = rustix::io::pread(region, &mut word, u64::try_from(behind)?)?;
    Ok(len == word.len() && u32::from_ne_bytes(word) != 0)
}

/// Lets both add while the mutex is held, and a third ask for it.
fn both_while_it_is_held(region: &Region, shared: &Mapping<Shared>) -> Result<()> {
    let (pinner, pid) = stopped_inside(region)?;
    tell("pinner", "was stopped inside an operation, and holds the mutex");
    let asker = start(role("asker"))?;
    scm_rights::send(&asker.socket, &[0], &[region.as_fd()])?;
    wait(&asker.socket)?;
    tell("asker", "asks for the state of a page");
    both("plain", region, shared)?;
    asker.socket.set_nonblocking(true)?;
    let early = wait(&asker.socket);
    asker.socket.set_nonblocking(false)?;
    match early {
        Err(none) if none.kind() == ErrorKind::WouldBlock => tell("asker", "waits still"),
        _ => tell("asker", "has its answer already"),
    }
    kill_process(pid, Signal::CONT)?;
    wait(&asker.socket)?;
    tell("pinner", "goes on");
    tell("asker", "has its answer");
    asker.end()?;
    drop(pinner); // kill -9
    Ok(())
}

/// Asks once.
fn asker() -> Result<()> {
    let socket = other::socket()?;
    let [descriptor] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
    let region = Region::from_fd(descriptor)?;
    go(&socket)?;
    region.pin_status(PAGE, PAGE)?;
    Ok(go(&socket)?)
}
// ANCHOR_END: stopped

fn tour() -> Result<()> {
    let region = Region::create_with("counter", 2 * PAGE, Pinning::Kept)?;
    let shared = region.map::<Shared>()?;
    println!("A load and a store, and the mutex taken for a pin operation or two after every thousand:");
    both("pinning", &region, &shared)?;
    println!("\nA load and a store, while somebody has the mutex and keeps it:");
    both_while_it_is_held(&region, &shared)?;
    println!("\nAn addition that is one step:");
    both("atomic", &region, &shared)?;
    println!("\nA load and a store, inside a lock in the memory:");
    both("locking", &region, &shared)
}

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => tour(),
        Some("pinner") => pinner(),
        Some("asker") => asker(),
        Some(how) => adder(how),
    }
}
