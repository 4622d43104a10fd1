//! A region with pins: made, mapped, handed over, and what its two holders then share.
//!
//! Run it: `cargo run --example fd_30_ashmem_region`
//!
//! What to look for: the size is as it was asked for, and behind it the file has room for what is
//! known of the pins, which takes no memory until it is needed. The descriptor is all that was
//! handed over, and with it came name, size, bytes and the state of every page. What one of the two
//! unpins is unpinned for the other.

use std::error::Error;
use std::os::fd::{AsFd, AsRawFd};

use fd_shm::ashmem::{PinStatus, Pinning};
use fd_shm::{Region, scm_rights};
use rustix::fs::fstat;

#[path = "support/other.rs"]
mod other;
use other::{go, role, start, tell, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PAGE: usize = 4096;

// ANCHOR: owner
/// Makes the region and hands its descriptor over.
fn owner() -> Result<()> {
    let region = Region::create_with("frames", 10_000, Pinning::Kept)?;
    let mapping = region.map::<()>()?;
    mapping.copy_in(0, b"the owner's")?;
    let name = region.name()?;
    let file = fstat(&region)?;
    tell("owner", format!("made {name:?} of {} bytes, mapped it and wrote", region.len()));
    let pages = u64::try_from(file.st_size)? / 4096;
    let touched = u64::try_from(file.st_blocks)? / 8;
    tell("owner", format!("its file has {pages} pages, 3 of them for data; {touched} has memory so far"));

    let peer = start(role("peer"))?;
    scm_rights::send(&peer.socket, &[0], &[region.as_fd()])?;
    wait(&peer.socket)?;
    let mut bytes = [0; 10];
    mapping.copy_out(0, &mut bytes)?;
    tell("owner", format!("reads \"{}\"", String::from_utf8_lossy(&bytes)));
    for page in 0..3 {
        tell("owner", format!("page {page} is {}", state(region.pin_status(page * PAGE, PAGE)?)));
    }
    print!("{}", maps("owner")?);
    go(&peer.socket)?;
    peer.end()?;
    Ok(())
}
// ANCHOR_END: owner

// ANCHOR: peer
/// Takes the descriptor, and asks it for everything else.
fn peer() -> Result<()> {
    let socket = other::socket()?;
    let [descriptor] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
    let region = Region::from_fd(descriptor)?;
    let mapping = region.map::<()>()?;
    tell(
        "peer",
        format!(
            "received {:?} of {} bytes; its pins are kept: {}",
            region.name()?,
            region.len(),
            yes(region.pinning() == Pinning::Kept)
        ),
    );
    mapping.copy_in(0, b"the peer's")?;
    region.unpin(PAGE, PAGE)?;
    tell("peer", "writes into page 0, and unpins page 1");
    go(&socket)?;

    wait(&socket)?;
    print!("{}", maps("peer")?);
    let through_proc = std::fs::File::open(format!("/proc/self/fd/{}", region.as_fd().as_raw_fd()))?;
    let again = fstat(&through_proc)?.st_ino == fstat(&region)?.st_ino;
    tell("peer", format!("opens it again through /proc: the same memory: {}", yes(again)));
    Ok(())
}
// ANCHOR_END: peer

fn yes(holds: bool) -> &'static str {
    if holds { "yes" } else { "no" }
}

fn state(status: PinStatus) -> &'static str {
    match status {
        PinStatus::Pinned => "pinned",
        PinStatus::Unpinned => "unpinned",
    }
}

/// Where this process has the region, as the kernel lists it: all of the data, and what is known of the pins.
fn maps(role: &str) -> Result<String> {
    let lines = std::fs::read_to_string("/proc/self/maps")?;
    let lines = lines.lines().filter(|line| line.contains("/memfd:frames"));
    Ok(lines.map(|line| format!("  {role:10}{line}\n")).collect())
}

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("peer") => peer(),
        _ => owner(),
    }
}
