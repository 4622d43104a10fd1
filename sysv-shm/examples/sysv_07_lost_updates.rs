//! Two processes add to one word, a million times each: shared memory has no turns. With a load and a store
//! they undo each other's work, an atomic addition loses nothing, nor does a lock; and what becomes of the
//! lock when its owner is killed.
//!
//! Run it:                  `cargo run --example sysv_07_lost_updates`
//!
//! What to look for: the first four lines, which are the whole bug; the exact sums after it; and the last two
//! paragraphs, which differ by one flag, SEM_UNDO.

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use rustix::process::{Signal, set_parent_process_death_signal};
use sysv_shm::{Attachment, Key, Operation, Segment, SemaphoreSet, shareable};

#[path = "support/stage.rs"]
#[allow(unreachable_pub, dead_code)]
// one file, quoted by every tour, which uses its part: `pub` is what its readers would write
mod stage;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A segment and a set of semaphores can have the same key: they are two worlds.
const KEY: Key = Key::new(0x5348_4d37);
const MILLION: u32 = 1_000_000;
/// A lock takes two system calls a round, and more when the two have to wait for each other.
const FEWER: u32 = 20_000;

// ANCHOR: shared
#[repr(C)]
struct Shared {
    /// What both add to.
    word: AtomicU32,
    /// Two words that should be equal whenever nobody holds the lock.
    begun: AtomicU32,
    finished: AtomicU32,
}
shareable!(Shared { word: AtomicU32, begun: AtomicU32, finished: AtomicU32 });

/// The semaphores: a gate where the two wait for each other, two turns, and a lock.
const GATE: u16 = 0;
const YOUR_TURN: u16 = 1;
const MY_TURN: u16 = 2;
const LOCK: u16 = 3;
// ANCHOR_END: shared

// ANCHOR: add
/// What `word += 1` does: a load, an addition, a store. It is spelled out with atomics because two processes
/// doing that to plain memory are a data race, which Rust leaves undefined; relaxed ones promise no more than
/// it does.
fn add_plainly(word: &AtomicU32) {
    let seen = word.load(Relaxed);
    word.store(seen + 1, Relaxed);
}

/// One step, which nobody can come in between.
fn add_atomically(word: &AtomicU32) {
    word.fetch_add(1, Relaxed);
}

/// The load and the store again, while nobody else is in between.
fn add_locked(word: &AtomicU32, set: &SemaphoreSet) -> Result<()> {
    let lock = set.lock(LOCK)?;
    add_plainly(word);
    Ok(lock.unlock()?)
}
// ANCHOR_END: add

// ANCHOR: once
/// The first of a million rounds, in slow motion. Nothing in it is wrong but the order.
fn first_round(role: &str, shared: &Shared, set: &SemaphoreSet) -> Result<()> {
    if role == "first" {
        let seen = shared.word.load(Relaxed);
        println!("first     loads {seen}");
        set.operate(&[Operation::add(YOUR_TURN)])?;
        set.operate(&[Operation::take(MY_TURN)])?;
        shared.word.store(seen + 1, Relaxed);
        println!("first     adds 1 to what it has loaded, and stores {}", seen + 1);
        println!("          two additions, and the word is {}", shared.word.load(Relaxed));
        set.operate(&[Operation::add(YOUR_TURN)])?;
    } else {
        set.operate(&[Operation::take(YOUR_TURN)])?;
        let seen = shared.word.load(Relaxed);
        shared.word.store(seen + 1, Relaxed);
        println!("second    loads {seen}, adds 1, and stores {}", seen + 1);
        set.operate(&[Operation::add(MY_TURN)])?;
        set.operate(&[Operation::take(YOUR_TURN)])?;
    }
    Ok(())
}
// ANCHOR_END: once

/// One of the two, or the one that is killed.
fn act(role: &str) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?; // who is stuck must not outlive the tour
    let shared: Attachment<Shared> = Segment::open(KEY, size_of::<Shared>())?.attach()?;
    let set = SemaphoreSet::open(KEY, 4)?;
    if let "marked" | "unmarked" = role {
        return hold(role, &shared, &set);
    }
    if let "first" | "second" = role {
        first_round(role, &shared, &set)?;
    }
    set.operate(&[Operation::take(GATE)])?; // it is 2 in the beginning:
    set.operate(&[Operation::wait_for_zero(GATE)])?; // both are here
    match role {
        "first" | "second" => (1..MILLION).for_each(|_| add_plainly(&shared.word)),
        "atomic" => (0..MILLION).for_each(|_| add_atomically(&shared.word)),
        "locked" => (0..FEWER).try_for_each(|_| add_locked(&shared.word, &set))?,
        _ => return Err(format!("unknown role {role:?}; none shows all").into()),
    }
    Ok(())
}

// ANCHOR: hold
/// Takes the lock, changes half of what belongs together, and is killed before it can do the rest.
fn hold(role: &str, shared: &Shared, set: &SemaphoreSet) -> Result<()> {
    let take = Operation::take(LOCK);
    set.operate(&[if role == "marked" { take.undo() } else { take }])?;
    shared.begun.fetch_add(1, Relaxed);
    println!("holder    has the lock, and has begun");
    set.operate(&[Operation::take(MY_TURN)])?; // which never comes
    shared.finished.fetch_add(1, Relaxed);
    Ok(())
}

fn killed_while_holding(role: &'static str, shared: &Shared, set: &SemaphoreSet) -> Result<()> {
    let mut stage = stage::Stage::new()?;
    let holder = stage.enter(role)?;
    stage.show_until("has begun")?;
    drop(holder); // kill -9, and waits until it is gone
    println!("          is killed");
    match set.lock_for(LOCK, Duration::from_millis(200)) {
        Ok(lock) => {
            let (begun, finished) = (shared.begun.load(Relaxed), shared.finished.load(Relaxed));
            println!(
                "next      has the lock at once, and was told nothing: begun {begun}, finished {finished}"
            );
            shared.finished.store(begun, Relaxed); // repaired, because it looked
            Ok(lock.unlock()?)
        }
        Err(error) if error.is_timed_out() => {
            println!("next      waits in vain: EAGAIN after 200 ms; without a time limit, for ever");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
// ANCHOR_END: hold

/// Lets two processes add, and says what became of it.
fn both(roles: [&'static str; 2], rounds: u32, shared: &Shared, set: &SemaphoreSet) -> Result<()> {
    shared.word.store(0, Relaxed);
    set.set(GATE, 2)?;
    let mut stage = stage::Stage::new()?;
    let actors = [stage.enter(roles[0])?, stage.enter(roles[1])?];
    stage.show_rest()?;
    actors.into_iter().try_for_each(stage::Actor::finish)?;
    let (all, arrived) = (2 * rounds, shared.word.load(Relaxed));
    let lost = if arrived < all { "yes".into() } else { format!("no, the word is {arrived}") };
    println!("          {all} additions; lost some: {lost}");
    Ok(())
}

fn tour() -> Result<()> {
    let segment = Segment::create_new(KEY, 4096)?.remove_on_drop();
    let shared = &*segment.attach::<Shared>()?;
    let set = &*SemaphoreSet::create_new(KEY, 4)?.remove_on_drop();
    set.initialise(&[2, 0, 0, 1])?;

    println!("A load and a store. The first round in slow motion, then on to a million each:");
    both(["first", "second"], MILLION, shared, set)?;
    println!("\nAn atomic addition, a million each:");
    both(["atomic", "atomic"], MILLION, shared, set)?;
    println!("\nA load and a store under a lock, {FEWER} each, for it is slow:");
    both(["locked", "locked"], FEWER, shared, set)?;
    println!("\nKilled while holding the lock, which was taken with SEM_UNDO:");
    killed_while_holding("marked", shared, set)?;
    println!("\nThe same without:");
    killed_while_holding("unmarked", shared, set)
}

fn main() -> ExitCode {
    let result = match env::args().nth(1) {
        None => tour(),
        Some(role) => act(&role),
    };
    if let Err(error) = result {
        eprintln!("sysv_07_lost_updates: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
