//! Sleeping on a word in a region until another process changes it: futex wait and wake.
//!
//! Run it: `cargo run --example fd_20_futex`
//!
//! What to look for: the word is the state, and the kernel only keeps those who sleep on it. A wait looks at
//! the word before it sleeps, and a wake-up says nothing about the word, so whoever is woken looks again.

use std::error::Error;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fd_shm::futex::{self, Wait};
use fd_shm::{Region, scm_rights};

#[path = "support/other.rs"]
mod other;
use other::{go, role, start, tell, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: sleeper
/// Sleeps until the word is 2, and says what woke it.
fn sleeper() -> Result<()> {
    let socket = other::socket()?;
    let [descriptor] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
    let word = Region::from_fd(descriptor)?.map::<AtomicU32>()?;

    let first = futex::wait(&word, 1, None)?;
    tell("sleeper", format!("{first:?}, and the word is {}", word.load(Ordering::Acquire)));
    go(&socket)?;

    while word.load(Ordering::Acquire) != 2 {
        futex::wait(&word, 1, None)?; // whatever ends it: the word decides
    }
    tell("sleeper", "the word is 2");
    Ok(())
}
// ANCHOR_END: sleeper

// ANCHOR: waker
/// Wakes the sleeper, at first for nothing.
fn waker() -> Result<()> {
    println!("Nobody else is there yet:");
    let region = Region::create("word", 4096)?;
    let word = region.map::<AtomicU32>()?;
    word.store(1, Ordering::Release);
    let answers = [futex::wait(&word, 0, None)?, futex::wait(&word, 1, Some(Duration::from_millis(5)))?];
    tell("waker", format!("to wait while it is 0, for ever: {:?}, it is 1", answers[0]));
    tell("waker", format!("to wait while it is 1, for 5 ms: {:?}", answers[1]));
    tell("waker", format!("to wake: {} woken", futex::wake(&word, 1)?));

    println!("\nA sleeper in another process, which waits while it is 1:");
    let sleeper = start(role("sleeper"))?;
    scm_rights::send(&sleeper.socket, &[0], &[region.as_fd()])?;
    tell("waker", "wakes it, and stores nothing");
    while futex::wake(&word, 1)? == 0 {
        std::thread::yield_now(); // it is not asleep yet
    }
    wait(&sleeper.socket)?;
    tell("waker", "stores 2, then wakes");
    word.store(2, Ordering::Release);
    futex::wake(&word, 1)?;
    tell("sleeper", sleeper.end()?);
    assert_eq!(answers, [Wait::Changed, Wait::TimedOut]);
    Ok(())
}
// ANCHOR_END: waker

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => waker(),
        Some("sleeper") => sleeper(),
        Some(role) => Err(format!("no role {role}: sleeper, or nothing for both").into()),
    }
}
