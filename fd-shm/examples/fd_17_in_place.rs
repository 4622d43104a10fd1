//! Numbers that are summed where they lie: not one of them is copied.
//!
//! Run it: `cargo run --example fd_17_in_place`
//!
//! What to look for: the reader's own sum, over memory of the other process. And the price of not copying: a
//! word that is loaded a second time is another one. What was loaded once stays what it was.

use std::error::Error;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};

use fd_shm::{HeadAndWords, Region, scm_rights};

#[path = "support/other.rs"]
mod other;
use other::{go, role, start, tell, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: numbers
/// How many numbers there are, and behind that the numbers, to the end of the region.
type Numbers = HeadAndWords<AtomicU32, AtomicU32>;
// ANCHOR_END: numbers

/// Makes the numbers, and changes one of them when nobody expects it.
fn writer() -> Result<()> {
    let socket = other::socket()?;
    let [descriptor] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
    let numbers = Region::from_fd(descriptor)?.map::<Numbers>()?;

    for (value, word) in (1..=500).zip(&numbers.words) {
        word.store(value, Ordering::Relaxed);
    }
    numbers.head.store(500, Ordering::Release); // carries the numbers over to whoever sees the 500
    tell("writer", "stores the numbers 1 to 500, and then how many there are");
    go(&socket)?;

    wait(&socket)?;
    numbers.words[0].store(1_000_000, Ordering::Relaxed);
    tell("writer", "stores a million in place of the 1");
    go(&socket)?;
    Ok(())
}

// ANCHOR: reader
/// Reads them where they lie.
fn reader() -> Result<()> {
    let region = Region::create("numbers", 4096)?;
    let numbers = region.map_read_only::<Numbers>()?;
    let writer = start(role("writer"))?;
    scm_rights::send(&writer.socket, &[0], &[region.as_fd()])?;
    wait(&writer.socket)?;

    // A number like any other that a peer has written: it may be larger than there is room for.
    let count = usize::try_from(numbers.head.load(Ordering::Acquire))?;
    let Some(written) = numbers.words.get(..count) else { return Err("more numbers than words".into()) };
    let sum: u32 = written.iter().map(|word| word.load(Ordering::Relaxed)).sum();
    tell("reader", format!("sums {count} of {} words where they lie: {sum}", numbers.words.len()));

    let once = written[0].load(Ordering::Relaxed);
    tell("reader", format!("loads the first, and finds it small enough: {once}"));
    go(&writer.socket)?;
    wait(&writer.socket)?;
    tell("reader", format!("uses what it loaded: {once}"));
    tell("reader", format!("would have used, by loading it again: {}", written[0].load(Ordering::Relaxed)));
    tell("writer", writer.end()?);
    Ok(())
}
// ANCHOR_END: reader

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => reader(),
        Some("writer") => writer(),
        Some(role) => Err(format!("no role {role}: writer, or nothing for both").into()),
    }
}
