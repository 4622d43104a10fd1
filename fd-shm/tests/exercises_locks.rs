//! The exercises of the book's chapter on locks in the region: each test tells whether one is solved.
//!
//! `cargo test -p fd-shm --test exercises_locks NAME` judges what is in `exercises/NAME.rs`; with `--features
//! solutions`, the solutions.

#![allow(unsafe_code)] // the promise that only this program has the mutex
#![cfg(not(target_os = "android"))] // bionic has no robust mutexes

#[path = "../../sysv-shm/tests/support/exercise.rs"]
mod exercise;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/gate.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/gate.rs")]
mod gate;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/repair.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/repair.rs")]
mod repair;

use std::cell::Cell;
use std::fs;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::Relaxed, Ordering::SeqCst};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use exercise::{Verdict, check, judge};
use fd_shm::lock::RobustMutex;
use fd_shm::{Mapping, Region, futex};
use repair::Account;
use rustix::thread::gettid;

/// The text of any error.
fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[test]
fn gate() {
    judge("gate", nobody_passes_a_closed_gate().and_then(|()| everybody_passes_an_open_one()));
}

/// Somebody at the gate: a thread, and whether it sleeps.
struct Waiter<'scope> {
    thread: ScopedJoinHandle<'scope, Result<(), String>>,
    id: i32,
}

impl<'scope> Waiter<'scope> {
    fn start(scope: &'scope Scope<'scope, '_>, word: &'scope AtomicU32, id: &'scope AtomicI32) -> Self {
        let thread = scope.spawn(move || {
            id.store(gettid().as_raw_nonzero().get(), SeqCst);
            gate::pass(word).map_err(in_words)
        });
        while id.load(SeqCst) == 0 {
            thread::yield_now();
        }
        Self { thread, id: id.load(SeqCst) }
    }

    /// Waits until it sleeps, which it does nowhere but at the gate, or has gone through: whether it sleeps.
    /// One that looks at the word again and again does not.
    fn sleeps(&self) -> bool {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let stat = fs::read_to_string(format!("/proc/self/task/{}/stat", self.id)).unwrap_or_default();
            let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
            if self.thread.is_finished() || Instant::now() > end {
                return false;
            }
            if state == Some('S') {
                return true;
            }
            thread::yield_now();
        }
    }
}

fn word() -> Result<Mapping<AtomicU32>, String> {
    Region::create("gate", 4096).and_then(|region| region.map()).map_err(in_words)
}

/// Wakes a waiter that has no reason to go.
fn nobody_passes_a_closed_gate() -> Verdict {
    let (word, id) = (word()?, AtomicI32::new(0));
    thread::scope(|scope| {
        let waiter = Waiter::start(scope, &word, &id);
        let mut stayed = true;
        for _ in 0..3 {
            while waiter.sleeps() && futex::wake(&word, 1).map_err(in_words)? == 0 {}
            stayed &= waiter.sleeps();
        }
        word.store(1, SeqCst);
        futex::wake(&word, 1).map_err(in_words)?;
        waiter.thread.join().expect("no panic")?;
        check(stayed, "one who is woken goes through a closed gate, or does not sleep")
    })
}

fn everybody_passes_an_open_one() -> Verdict {
    let (word, ids) = (word()?, [(); 3].map(|()| AtomicI32::new(0)));
    thread::scope(|scope| {
        let waiters: Vec<_> = ids.iter().map(|id| Waiter::start(scope, &word, id)).collect();
        let asleep = waiters.iter().filter(|waiter| waiter.sleeps()).count();
        gate::open(&word).map_err(in_words)?;
        // Whoever is woken by this was left asleep.
        let left = futex::wake(&word, u32::MAX).map_err(in_words)?;
        waiters.into_iter().try_for_each(|waiter| waiter.thread.join().expect("no panic"))?;
        check(asleep == 3, "somebody goes through a closed gate, or does not sleep")?;
        check(left == 0, format!("{left} of 3 sleep on when the gate is open"))?;
        gate::pass(&word).map_err(in_words) // and one who comes later
    })
}

#[test]
fn repair() {
    judge("repair", (1..=4).try_for_each(the_account_is_in_order));
}

/// A thread that ends with the mutex stands for a process that is killed: the kernel walks the same list.
fn the_account_is_in_order(stores: u32) -> Verdict {
    // SAFETY: the descriptor is given to nobody.
    let account = unsafe { RobustMutex::<Account>::create("account") }.map_err(in_words)?;
    account.lock().map_err(in_words)?.left.store(100, Relaxed);
    thread::scope(|scope| scope.spawn(|| die_after(&account, stores)).join())
        .expect_err("it ends by a panic");
    let mut inside = account.lock().map_err(in_words)?;
    check(inside.owner_died(), "nobody died")?;
    repair::repair(&mut inside).map_err(in_words)?;
    drop(inside);
    let what = format!("killed after {stores} of 4 stores");
    let inside = account.lock().map_err(|e| format!("{what}: {e}"))?;
    let [left, right, moving] = [&inside.left, &inside.right, &inside.moving].map(|word| word.load(Relaxed));
    let whole = (left, right) == (100, 0) || (left, right) == (70, 30);
    check(whole && moving == 0, format!("{what}: {left} + {right}, and {moving} on its way"))
}

/// Moves 30, and ends after so many stores, without unlocking.
fn die_after(account: &RobustMutex<Account>, stores: u32) {
    let inside = std::mem::ManuallyDrop::new(account.lock().expect("a mutex that is whole"));
    let done = Cell::new(0);
    repair::transfer(&inside, 30, || {
        done.set(done.get() + 1);
        if done.get() == stores {
            std::panic::resume_unwind(Box::new("killed")); // without a word on standard error
        }
    });
}
