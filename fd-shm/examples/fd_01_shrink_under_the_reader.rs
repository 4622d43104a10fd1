//! A peer cuts a memory file while somebody has it mapped: SIGBUS with plain calls, refused by a type.
//!
//! Run it: `cargo run --example fd_01_shrink_under_the_reader`
//!
//! What to look for: the plain reader does nothing wrong, and dies of it. Nothing in what it
//! was sent told it so; the seals would have. The second reader asks for them before it maps,
//! and the kernel keeps the promise.

#![allow(unsafe_code)] // the plain reader's look at memory that nobody vouches for

use std::error::Error;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU8, Ordering};

use fd_shm::{FixedFd, Memfd, Seals, scm_rights};
use memmap2::MmapOptions;
use rustix::process::{Resource, Rlimit, setrlimit};

#[path = "support/other.rs"]
mod other;
use other::{Other, go, role, start, tell, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: plain
/// Maps what it is sent, as most programs do, and looks at its first byte twice.
fn plain_reader() -> Result<()> {
    let socket = other::socket()?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?; // it dies on purpose
    let [memfd] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
    let mapping = MmapOptions::new().len(8192).map_raw(&memfd)?;
    // SAFETY: the page is mapped and the load atomic. That the page stays there is what nobody promises.
    let first = unsafe { AtomicU8::from_ptr(mapping.as_mut_ptr()) };
    tell("reader", format!("mapped 8192 bytes, the first is {}", first.load(Ordering::Relaxed)));
    go(&socket)?;
    wait(&socket)?;
    tell("reader", format!("looks again: {}", first.load(Ordering::Relaxed)));
    Ok(())
}
// ANCHOR_END: plain

// ANCHOR: checking
/// Maps only what cannot shrink: takes the first file that it can trust, and looks twice as well.
fn checking_reader() -> Result<()> {
    let socket = other::socket()?;
    let region = loop {
        let [memfd] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
        match FixedFd::new(memfd) {
            Ok(region) => break region,
            Err(refused) => tell("reader", refused),
        }
        go(&socket)?;
    };
    let mapping = region.map::<AtomicU8>()?;
    tell(
        "reader",
        format!("mapped {} bytes, the first is {}", mapping.len(), mapping.load(Ordering::Relaxed)),
    );
    go(&socket)?;
    wait(&socket)?;
    tell("reader", format!("looks again: {}", mapping.load(Ordering::Relaxed)));
    Ok(())
}
// ANCHOR_END: checking

/// A memory file of two pages, whose first byte is 7.
fn file() -> Result<Memfd> {
    let memfd = Memfd::create("cut")?;
    rustix::io::pwrite(&memfd, &[7], 0)?;
    memfd.set_len(8192)?;
    Ok(memfd)
}

/// Sends a file, waits for the reader to map it or not, and cuts it.
fn send_and_cut(reader: &Other, memfd: &Memfd) -> Result<()> {
    scm_rights::send(&reader.socket, &[0], &[memfd.as_fd()])?;
    wait(&reader.socket)?;
    match memfd.set_len(0) {
        Ok(()) => tell("peer", "cut the file to 0 bytes"),
        Err(refused) => tell("peer", refused),
    }
    Ok(())
}

fn peer() -> Result<()> {
    println!("A peer sends a memory file of two pages, and cuts it.");
    println!("\nTo a reader of plain calls:");
    let reader = start(role("plain"))?;
    send_and_cut(&reader, &file()?)?;
    go(&reader.socket)?;
    tell("reader", reader.end()?);

    println!("\nTo a reader that asks whether it can shrink:");
    let reader = start(role("checking"))?;
    tell("peer", "sends the same file");
    send_and_cut(&reader, &file()?)?;
    let sealed = file()?;
    sealed.add_seals(Seals::SHRINK)?;
    tell("peer", "sends one that is sealed with F_SEAL_SHRINK");
    send_and_cut(&reader, &sealed)?;
    go(&reader.socket)?;
    tell("reader", reader.end()?);
    Ok(())
}

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => peer(),
        Some("plain") => plain_reader(),
        Some("checking") => checking_reader(),
        Some(role) => Err(format!("no role {role}: plain, checking, or nothing for all").into()),
    }
}
