//! Lent to the system, taken, and asked for again: what unpin, purge and pin say, between two processes.
//!
//! Run it: `cargo run --example fd_32_pin_unpin_purge`
//!
//! What to look for: whoever has the descriptor can purge, and takes what is unpinned and nothing else. The
//! loss is told by `pin`, once for each page, to whoever pins it first; reading tells nothing, for a page
//! that was taken reads as zeros, and so may one that was not.

use std::error::Error;
use std::os::fd::AsFd;

use fd_shm::ashmem::{Pin, Pinning};
use fd_shm::{Mapping, Region, scm_rights};

#[path = "support/other.rs"]
mod other;
use other::{go, role, start, tell, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PAGE: usize = 4096;

// ANCHOR: owner
/// Keeps four pages that it could make again, and lends two of them.
fn owner() -> Result<()> {
    let cache = Region::create_with("cache", 4 * PAGE, Pinning::Kept)?;
    let pages = cache.map::<()>()?;
    for (page, letter) in b"abcd".iter().enumerate() {
        pages.copy_in(page * PAGE, &[*letter])?;
    }
    cache.unpin(PAGE, 2 * PAGE)?;
    tell("owner", format!("unpins pages 1 and 2 of 4, which hold {}", content(&pages)?));
    tell("owner", format!("needs them before anybody has purged: {}", answer(cache.pin(PAGE, 2 * PAGE)?)));
    cache.unpin(PAGE, 2 * PAGE)?;
    tell("owner", "unpins them again");

    let other = start(role("other"))?;
    scm_rights::send(&other.socket, &[0], &[cache.as_fd()])?;
    wait(&other.socket)?;
    tell("owner", format!("looks, and does not pin: {}", content(&pages)?));
    tell("owner", format!("pins page 1: {}", answer(cache.pin(PAGE, PAGE)?)));
    tell("owner", format!("pins page 1: {}", answer(cache.pin(PAGE, PAGE)?)));
    pages.copy_in(PAGE, b"b")?;
    pages.copy_in(2 * PAGE, b"c")?;
    tell("owner", format!("makes both pages again, of which 2 is still unpinned: {}", content(&pages)?));

    go(&other.socket)?;
    wait(&other.socket)?;
    tell("owner", format!("pins all: {}", answer(cache.pin(0, 0)?)));
    tell("owner", format!("and holds {} all the same", content(&pages)?));
    other.end()?;
    Ok(())
}
// ANCHOR_END: owner

// ANCHOR: other
/// Another holder, who is short of memory, or tidy.
fn other() -> Result<()> {
    let socket = other::socket()?;
    let [descriptor] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
    let cache = Region::from_fd(descriptor)?;
    tell("other", format!("purges: {} pages", cache.purge_all()?));
    tell("other", format!("purges: {} pages", cache.purge_all()?));
    go(&socket)?;

    wait(&socket)?;
    tell("other", format!("pins page 2: {}", answer(cache.pin(2 * PAGE, PAGE)?)));
    Ok(go(&socket)?)
}
// ANCHOR_END: other

fn answer(pin: Pin) -> &'static str {
    if pin.was_purged() { "WAS_PURGED" } else { "NOT_PURGED" }
}

/// A letter for each page; a point for one that holds zeros.
fn content(pages: &Mapping) -> Result<String> {
    let mut text = String::new();
    for page in 0..pages.len() / PAGE {
        let mut byte = [0];
        pages.copy_out(page * PAGE, &mut byte)?;
        text.push(if byte[0] == 0 { '.' } else { byte[0].into() });
    }
    Ok(text)
}

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("other") => other(),
        _ => owner(),
    }
}
