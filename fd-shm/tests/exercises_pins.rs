//! The exercises of the book's chapter on pins: each test tells whether one is solved.
//!
//! `cargo test -p fd-shm --test exercises_pins NAME` judges what is in `exercises/NAME.rs`; with `--features
//! solutions`, the solutions.

#[path = "../../sysv-shm/tests/support/exercise.rs"]
mod exercise;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/goes_first.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/goes_first.rs")]
mod goes_first;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/lent_page.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/lent_page.rs")]
mod lent_page;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/unpin.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/unpin.rs")]
mod unpin;

use std::cell::Cell;

use exercise::{Verdict, check, judge};
use fd_shm::ashmem::{Area, PAGE, PinStatus, Pinning, Prot};
use fd_shm::{Mapping, Region};
use unpin::Range;

/// The text of any error.
fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[test]
fn lent_page() {
    judge("lent_page", what_is_there_is_used().and_then(|()| what_was_taken_is_made_again()));
}

/// A page that holds what `content` says, and is lent.
fn lent(content: [u8; 2]) -> Result<(Region, Mapping), String> {
    let region = Region::create_with("lent", PAGE, Pinning::Kept).map_err(in_words)?;
    let page = region.map::<()>().map_err(in_words)?;
    page.copy_in(0, &content).map_err(in_words)?;
    region.unpin(0, 0).map_err(in_words)?;
    Ok((region, page))
}

/// Uses the page while another holder purges: what the use saw, whether the content was
/// made, and how the page is left.
fn used((region, page): &(Region, Mapping)) -> Result<([u8; 2], bool, PinStatus), String> {
    let (made, seen) = (Cell::new(false), Cell::new([0; 2]));
    let make = || {
        made.set(true);
        vec![7, 8]
    };
    let work = |page: &Mapping| {
        region.purge_all().expect("another holder purges");
        let mut bytes = [0; 2];
        page.copy_out(0, &mut bytes).expect("two bytes");
        seen.set(bytes);
    };
    lent_page::with_page(region, page, make, work).map_err(in_words)?;
    Ok((seen.get(), made.get(), region.pin_status(0, 0).map_err(in_words)?))
}

fn what_is_there_is_used() -> Verdict {
    for content in [[5, 6], [0, 6], [0, 0]] {
        let lent = lent(content)?;
        let (seen, made, left) = used(&lent)?;
        check(!made, format!("nothing was taken of a page with {content:?}, and it was made again"))?;
        check(seen == content, format!("purged while it was used: {seen:?} where {content:?} was"))?;
        check(left == PinStatus::Unpinned, "it is not lent again")?;
    }
    Ok(())
}

fn what_was_taken_is_made_again() -> Verdict {
    let lent = lent([5, 6])?;
    for round in 0..2 {
        lent.0.purge_all().map_err(in_words)?;
        let (seen, made, _) = used(&lent)?;
        check(made && seen == [7, 8], format!("purge {}: it was not made again", round + 1))?;
    }
    Ok(())
}

/// A generator that needs no seed: what is judged is the same on every run.
struct Numbers(u64);

impl Numbers {
    /// A number below `end`.
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap_or(0) % end
    }

    /// The first page of 16 and the last of a range.
    fn range(&mut self) -> (u32, u32) {
        let (one, other) = (self.below(16), self.below(16));
        (one.min(other), one.max(other))
    }
}

const BYTES: u32 = 4096;

fn area() -> Result<Area, String> {
    let mut area = Area::new();
    area.set_size(16 * PAGE).map_err(in_words)?;
    area.mmap(16 * PAGE, Prot::READ).map_err(in_words)?;
    Ok(area)
}

#[test]
fn unpin() {
    judge("unpin", (0..1000).try_for_each(|seed| the_ranges_are_the_drivers(Numbers(seed))));
}

/// Unpins here and in the state machine; now and then all is purged, or the machine's ranges are taken over.
fn the_ranges_are_the_drivers(mut numbers: Numbers) -> Verdict {
    let mut area = area()?;
    let (mut ranges, mut said) = (Vec::<Range>::new(), String::new());
    for age in 0..8 {
        let (first, last) = numbers.range();
        match numbers.below(4) {
            0 => {
                area.purge_all();
                ranges.iter_mut().for_each(|range| range.2 = true);
                said += "purge, ";
            }
            1 => {
                let _ = area.pin(first * BYTES, (last + 1 - first) * BYTES, age).map_err(in_words)?;
                ranges = of(&area);
                said += &format!("pin {first}-{last}, ");
            }
            _ => {
                area.unpin(first * BYTES, (last + 1 - first) * BYTES, age).map_err(in_words)?;
                unpin::unpin(&mut ranges, first, last);
                said += &format!("unpin {first}-{last}, ");
            }
        }
        let driver = of(&area);
        check(ranges == driver, format!("{said}then {ranges:?}, where the driver has {driver:?}"))?;
    }
    Ok(())
}

fn of(area: &Area) -> Vec<Range> {
    area.unpinned().map(|range| (range.first, range.end - 1, range.purged)).collect()
}

#[test]
fn goes_first() {
    judge("goes_first", (0..1000).try_for_each(|seed| the_order_is_the_drivers(Numbers(seed))));
}

/// Unpins in three regions, and lets the answers purge them: each must be older than what is left.
fn the_order_is_the_drivers(mut numbers: Numbers) -> Verdict {
    let mut areas = [area()?, area()?, area()?];
    for age in 0..9 {
        let (first, last) = numbers.range();
        let area = &mut areas[numbers.below(3) as usize];
        area.unpin(first * BYTES, (last + 1 - first) * BYTES, age).map_err(in_words)?;
        if numbers.below(4) == 0 {
            area.evict_one();
        }
    }
    loop {
        let oldest = areas.iter().enumerate().filter_map(|(n, area)| Some((area.oldest()?.age, n))).min();
        let answer = goes_first::goes_first(&areas);
        let text = |age, region| format!("the range of age {age} in region {region}");
        match (oldest, answer) {
            (None, None) => return Ok(()),
            (Some((age, n)), Some((region, range))) if (age, n) == (range.age, region) && !range.purged => {
                areas[n].evict_one();
            }
            (Some((age, n)), Some((region, range))) => {
                return Err(format!("{} goes before {}", text(age, n), text(range.age, region)));
            }
            (None, Some(_)) => return Err("nothing is left, and something goes".into()),
            (Some(_), None) => return Err("something is left, and nothing goes".into()),
        }
    }
}
