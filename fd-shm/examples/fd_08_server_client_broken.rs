//! The story of server and client, with one step left out at a time: what breaks, and what does not.
//!
//! Run it: `cargo run --example fd_08_server_client_broken`
//!
//! What to look for: five steps that cannot be left out, because a type asks for them; three that are up to
//! the two, because memory has no opinion about what is in it; and three that nobody has to take at all.

#![allow(unsafe_code)] // a private mapping, which the library does not make

use std::error::Error;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};

use fd_shm::{Memfd, Region, scm_rights, shareable};
use memmap2::MmapOptions;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What server and client have agreed on.
#[repr(C)]
struct Shared {
    /// How many bytes of the tail are a message.
    len: AtomicU32,
    /// Counts what both have done.
    done: AtomicU32,
}
shareable!(Shared { len: AtomicU32, done: AtomicU32 });

/// One step left out: what it was, and what came of it.
fn left_out(step: &str, what_happened: impl std::fmt::Display) {
    println!("  {step:29}  {what_happened}");
}

// ANCHOR: arrives
/// What the client makes of it when the server sends these and closes them.
fn arrives(descriptors: Vec<OwnedFd>) -> Result<Region> {
    let (server, client) = UnixStream::pair()?;
    let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    scm_rights::send(&server, b"here", &borrowed)?;
    drop(descriptors);
    let [descriptor] = scm_rights::receive(&client, &mut [0; 4], 1)?.into_exactly()?;
    Ok(Region::from_fd(descriptor)?)
}
// ANCHOR_END: arrives

// ANCHOR: asked_for
/// What a type asks for: left out, it is an error before anything is mapped or copied.
fn asked_for() -> Result<()> {
    println!("Asked for by a type, so that leaving it out is an error:");
    let refusal =
        |came: Result<Region>| came.err().map_or("it came through".into(), |refused| reason(&*refused));
    left_out("sending the descriptor", refusal(arrives(vec![])));
    left_out("sending the right descriptor", refusal(arrives(vec![std::io::pipe()?.0.into()])));
    let unsealed = Memfd::create("story")?;
    unsealed.set_len(4096)?;
    left_out("sealing the size", refusal(arrives(vec![unsealed.into()])));
    let small = arrives(vec![Region::create("story", 4)?.into()])?;
    left_out("room for the agreed words", reason(&small.map::<Shared>().err().ok_or("it fits")?));
    let mapping = arrives(vec![Region::create("story", 4096)?.into()])?.map::<Shared>()?;
    mapping.len.store(5000, Ordering::Relaxed); // as the server does, by mistake or not
    let mut message = vec![0; mapping.len.load(Ordering::Relaxed) as usize];
    let refused = mapping.copy_out(0, &mut message).err().ok_or("5000 bytes of 4032")?;
    left_out("checking the server's length", reason(&refused));
    Ok(())
}
// ANCHOR_END: asked_for

/// The reason in an error, behind the call, which has a number of this run in it.
fn reason(error: &dyn Error) -> String {
    let text = error.to_string();
    text.split_once(": ").map_or(text.clone(), |(_, reason)| reason.to_owned())
}

// ANCHOR: agreed
/// What no type asks for: what the bytes mean, and whose turn it is.
fn agreed() -> Result<()> {
    println!("\nA matter between the two, in which nobody helps:");
    let region = Region::create("story", 4096)?;
    let (server, client) = (region.map::<Shared>()?, region.map::<Shared>()?);
    let (one, other) = (server.done.load(Ordering::Relaxed), client.done.load(Ordering::Relaxed));
    server.done.store(one + 1, Ordering::Relaxed);
    client.done.store(other + 1, Ordering::Relaxed);
    let done = client.done.load(Ordering::Relaxed);
    left_out("adding atomically", format!("two additions of 1 make {done}"));
    server.len.store(5, Ordering::Relaxed);
    let checked = client.len.load(Ordering::Relaxed);
    server.len.store(500, Ordering::Relaxed);
    let used = client.len.load(Ordering::Relaxed);
    left_out("copying before checking", format!("{checked} when it was checked, {used} when it was used"));

    // SAFETY: the region cannot shrink, and nothing but the word below is ever reached through it.
    let mut pages = unsafe { MmapOptions::new().map_copy(&region.as_fd()) }?;
    // SAFETY: the second word of a page, aligned, and reached as this atomic alone while `pages` is there.
    let private = unsafe { AtomicU32::from_ptr(pages.as_mut_ptr().cast::<u32>().wrapping_add(1)) };
    private.store(7, Ordering::Relaxed);
    let seen = server.done.load(Ordering::Relaxed);
    left_out("MAP_SHARED (plain calls only)", format!("the client stores 7, the server still sees {seen}"));
    Ok(())
}
// ANCHOR_END: agreed

// ANCHOR: for_free
/// What nobody has to do.
fn for_free() -> Result<()> {
    println!("\nNot needed:");
    let region = Region::create("story", 4096)?;
    let server = region.map::<Shared>()?;
    let came = arrives(vec![region.into()])?;
    left_out("keeping what travels open", "closed before it was received, and it arrived");
    let client = came.map::<Shared>()?;
    drop(came);
    client.done.store(1, Ordering::Relaxed);
    let seen = server.done.load(Ordering::Relaxed);
    left_out("keeping a mapped descriptor", format!("the last one closed: the client stores {seen}"));
    drop((client, server));
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let left = maps.lines().filter(|line| line.contains("/memfd:story")).count();
    left_out(
        "destroying the region",
        format!("both unmapped it: {left} mappings, and no descriptor, are left"),
    );
    Ok(())
}
// ANCHOR_END: for_free

fn main() -> Result<()> {
    asked_for()?;
    agreed()?;
    for_free()
}
