//! What a pin operation costs does not grow with the number of unpinned ranges. Alone in its program, so that no
//! other test runs beside it.

use std::time::{Duration, Instant};

use fd_shm::Region;
use fd_shm::ashmem::{PinStatus, Pinning};

const PAGE: usize = 4096;

/// How many operations are timed together, and how often: the best time is the one that nobody disturbed.
const TOGETHER: u32 = 500;
const ROUNDS: usize = 100;

/// How much more a thousand ranges may cost than one, in percent. Without optimisation a look-up in a tree costs
/// more than the operation, and still far less than going through all of them.
const MOST: u32 = if cfg!(debug_assertions) { 300 } else { 150 };

/// A region with so many unpinned ranges, none touching another.
fn with_ranges(ranges: usize) -> Region {
    let region = Region::create_with("cost", 2 * ranges * PAGE, Pinning::Kept).expect("a region");
    for range in 0..ranges {
        region.unpin(2 * range * PAGE, PAGE).expect("a page");
    }
    region
}

/// Pins and unpins again, and asks, all over the region: the time of the pairs, and of the questions.
fn time(region: &Region, ranges: usize) -> [Duration; 2] {
    let at = |number: u32| (number as usize * 7919 % ranges) * 2 * PAGE;
    let start = Instant::now();
    for number in 0..TOGETHER {
        assert!(!region.pin(at(number), PAGE).expect("pin").was_purged());
        region.unpin(at(number), PAGE).expect("unpin");
    }
    let pairs = start.elapsed();
    let start = Instant::now();
    for number in 0..TOGETHER {
        assert_eq!(region.pin_status(at(number), PAGE).expect("status"), PinStatus::Unpinned);
    }
    [pairs / 2, start.elapsed()]
}

#[test]
fn a_thousand_ranges_cost_what_one_does() {
    let regions = [1, 1000].map(|ranges| (with_ranges(ranges), ranges));
    let mut best = [[Duration::MAX; 2]; 2];
    // In turns, so that a slow moment of the machine is one for both.
    for _ in 0..ROUNDS {
        for ((region, ranges), best) in regions.iter().zip(&mut best) {
            let times = time(region, *ranges);
            best.iter_mut().zip(times).for_each(|(best, time)| *best = time.min(*best));
        }
    }
    for (what, (one, thousand)) in ["pin, unpin", "status"].iter().zip(best[0].iter().zip(best[1])) {
        println!("{what}: {:?} with one range, {:?} with a thousand", *one / TOGETHER, thousand / TOGETHER);
        assert!(thousand <= *one * MOST / 100, "{what} grows");
    }
}
