//! Scripts on a real driver, compared with what was recorded.
//!
//! It runs where `/dev/binder` is: `.ci/real-kernel/binder` takes it there. It has a main function of its
//! own, so that the program has one thread when it forks.
//!
//! Then come random scripts, `CASES` of them from `SEED` on, compared with the simulated driver.
//!
//! `SCRIPTS=WORD` runs the curated scripts whose names hold the word. `BLESS=1` leaves what they saw in the
//! folder `RESULTS`, and on the machine that has the sources `--merge KERNEL FOLDER` puts that into
//! `scripts/`.

#![allow(unsafe_code)]

mod actor;
mod arena;
mod curated;
mod files;
#[path = "../support/generator/mod.rs"]
mod generator;
#[path = "../support/guest.rs"]
mod guest;
mod ioctl;
mod random;
mod reply;
mod settle;
mod signal;
mod stage;

use nix::unistd::ForkResult;
use std::process::ExitCode;

/// `fork`: for this program, which has one thread, the child is a whole program too.
fn fork() -> ForkResult {
    // SAFETY: fork(2) wants a child of a program with threads to call nothing but async-signal-safe
    // functions; the stage never starts a thread.
    unsafe { nix::unistd::fork() }.expect("a process")
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, kernel, folder] = &arguments[..]
        && flag == "--merge"
    {
        curated::merge(kernel, folder.as_ref());
        return ExitCode::SUCCESS;
    }
    if !std::path::Path::new("/dev/binder").exists() {
        eprintln!("not run: this kernel has no /dev/binder; .ci/real-kernel/binder boots one that has");
        return ExitCode::SUCCESS;
    }
    settle::prepare();
    let good = curated::run() & random::run();
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
