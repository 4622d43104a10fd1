//! A hostile peer and two locks: pthread's mutex, which it can turn against us,
//! and one that the kernel keeps.
//!
//! Run it: `cargo run --example fd_22_lock_for_strangers`
//!
//! What to look for: the first process does nothing wrong, and dies when it unlocks, since the
//! stranger wrote into the structure that its libc believes. With the second lock the stranger writes
//! as much, and it changes nothing: the worst that it can do is to keep the lock, and even that ends
//! with our patience or its life.

#![allow(unsafe_code)] // a promise about the mutex, broken on purpose

use std::error::Error;
use std::os::fd::AsFd;
use std::time::Duration;

use fd_shm::lock::{Lock, LockWord, RobustMutex};
use fd_shm::{Region, scm_rights};
use rustix::process::{Resource, Rlimit, Signal, getpid, kill_process, setrlimit};

#[path = "support/other.rs"]
mod other;
use other::{go, role, start, tell, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: mutex
/// Locks a mutex that a stranger can write, and unlocks it.
fn trusting() -> Result<()> {
    let socket = other::socket()?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?; // it dies on purpose
    // SAFETY: none. The promise is that only trusted peers get the descriptor, and a stranger does.
    let mutex = unsafe { RobustMutex::<()>::create("mutex") }?;
    let inside = mutex.lock()?;
    tell("owner", "is inside");
    scm_rights::send(&socket, &[0], &[mutex.as_fd()])?;
    wait(&socket)?;
    tell("owner", "unlocks");
    drop(inside);
    Ok(())
}

/// The stranger: writes over the two pointers that libc keeps in a mutex, 24 bytes into it.
fn scribble_over_the_mutex() -> Result<()> {
    let owner = start(role("trusting"))?;
    let [descriptor] = scm_rights::receive(&owner.socket, &mut [0], 1)?.into_exactly()?;
    Region::from_fd(descriptor)?.map::<()>()?.copy_in(24, &[0x41; 16])?;
    tell("stranger", "writes 16 bytes");
    go(&owner.socket)?;
    tell("owner", owner.end()?);
    Ok(())
}
// ANCHOR_END: mutex

// ANCHOR: owner
/// Shares a region with a stranger, and a lock in it.
fn owner() -> Result<()> {
    let region = Region::create("shared", 4096)?;
    let word = region.map::<LockWord>()?;
    let mut lock = Lock::open(&region, 0)?;
    let inside = lock.lock(&word, Duration::ZERO)?;
    tell("owner", "is inside");
    let stranger = start(role("stranger"))?;
    scm_rights::send(&stranger.socket, &[0], &[region.as_fd()])?;
    wait(&stranger.socket)?;
    tell("owner", "is inside still, and unlocks");
    drop(inside);

    go(&stranger.socket)?;
    wait(&stranger.socket)?;
    match lock.lock(&word, Duration::from_millis(50)) {
        Ok(_) => tell("owner", "is inside as well"),
        Err(refused) => tell("owner", refused),
    }
    go(&stranger.socket)?;
    tell("stranger", stranger.end()?);
    for _ in 0..2 {
        let inside = lock.lock(&word, Duration::ZERO)?;
        tell("owner", format!("is inside; owner died: {}", inside.owner_died()));
    }
    Ok(())
}
// ANCHOR_END: owner

// ANCHOR: stranger
/// Writes what it likes into the region, then takes the lock and never gives it back.
fn stranger() -> Result<()> {
    let socket = other::socket()?;
    let [descriptor] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
    let region = Region::from_fd(descriptor)?;
    let (bytes, word) = (region.map::<()>()?, region.map::<LockWord>()?);
    let mut lock = Lock::open(&region, 0)?;
    for value in [0x41, 0xff, 0] {
        bytes.copy_in(0, &[value; 4096])?;
    }
    tell("stranger", "writes 0x41, 0xff and 0 over all of the region, and asks for the lock");
    match lock.lock(&word, Duration::from_millis(50)) {
        Ok(_) => tell("stranger", "is inside as well"),
        Err(refused) => tell("stranger", refused),
    }
    go(&socket)?;

    wait(&socket)?;
    let _inside = lock.lock(&word, Duration::ZERO)?;
    tell("stranger", "is inside, and keeps it");
    go(&socket)?;
    wait(&socket)?;
    kill_process(getpid(), Signal::KILL)?;
    Ok(())
}
// ANCHOR_END: stranger

fn all() -> Result<()> {
    println!("pthread's mutex, where a stranger can write:");
    scribble_over_the_mutex()?;
    println!("\nA lock that the kernel keeps:");
    owner()
}

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => all(),
        Some("trusting") => trusting(),
        Some("stranger") => stranger(),
        Some(role) => Err(format!("no role {role}: trusting, stranger, or nothing for all").into()),
    }
}
