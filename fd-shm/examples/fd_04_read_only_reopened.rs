//! A read-only descriptor protects nothing: its receiver opens the file again, and writes.
//!
//! Run it: `cargo run --example fd_04_read_only_reopened`
//!
//! What to look for: the stranger never had a descriptor for writing, and writes all the same. The
//! mode of a memory file lets everybody open it, and /proc is the door. Taking the mode away closes
//! the door to other users, and its owner can put it back; the seal closes it to everybody for ever,
//! and the owner's mapping from before goes on writing. (As root the stranger is another user;
//! otherwise it is you, and the same holds.)

use std::error::Error;
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;

use fd_shm::{FixedFd, Region, scm_rights};
use rustix::fs::Mode;

#[path = "support/other.rs"]
mod other;
use other::{Other, role, start, tell, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The user whom nothing belongs to.
const NOBODY: u32 = 65534;

// ANCHOR: stranger
/// Tries to write to each region that it is given for reading.
fn stranger() -> Result<()> {
    let socket = other::socket()?;
    loop {
        let message = match scm_rights::receive(&socket, &mut [0], 1) {
            Err(end) if end.is_end_of_stream() => return Ok(()),
            message => message?,
        };
        let [descriptor] = message.into_exactly()?;
        let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
        let region = FixedFd::new(descriptor)?;
        tell("stranger", region.map::<()>().err().ok_or("mapped for writing")?);
        match File::options().read(true).write(true).open(&path) {
            Ok(again) => {
                tell("", format!("open({path}, O_RDWR): done"));
                tell("", said("pwrite", again.write_at(b"99", 8).map(drop)));
                let mapped = FixedFd::new(again.into())?.map::<()>();
                tell(
                    "",
                    mapped.map_or_else(|refused| refused.to_string(), |_| "mmap: mapped for writing".into()),
                );
            }
            Err(error) => tell("", said(&format!("open({path}, O_RDWR)"), Err(error))),
        }
        other::go(&socket)?;
    }
}
// ANCHOR_END: stranger

/// What a plain call said.
fn said(call: &str, outcome: std::io::Result<()>) -> String {
    let errno = outcome.err().and_then(|error| error.raw_os_error());
    format!(
        "{call}: {}",
        errno.map_or("done".into(), |errno| format!("{:?}", nix::errno::Errno::from_raw(errno)))
    )
}

// ANCHOR: owner
/// Gives a region away for reading: as it is, with the mode taken away, and sealed.
fn owner() -> Result<()> {
    let mut command = role("stranger");
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let stranger = match start(command) {
        Err(error) if error.kind() == ErrorKind::InvalidInput => {
            println!("not shown here: the user namespace has no user {NOBODY}");
            std::process::exit(77);
        }
        stranger => stranger?,
    };

    println!("The owner of a region hands it to a stranger, by a descriptor that is open for reading only.");
    println!("\nAs it was made:");
    give(&stranger, &ledger()?)?;

    println!("\nWith fchmod(0400):");
    let region = ledger()?;
    rustix::fs::fchmod(&region, Mode::RUSR)?;
    give(&stranger, &region)?;

    println!("\nWith F_SEAL_FUTURE_WRITE:");
    let region = ledger()?;
    let ours = region.map::<()>()?;
    rustix::fs::fcntl_add_seals(&region, rustix::fs::SealFlags::FUTURE_WRITE)?;
    give(&stranger, &region)?;
    ours.copy_in(8, b"11")?;
    tell("owner", format!("writes through its mapping from before: \"{}\"", text(&region)?));
    tell("stranger", stranger.end()?);
    Ok(())
}
// ANCHOR_END: owner

/// A region with something to protect in it.
fn ledger() -> Result<Region> {
    let region = Region::create("ledger", 4096)?;
    region.map::<()>()?.copy_in(0, b"balance 10")?;
    Ok(region)
}

/// Sends a descriptor for reading, and looks afterwards.
fn give(stranger: &Other, region: &Region) -> Result<()> {
    let read_only = File::open(format!("/proc/self/fd/{}", region.as_fd().as_raw_fd()))?;
    scm_rights::send(&stranger.socket, &[0], &[read_only.as_fd()])?;
    wait(&stranger.socket)?;
    tell("owner", format!("finds \"{}\"", text(region)?));
    Ok(())
}

/// The text in a region.
fn text(region: &Region) -> Result<String> {
    let mut text = [0; 10];
    region.map_read_only::<()>()?.copy_out(0, &mut text)?;
    Ok(text.escape_ascii().to_string())
}

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => owner(),
        Some("stranger") => stranger(),
        Some(role) => Err(format!("no role {role}: stranger, or nothing for both").into()),
    }
}
