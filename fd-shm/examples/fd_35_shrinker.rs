//! A keeper purges what two other processes have unpinned: which range goes first, and what that frees.
//!
//! Run it: `cargo run --example fd_35_shrinker`
//!
//! What to look for: one order goes through the regions of both, by when a range was unpinned. A range goes
//! as a whole, so more may be taken than was asked for; pages that were never touched count and free nothing;
//! and what its owner has pinned in time stays.

use std::error::Error;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use fd_shm::ashmem::{Freed, Pinning, Shrinker};
use fd_shm::{Region, scm_rights};

#[path = "support/other.rs"]
mod other;
use other::{Other, go, role, start, tell, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PAGE: usize = 4096;

// ANCHOR: owner
/// Makes a region of 16 pages, touches 12, and does one step whenever it is told to.
fn owner(name: &str) -> Result<()> {
    let socket = other::socket()?;
    let region = Region::create_with(name, 16 * PAGE, Pinning::Kept)?;
    region.map::<()>()?.copy_in(0, &[1; 12 * PAGE])?;
    scm_rights::send(&socket, &[0], &[region.as_fd()])?;
    let steps: &[(&str, usize, usize)] = match name {
        "camera" => &[("unpins", 0, 7), ("unpins", 8, 11), ("pins", 8, 11)],
        _ => &[("unpins", 0, 3), ("unpins", 8, 15), ("pins", 0, 15)],
    };
    for (what, first, last) in steps {
        wait(&socket)?;
        let (offset, len) = (first * PAGE, (last + 1 - first) * PAGE);
        if *what == "unpins" {
            region.unpin(offset, len)?;
            tell(name, format!("unpins pages {first}-{last}"));
        } else {
            let lost = region.pin(offset, len)?.was_purged();
            let answer = if lost { "WAS_PURGED" } else { "NOT_PURGED" };
            tell(name, format!("pins pages {first}-{last}: {answer}"));
        }
        go(&socket)?;
    }
    Ok(())
}
// ANCHOR_END: owner

// ANCHOR: keeper
/// Holds a descriptor of each region, and purges when memory is short.
fn keeper() -> Result<()> {
    let mut shrinker = Shrinker::new();
    let camera = enter("camera", &mut shrinker)?;
    let music = enter("music", &mut shrinker)?;
    let next = |owner: &Other| go(&owner.socket).and_then(|()| wait(&owner.socket));
    next(&camera)?;
    next(&music)?;
    next(&camera)?;
    next(&music)?;
    tell("keeper", format!("could purge {} pages, and is asked for one", shrinker.purgeable_pages()));
    say(&shrinker.shrink(1));
    next(&camera)?;

    tell("keeper", "waits for the kernel to say that memory is short; something else says it here");
    let (trigger, mut kernel) = UnixStream::pair()?;
    kernel.write_all(b"!")?;
    let freed = shrinker.shrink_under_pressure(&trigger, Duration::from_secs(10), 5)?;
    say(&freed.ok_or("the trigger has not fired")?);

    tell("keeper", format!("could purge {} pages more", shrinker.purgeable_pages()));
    next(&music)?;
    camera.end()?;
    music.end()?;
    Ok(())
}

/// Starts an owner, and takes its region into care.
fn enter(name: &str, shrinker: &mut Shrinker) -> Result<Other> {
    let owner = start(role(name))?;
    let [descriptor] = scm_rights::receive(&owner.socket, &mut [0], 1)?.into_exactly()?;
    shrinker.add(&Region::from_fd(descriptor)?)?;
    Ok(owner)
}
// ANCHOR_END: keeper

fn say(freed: &Freed) {
    for purged in &freed.purged {
        let (owner, range) = (["camera", "music"][purged.region], purged.range);
        let pages = format!("pages {}-{} of {owner}", range.first, range.end - 1);
        tell("keeper", format!("has purged {pages}, which had {} KiB", purged.bytes / 1024));
    }
}

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => keeper(),
        Some(name) => owner(name),
    }
}
