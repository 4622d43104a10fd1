//! The protection mask: what taking a right away takes, and from whom.
//!
//! Run it: `cargo run --example fd_31_ashmem_mask`
//!
//! What to look for: the mask binds every later mapping, whoever asks for it and through whichever
//! descriptor, the owner's own included. It revokes nothing: what could be written goes on being written. And
//! here, where the mask is a seal, a region that nobody can newly write cannot be purged either.

#![allow(unsafe_code)] // a mapping whose rights are then raised with mprotect(2)

use std::error::Error;
use std::os::fd::{AsFd, OwnedFd};

use fd_shm::ashmem::{Pinning, Prot};
use fd_shm::{Region, scm_rights};
use memmap2::MmapOptions;
use nix::errno::Errno;

#[path = "support/other.rs"]
mod other;
use other::{go, role, start, tell, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: owner
/// Maps first and masks then, which is the usual order; and finds itself bound as well.
fn owner() -> Result<()> {
    let region = Region::create_with("frames", 4096, Pinning::Kept)?;
    let mapping = region.map::<()>()?;
    region.unpin(0, 0)?;
    tell("owner", format!("has mapped it for writing, and unpinned it; the mask is {}", region.prot_mask()?));
    region.set_prot_mask(Prot::READ | Prot::EXEC)?;
    tell("owner", format!("takes the right to write away: the mask is {}", region.prot_mask()?));

    let peer = start(role("peer"))?;
    scm_rights::send(&peer.socket, &[0], &[region.as_fd()])?;
    wait(&peer.socket)?;
    mapping.copy_in(0, b"after all")?;
    tell("owner", "writes \"after all\" through its mapping from before");
    go(&peer.socket)?;
    wait(&peer.socket)?;

    tell("owner", format!("maps once more for writing: {}", outcome(region.map::<()>())));
    tell("owner", format!("asks for the mask rwx again: {}", outcome(region.set_prot_mask(Prot::ALL))));
    tell("owner", format!("asks for r-- alone: {}", outcome(region.set_prot_mask(Prot::READ))));
    tell("owner", format!("the mask is {} still", region.prot_mask()?));
    tell("owner", format!("pins the page: {}", outcome(region.pin(0, 0))));
    peer.end()?;
    Ok(())
}
// ANCHOR_END: owner

// ANCHOR: peer
/// Tries every way to write.
fn peer() -> Result<()> {
    let socket = other::socket()?;
    let [descriptor] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
    tell("peer", format!("maps for writing: {}", in_a_word(MmapOptions::new().map_raw(&descriptor))));
    tell(
        "peer",
        format!("maps for reading: {}, then raises it with mprotect: {}", "done", raised(&descriptor)?),
    );
    tell("peer", format!("calls pwrite: {}", in_a_word(rustix::io::pwrite(&descriptor, b"x", 0))));

    let mapping = Region::from_fd(descriptor)?.map_read_only::<()>()?;
    go(&socket)?;
    wait(&socket)?;
    let mut bytes = [0; 9];
    mapping.copy_out(0, &mut bytes)?;
    tell("peer", format!("reads \"{}\"", String::from_utf8_lossy(&bytes)));
    Ok(go(&socket)?)
}

/// Maps it for reading, and asks `mprotect` for more.
fn raised(descriptor: &OwnedFd) -> Result<String> {
    // SAFETY: none of its bytes is looked at, and it is unmapped again; that is all that a mapping of memory
    // which others write, or could cut, allows.
    let mapping = unsafe { MmapOptions::new().map(descriptor) }?;
    Ok(in_a_word(mapping.make_mut()))
}
// ANCHOR_END: peer

/// What became of it, in the kernel's word.
fn in_a_word<T>(done: std::result::Result<T, impl Into<std::io::Error>>) -> String {
    match done.map_err(Into::into) {
        Ok(_) => "done".into(),
        Err(refused) => format!("{:?}", Errno::from_raw(refused.raw_os_error().unwrap_or_default())),
    }
}

/// The same in the crate's words.
fn outcome<T>(done: fd_shm::Result<T>) -> String {
    done.map_or_else(|refused| refused.to_string(), |_| "done".into())
}

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("peer") => peer(),
        _ => owner(),
    }
}
