//! One memory file gets one seal after another, and after each the same things are tried.
//!
//! Run it: `cargo run --example fd_16_seals_add_up`
//!
//! What to look for: a seal takes away what it names and nothing else, and nothing ever comes back. A mapping
//! from before outlives F_SEAL_FUTURE_WRITE, and F_SEAL_WRITE is not to be had until it has gone; from then
//! on the bytes stand still, for their maker as well.

use std::error::Error;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use fd_shm::{FixedFd, Mapping, Memfd, Seals};
use memmap2::MmapOptions;
use nix::errno::Errno;
use rustix::fs::{FallocateFlags, Mode, fallocate, fchmod};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PAGE: u64 = 4096;

/// What is tried, in the order of the table.
const ATTEMPTS: [&str; 9] = [
    "a page less",
    "a page more",
    "pwrite",
    "a store, mapped before",
    "a new writable mapping",
    "a new mapping to read",
    "punching a hole",
    "fchmod(0777)",
    "adding a seal",
];

// ANCHOR: attempt
/// Tries one thing, and undoes it where that is still possible.
fn attempt(what: &str, memfd: &Memfd, before: Option<&Mapping>) -> Result<String> {
    let file = File::from(memfd.as_fd().try_clone_to_owned()?);
    let len = memfd.len()?;
    Ok(match what {
        "a page less" => {
            let cut = memfd.set_len(len - PAGE);
            if cut.is_ok() {
                memfd.set_len(len)?;
            }
            in_a_word(errno(cut))
        }
        "a page more" => in_a_word(errno(memfd.set_len(len + PAGE))),
        "pwrite" => in_a_word(file.write_at(b"x", 0).map_err(|e| e.raw_os_error())),
        "a store, mapped before" => match before {
            Some(mapping) => in_a_word(errno(mapping.copy_in(0, b"x"))),
            None => "-".into(),
        },
        // Mapped and unmapped, and not touched: before the first seal it would not be safe to.
        "a new writable mapping" => in_a_word(mapped(MmapOptions::new().map_raw(&file))),
        "a new mapping to read" => in_a_word(mapped(MmapOptions::new().map_raw_read_only(&file))),
        "punching a hole" => {
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            in_a_word(fallocate(memfd, hole, 0, PAGE).map_err(|e| Some(e.raw_os_error())))
        }
        "fchmod(0777)" => {
            let executable = fchmod(memfd, Mode::from_raw_mode(0o777));
            in_a_word(executable.map_err(|e| Some(e.raw_os_error())))
        }
        _ => in_a_word(errno(memfd.add_seals(Seals::EXEC))), // which it has from birth
    })
}
// ANCHOR_END: attempt

fn errno(done: fd_shm::Result<()>) -> std::result::Result<(), Option<i32>> {
    done.map_err(|refused| refused.raw_os_error())
}

fn mapped<T>(done: std::io::Result<T>) -> std::result::Result<(), Option<i32>> {
    done.map(drop).map_err(|e| e.raw_os_error())
}

/// What the kernel said.
fn in_a_word<T>(done: std::result::Result<T, Option<i32>>) -> String {
    match done {
        Ok(_) => "done".into(),
        Err(errno) => errno.map_or_else(|| "refused".into(), |errno| format!("{:?}", Errno::from_raw(errno))),
    }
}

/// One step in the life of the file.
struct Step {
    /// What has happened to it.
    what: &'static str,
    /// What then comes of each attempt.
    answers: Vec<String>,
}

// ANCHOR: seals
/// The life of the file, and what the kernel says to `F_SEAL_WRITE` while somebody has it mapped for writing.
fn life() -> Result<(Vec<Step>, String)> {
    let memfd = Memfd::create("message")?;
    memfd.set_len(2 * PAGE)?;
    let mut steps = Vec::new();
    let mut then = |what, before: Option<&Mapping>| -> Result<()> {
        let answers = ATTEMPTS.into_iter().map(|what| attempt(what, &memfd, before));
        steps.push(Step { what, answers: answers.collect::<Result<_>>()? });
        Ok(())
    };

    then("born", None)?;
    memfd.add_seals(Seals::SHRINK)?;
    let mapping = FixedFd::new(memfd.as_fd().try_clone_to_owned()?)?.map()?;
    then("+SHRINK", Some(&mapping))?;
    memfd.add_seals(Seals::GROW)?;
    then("+GROW", Some(&mapping))?;
    memfd.add_seals(Seals::FUTURE_WRITE)?;
    then("+FUTURE_WRITE", Some(&mapping))?;
    let too_early = in_a_word(errno(memfd.add_seals(Seals::WRITE)));
    drop(mapping);
    memfd.add_seals(Seals::WRITE)?;
    then("+WRITE", None)?;
    memfd.add_seals(Seals::SEAL)?;
    then("+SEAL", None)?;
    Ok((steps, too_early))
}
// ANCHOR_END: seals

fn main() -> Result<()> {
    let (steps, too_early) = life()?;
    println!("A memory file of two pages, born with F_SEAL_EXEC, gets one seal after another.\n");
    print!("  {:24}", "what is tried");
    for step in &steps {
        print!(" {:13}", step.what);
    }
    println!();
    for (row, what) in ATTEMPTS.iter().enumerate() {
        print!("  {what:24}");
        for step in &steps {
            print!(" {:13}", step.answers[row]);
        }
        println!();
    }
    println!("\n  +WRITE while the mapping from before was still there: {too_early}");
    Ok(())
}
