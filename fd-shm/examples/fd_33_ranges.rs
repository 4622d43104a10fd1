//! What pin, unpin and purge do to the ranges of a region, one call after another.
//!
//! Run it: `cargo run --example fd_33_ranges`
//!
//! What to look for: the flag PURGED belongs to a range and not to a page. A range that swallows a purged
//! one takes its flag over, so that pages are reported lost that were not; and they are safe from then on,
//! since what is marked is not purged again. Each answer is the one that the driver's state machine gives,
//! which real kernels were asked for.

use std::error::Error;
use std::fmt::Write;

use fd_shm::ashmem::{Area, Pin, Pinning, Prot, Unpinned};
use fd_shm::{Mapping, Region};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PAGE: u32 = 4096;
const PAGES: u32 = 16;

/// One call, with the first page and the last.
#[derive(Clone, Copy)]
enum Call {
    Unpin(u32, u32),
    Pin(u32, u32),
    /// What a shrinker does when a little memory is short.
    EvictOne,
    PurgeAll,
}

/// The story.
const CALLS: [Call; 11] = [
    Call::Unpin(0, 3),
    Call::Unpin(4, 5),
    Call::Unpin(9, 12),
    Call::EvictOne,
    Call::Pin(2, 2),
    Call::Unpin(3, 6),
    Call::PurgeAll,
    Call::Pin(6, 6),
    Call::Pin(11, 11),
    Call::Pin(0, 15),
    Call::Pin(0, 15),
];

// ANCHOR: calls
/// The call on the region, whose pages have memory; what it answers.
fn of_region(call: Call, region: &Region) -> Result<String> {
    let bytes = |first: u32, last: u32| ((first * PAGE) as usize, ((last + 1 - first) * PAGE) as usize);
    Ok(match call {
        Call::Unpin(first, last) => {
            let (offset, len) = bytes(first, last);
            region.unpin(offset, len)?;
            "done".into()
        }
        Call::Pin(first, last) => {
            let (offset, len) = bytes(first, last);
            answer(region.pin(offset, len)?)
        }
        Call::EvictOne => pages(region.evict_one()?.map_or(0, |range| range.pages() as usize)),
        Call::PurgeAll => pages(region.purge_all()?),
    })
}

/// The same call on the state machine, which has none.
fn of_area(call: Call, area: &mut Area, age: u64) -> Result<String> {
    Ok(match call {
        Call::Unpin(first, last) => {
            area.unpin(first * PAGE, (last + 1 - first) * PAGE, age)?;
            "done".into()
        }
        Call::Pin(first, last) => answer(area.pin(first * PAGE, (last + 1 - first) * PAGE, age)?),
        Call::EvictOne => pages(area.evict_one().map_or(0, |range| range.pages() as usize)),
        Call::PurgeAll => pages(area.purge_all().iter().map(|range| range.pages() as usize).sum()),
    })
}
// ANCHOR_END: calls

fn answer(pin: Pin) -> String {
    if pin.was_purged() { "WAS_PURGED" } else { "NOT_PURGED" }.into()
}

fn pages(count: usize) -> String {
    format!("{count} pages")
}

impl Call {
    fn text(self) -> String {
        let range = |first, last| if first == last { format!("{first}") } else { format!("{first}-{last}") };
        match self {
            Self::Unpin(first, last) => format!("unpin {}", range(first, last)),
            Self::Pin(first, last) => format!("pin {}", range(first, last)),
            Self::EvictOne => "evict the oldest".into(),
            Self::PurgeAll => "purge".into(),
        }
    }
}

// ANCHOR: main
fn main() -> Result<()> {
    let region = Region::create_with("ranges", (PAGES * PAGE) as usize, Pinning::Kept)?;
    let mapping = region.map::<()>()?;
    for (page, letter) in (b'a'..).take(PAGES as usize).enumerate() {
        mapping.copy_in(page * PAGE as usize, &[letter])?;
    }
    let mut area = Area::new();
    area.set_size((PAGES * PAGE) as usize)?;
    area.mmap((PAGES * PAGE) as usize, Prot::READ | Prot::WRITE)?;

    println!("  {:17} {:12} {:26} content of the pages", "call", "answer", "unpinned; * is purged");
    println!("  {:17} {:12} {:26} {}", "", "", "-", content(&mapping)?);
    let mut agree = true;
    for (age, call) in (1..).zip(CALLS) {
        let (answer, of_area) = (of_region(call, &region)?, of_area(call, &mut area, age)?);
        let unpinned = ranges(&region.unpinned()?);
        agree &= answer == of_area && unpinned == ranges(&area.unpinned().copied().collect::<Vec<_>>());
        println!("  {:17} {answer:12} {unpinned:26} {}", call.text(), content(&mapping)?);
    }
    println!(
        "\n  the state machine answers the same and has the same ranges: {}",
        if agree { "yes" } else { "no" }
    );
    Ok(())
}
// ANCHOR_END: main

/// The ranges in the order of their pages.
fn ranges(unpinned: &[Unpinned]) -> String {
    let mut text = String::new();
    for range in unpinned {
        let mark = if range.purged { "*" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{}-{}{mark} ", range.first, range.end - 1);
    }
    if text.is_empty() { "-".into() } else { text.trim_end().into() }
}

/// A letter for each page; a point for one that holds zeros.
fn content(mapping: &Mapping) -> Result<String> {
    let mut text = String::new();
    for page in 0..PAGES {
        let mut byte = [0];
        mapping.copy_out((page * PAGE) as usize, &mut byte)?;
        text.push(if byte[0] == 0 { '.' } else { byte[0].into() });
    }
    Ok(text)
}
