//! 64 MiB are unpinned and purged: what becomes of the memory, and who notices.
//!
//! Run it: `cargo run --example fd_34_memory_falls`
//!
//! What to look for: unpinning frees nothing. The purge, by another process, takes memory out of the file,
//! out of the system's account and out of a process that was not asked; its mapping stays and reads zeros. A
//! region as Android's own memory files have it is unpinned as politely, and keeps everything.

use std::error::Error;
use std::fs;
use std::os::fd::AsFd;

use fd_shm::ashmem::Pinning;
use fd_shm::{Mapping, Region, scm_rights};
use rustix::fs::fstat;

#[path = "support/other.rs"]
#[allow(dead_code)] // shared by examples, of which each uses its part
mod other;
use other::{go, role, start, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const SIZE: usize = 64 << 20;
const PAGE: usize = 4096;
const MIB: i64 = 1 << 20;

/// Shmem is everybody's, so all is done so often, and the middle one of its figures counts.
const ROUNDS: usize = 5;

// ANCHOR: counted
/// The file's blocks, this process's shared memory, and the system's, in bytes.
fn look(region: &Region) -> Result<[i64; 3]> {
    #[allow(clippy::useless_conversion)] // unsigned on some machines
    let blocks = i64::try_from(fstat(region)?.st_blocks)? * 512;
    Ok([blocks, line("/proc/self/status", "RssShmem:")?, line("/proc/meminfo", "Shmem:")?])
}

/// `Name:   123 kB`, in bytes.
fn line(path: &str, name: &str) -> Result<i64> {
    let text = fs::read_to_string(path)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
    Ok(value.ok_or("no such line")?.parse::<i64>()? * 1024)
}

/// What each step changed: the touch, the unpin, and the purge by somebody else.
fn life(pinning: Pinning) -> Result<[[i64; 3]; 3]> {
    let region = Region::create_with("lent", SIZE, pinning)?;
    let mapping = region.map::<()>()?;
    region.pin_status(0, 0)?; // so that what is kept of the pins has its memory already
    let born = look(&region)?;
    touch(&mapping)?;
    let touched = look(&region)?;
    region.unpin(0, 0)?;
    let unpinned = look(&region)?;
    let other = start(role("other"))?;
    scm_rights::send(&other.socket, &[0], &[region.as_fd()])?;
    wait(&other.socket)?;
    let purged = look(&region)?;
    other.end()?;
    let change = |from: [i64; 3], to: [i64; 3]| [to[0] - from[0], to[1] - from[1], to[2] - from[2]];
    Ok([change(born, touched), change(touched, unpinned), change(unpinned, purged)])
}
// ANCHOR_END: counted

/// The other process, which has mapped nothing.
fn other() -> Result<()> {
    let socket = other::socket()?;
    let [descriptor] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
    Region::from_fd(descriptor)?.purge_all()?;
    Ok(go(&socket)?)
}

fn touch(mapping: &Mapping) -> Result<()> {
    for page in (0..SIZE).step_by(PAGE) {
        mapping.copy_in(page, &[1])?;
    }
    Ok(())
}

fn tour() -> Result<()> {
    println!("What each step has changed for 64 MiB, in MiB:");
    for (pinning, what) in [
        (Pinning::Kept, "A region that keeps its pins:"),
        (Pinning::Ignored, "One whose pins are ignored, as Android's memory files have it:"),
    ] {
        let mut lives = Vec::new();
        for _ in 0..ROUNDS {
            lives.push(life(pinning)?);
        }
        println!("\n{what}");
        println!(
            "  {:24}{:>16}{:>22}{:>22}",
            "", "the file's memory", "the owner's RssShmem", "the system's Shmem"
        );
        for (step, name) in
            ["the owner touches it", "the owner unpins it", "the other purges it"].iter().enumerate()
        {
            print!("  {name:24}");
            for (counter, width) in [16, 22, 22].into_iter().enumerate() {
                let mut changes: Vec<_> = lives.iter().map(|life| life[step][counter]).collect();
                changes.sort_unstable();
                print!("{:>width$}", in_mib(changes[ROUNDS / 2], counter == 0));
            }
            println!();
        }
    }
    Ok(())
}

/// The file's own blocks are exact; of what others change too, a quarter of 64 MiB is let pass.
fn in_mib(bytes: i64, exact: bool) -> String {
    let near = [-64 * MIB, 0, 64 * MIB].into_iter().find(|whole| (bytes - whole).abs() <= 16 * MIB);
    match near {
        Some(0) if bytes == 0 || !exact => "-".into(),
        Some(whole) if bytes == whole => format!("{:+}", whole / MIB),
        Some(whole) if !exact => format!("{:+}", whole / MIB),
        _ => format!("{bytes:+} bytes"),
    }
}

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("other") => other(),
        _ => tour(),
    }
}
