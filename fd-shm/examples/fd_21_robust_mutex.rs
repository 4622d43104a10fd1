//! A robust mutex between two processes that trust each other: one is killed inside, the other is told.
//!
//! Run it: `cargo run --example fd_21_robust_mutex`
//!
//! What to look for: the owner dies with the money in nobody's hands. The next one is not kept waiting and
//! not let in as if nothing had happened: it is told, and repairs before it says so. Who unlocks without
//! saying so has closed the account for everybody. None of this helps against an owner that lives and stays
//! inside: that takes a limit on the wait.

#![allow(unsafe_code)] // a promise for each process: only trusted peers have the mutex

use std::error::Error;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use fd_shm::lock::RobustMutex;
use fd_shm::{scm_rights, shareable};
use rustix::process::{Signal, getpid, kill_process};

#[path = "support/other.rs"]
mod other;
use other::{go, role, start, tell, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: account
/// Two purses with 100 in all, whenever nobody is inside.
#[repr(C)]
struct Account {
    left: AtomicU32,
    right: AtomicU32,
}
shareable!(Account { left: AtomicU32, right: AtomicU32 });
// ANCHOR_END: account

// ANCHOR: owner
/// Takes 30 out of the left purse, and is killed before it has put them into the right one.
fn owner() -> Result<()> {
    let socket = other::socket()?;
    let [descriptor] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
    // SAFETY: the heir made the mutex, and the two are one program: nobody else has the descriptor.
    let account = unsafe { RobustMutex::<Account>::from_fd(descriptor) }?;
    let inside = account.lock()?;
    inside.left.fetch_sub(30, Relaxed);
    tell("owner", "is inside and has taken 30 from the left purse");
    go(&socket)?;
    kill_process(getpid(), Signal::KILL)?;
    unreachable!("nobody survives SIGKILL");
}
// ANCHOR_END: owner

// ANCHOR: limit
/// Asks with a limit while a living owner is inside and does nothing; then the owner goes on.
fn limit(account: &RobustMutex<Account>) -> Result<()> {
    let idler = start(role("idler"))?;
    scm_rights::send(&idler.socket, &[0], &[account.as_fd()])?;
    wait(&idler.socket)?;
    let refused = account.lock_for(Duration::from_millis(20)).err().ok_or("let in beside the owner")?;
    tell("heir", refused);
    go(&idler.socket)?;
    tell("idler", idler.end()?);
    let inside = account.lock_for(Duration::from_secs(60))?;
    tell("heir", format!("is inside; owner died: {}", inside.owner_died()));
    Ok(())
}

/// Is inside, and waits there for somebody who will not say anything for a while.
fn idler() -> Result<()> {
    let socket = other::socket()?;
    let [descriptor] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
    // SAFETY: as for the owner.
    let account = unsafe { RobustMutex::<Account>::from_fd(descriptor) }?;
    let inside = account.lock()?;
    tell("idler", "is inside, and waits there for something else");
    go(&socket)?;
    wait(&socket)?;
    drop(inside);
    Ok(())
}
// ANCHOR_END: limit

// ANCHOR: heir
/// Waits for the mutex that the owner holds, and is told how it got it.
fn heir(account: &RobustMutex<Account>, repairs: bool) -> Result<()> {
    let owner = start(role("owner"))?;
    scm_rights::send(&owner.socket, &[0], &[account.as_fd()])?;
    wait(&owner.socket)?;
    let mut inside = account.lock()?;
    tell("owner", owner.end()?);
    let (left, right) = (inside.left.load(Relaxed), inside.right.load(Relaxed));
    tell("heir", format!("is inside; owner died: {}; purses {left} + {right}", inside.owner_died()));
    if repairs {
        inside.right.store(100 - left, Relaxed);
        inside.make_consistent()?;
        tell("heir", format!("repairs: {left} + {}, says that it did, and unlocks", 100 - left));
    } else {
        tell("heir", "looks away, and unlocks");
    }
    drop(inside);
    match account.lock() {
        Ok(inside) => tell("the next", format!("is inside; owner died: {}", inside.owner_died())),
        Err(refused) => tell("the next", refused),
    }
    Ok(())
}
// ANCHOR_END: heir

fn both() -> Result<()> {
    for (title, repairs) in [("The heir repairs:", true), ("\nThe heir does not:", false)] {
        println!("{title}");
        // SAFETY: the descriptor is sent to a process of this program, which sends it to nobody.
        let account = unsafe { RobustMutex::<Account>::create("account") }?;
        account.lock()?.left.store(100, Relaxed);
        heir(&account, repairs)?;
    }
    println!("\nThe owner lives, and does not come to its unlock:");
    // SAFETY: as above.
    limit(&unsafe { RobustMutex::<Account>::create("account") }?)
}

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => both(),
        Some("owner") => owner(),
        Some("idler") => idler(),
        Some(role) => Err(format!("no role {role}: owner, idler, or nothing for both").into()),
    }
}
