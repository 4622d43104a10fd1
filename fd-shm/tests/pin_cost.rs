//! What a pin operation costs does not grow with the number of unpinned ranges. Alone in its program, so
//! that no other test runs beside it.

use std::time::{Duration, Instant};

use fd_shm::Region;
use fd_shm::ashmem::{PinStatus, Pinning};

const PAGE: usize = 4096;

/// How many operations are timed together, and how often: the best time is the one that nobody disturbed.
const TOGETHER: u32 = 500;
const ROUNDS: usize = 100;

/// What is timed, and how much a thousand ranges may cost of what one does, in percent. In turns, each has to
/// read what the other has written, in a tree that the other's work has pushed out of the processor's cache.
const WHAT: [(&str, u32); 3] = [("pin, unpin", 150), ("the same, by two in turns", 300), ("status", 150)];

/// Without optimisation a look-up in a tree costs more than the operation, and still far less
/// than going through all of them.
const SLOWER: u32 = if cfg!(debug_assertions) { 2 } else { 1 };

/// Two handles of a region with so many unpinned ranges, none touching another.
fn with_ranges(ranges: usize) -> [Region; 2] {
    let region = Region::create_with("cost", 2 * ranges * PAGE, Pinning::Kept).expect("a region");
    for range in 0..ranges {
        region.unpin(2 * range * PAGE, PAGE).expect("a page");
    }
    let other = region.try_clone().expect("a descriptor");
    [region, other]
}

/// Pins and unpins again, alone and with another handle in turns, and asks, all over the region.
fn time([region, other]: &[Region; 2], ranges: usize) -> [Duration; 3] {
    let at = |number: u32| (number as usize * 7919 % ranges) * 2 * PAGE;
    let pairs = |handles: [&Region; 2]| {
        let start = Instant::now();
        for (number, region) in (0..TOGETHER).zip(handles.into_iter().cycle()) {
            assert!(!region.pin(at(number), PAGE).expect("pin").was_purged());
            region.unpin(at(number), PAGE).expect("unpin");
        }
        start.elapsed() / 2
    };
    let (alone, in_turns) = (pairs([region, region]), pairs([region, other]));
    let start = Instant::now();
    for number in 0..TOGETHER {
        assert_eq!(region.pin_status(at(number), PAGE).expect("status"), PinStatus::Unpinned);
    }
    [alone, in_turns, start.elapsed()]
}

#[test]
fn a_thousand_ranges_cost_what_one_does() {
    let regions = [1, 1000].map(|ranges| (with_ranges(ranges), ranges));
    let mut best = [[Duration::MAX; 3]; 2];
    // In turns, so that a slow moment of the machine is one for both.
    for _ in 0..ROUNDS {
        for ((handles, ranges), best) in regions.iter().zip(&mut best) {
            let times = time(handles, *ranges);
            best.iter_mut().zip(times).for_each(|(best, time)| *best = time.min(*best));
        }
    }
    for ((what, most), (one, thousand)) in WHAT.iter().zip(best[0].iter().zip(best[1])) {
        println!("{what}: {:?} with one range, {:?} with a thousand", *one / TOGETHER, thousand / TOGETHER);
        assert!(thousand <= *one * *most * SLOWER / 100, "{what} grows");
    }
}
