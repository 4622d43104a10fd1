//! 64 MiB from malloc, from System V and in a memory file: which counter sees them, step by step.
//!
//! Run it: `cargo run --example who_counts`
//!
//! What to look for: no counter of a heap (the last two of the process) ever sees shared memory. That of
//! resident memory does, as soon as a page is touched, and it is what the killers of processes look at. And
//! the rows in which the process has nothing and the system has 64: memory that no process shows.

#![allow(unsafe_code)] // mallinfo2(3), which no crate wraps

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::process::{Command, ExitCode};

use fd_shm::{Mapping, Region};
use rustix::param::page_size;
use sysv_shm::{Attachment, Key, Segment};

#[path = "support/rounds.rs"]
mod rounds;
use rounds::settle;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const MIB: i64 = 1 << 20;
const SIZE: usize = 64 << 20;

/// Four counters of `/proc/self/status`, one of malloc's, and two of `/proc/meminfo`.
const COUNTERS: [&str; 7] = ["VmRSS", "RssAnon", "RssShmem", "VmData", "mallinfo2", "Shmem", "Committed_AS"];

// ANCHOR: counters
/// What all counters say now, in bytes.
fn look() -> Result<[i64; COUNTERS.len()]> {
    let (process, system) = (fs::read_to_string("/proc/self/status")?, fs::read_to_string("/proc/meminfo")?);
    let mut seen = [0; COUNTERS.len()];
    for (seen, counter) in seen.iter_mut().zip(COUNTERS) {
        *seen = match counter {
            "mallinfo2" => heap()?,
            "Shmem" | "Committed_AS" => line(&system, counter)?,
            _ => line(&process, counter)?,
        };
    }
    Ok(seen)
}

/// `Name:   123 kB`, in bytes.
fn line(text: &str, name: &str) -> Result<i64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = value.and_then(|value| value.trim().strip_suffix("kB"));
    Ok(value.ok_or_else(|| format!("there is no {name}"))?.trim().parse::<i64>()? * 1024)
}

/// What malloc has from the kernel: in its arena, and in mappings of its own.
fn heap() -> Result<i64> {
    // SAFETY: mallinfo2(3) takes nothing and returns numbers.
    let info = unsafe { libc::mallinfo2() };
    Ok(i64::try_from(info.arena + info.hblkhd)?)
}
// ANCHOR_END: counters

// ANCHOR: lives
/// The life of 64 MiB, a step at a time. What a step makes is kept until a later one drops it.
trait Life {
    /// The steps, by the calls that they are.
    const STEPS: &'static [&'static str];
    /// Takes one.
    fn step(&mut self, number: usize) -> Result<()>;
}

#[derive(Default)]
struct Malloc(Vec<u8>);

impl Life for Malloc {
    const STEPS: &'static [&'static str] = &["malloc", "touch", "free"];

    fn step(&mut self, number: usize) -> Result<()> {
        match number {
            0 => self.0 = black_box(Vec::with_capacity(SIZE)),
            1 => pages().for_each(|page| {
                black_box(self.0.spare_capacity_mut()[page].write(1));
            }),
            _ => self.0 = Vec::new(),
        }
        Ok(())
    }
}

#[derive(Default)]
struct SystemV {
    segment: Option<sysv_shm::OwnedSegment>,
    attached: Option<Attachment>,
}

impl Life for SystemV {
    const STEPS: &'static [&'static str] = &["shmget", "shmat", "touch", "shmdt", "IPC_RMID"];

    fn step(&mut self, number: usize) -> Result<()> {
        match (number, &self.segment, &self.attached) {
            (0, ..) => self.segment = Some(Segment::create(Key::PRIVATE, SIZE)?.remove_on_drop()),
            (1, Some(segment), _) => self.attached = Some(segment.attach()?),
            (2, _, Some(attached)) => pages().try_for_each(|page| attached.copy_in(page, &[1]))?,
            (3, ..) => self.attached = None,
            _ => self.segment = None,
        }
        Ok(())
    }
}

#[derive(Default)]
struct Memfd {
    region: Option<Region>,
    mapping: Option<Mapping>,
}

impl Life for Memfd {
    const STEPS: &'static [&'static str] = &["memfd_create", "mmap", "touch", "munmap", "close"];

    fn step(&mut self, number: usize) -> Result<()> {
        match (number, &self.region, &self.mapping) {
            (0, ..) => self.region = Some(Region::create("counted", SIZE)?),
            (1, Some(region), _) => self.mapping = Some(region.map()?),
            (2, _, Some(mapping)) => pages().try_for_each(|page| mapping.copy_in(page, &[1]))?,
            (3, ..) => self.mapping = None,
            _ => self.region = None,
        }
        Ok(())
    }
}
// ANCHOR_END: lives

/// The offset of every page.
fn pages() -> impl Iterator<Item = usize> {
    (0..SIZE).step_by(page_size())
}

// ANCHOR: live
/// Lives it once: what each step changes.
fn live<L: Life + Default>() -> Result<Vec<[i64; COUNTERS.len()]>> {
    let mut life = L::default();
    let step = |number| {
        let before = look()?;
        life.step(number)?;
        let after = look()?;
        Ok(std::array::from_fn(|counter| after[counter] - before[counter]))
    };
    (0..L::STEPS.len()).map(step).collect()
}

/// Prints what each step has changed by then. The pages of tables, stacks and other people are less than
/// half of it.
fn show<L: Life + Default>(who: &str) -> Result<()> {
    let totals = settle(64 * MIB, live::<L>)?;
    for (number, (step, totals)) in L::STEPS.iter().zip(totals).enumerate() {
        print!("  {:10}{step:14}", if number == 0 { who } else { "" });
        for (total, counter) in totals.into_iter().zip(COUNTERS) {
            let text = if total == 0 { "-".into() } else { (64 * total).to_string() };
            print!(" {text:>0$}", counter.len() + 1);
        }
        println!();
    }
    Ok(())
}
// ANCHOR_END: live

fn tour() -> Result<()> {
    println!("What 64 MiB have added to each counter, in MiB, to the nearest 64:\n");
    print!("  {:24}", "after");
    COUNTERS.iter().for_each(|counter| print!(" {counter:>0$}", counter.len() + 1));
    println!();
    for role in ["malloc", "System V", "memfd"] {
        println!();
        // A process each, so that none has the memory of another.
        if !Command::new("/proc/self/exe").arg(role).status()?.success() {
            return Err(format!("{role} failed").into());
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        None => tour(),
        Some("malloc") => show::<Malloc>("malloc"),
        Some("System V") => show::<SystemV>("System V"),
        Some("memfd") => show::<Memfd>("memfd"),
        Some(other) => Err(format!("no role {other}: say nothing, the program starts them itself").into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("who_counts: {error}");
            ExitCode::FAILURE
        }
    }
}
