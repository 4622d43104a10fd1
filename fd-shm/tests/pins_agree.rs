//! The same random operations on the state machine and on a region: through several handles, and by several
//! processes at a time.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};

use fd_shm::Region;
use fd_shm::ashmem::{Area, PinStatus, Pinning, Prot, Unpinned};
use proptest::prelude::*;

#[path = "support/alone.rs"]
mod alone;
#[path = "support/random.rs"]
mod random;
use random::Random;

const PAGE: usize = 4096;

/// An operation on pages; the first number says which.
type Step = (u32, u32, u32);

/// A region and the state machine, of so many pages.
fn both(pages: usize) -> (Region, Area) {
    let mut area = Area::new();
    area.set_size(pages * PAGE).expect("new");
    area.mmap(pages * PAGE, Prot::READ).expect("backs it");
    (Region::create_with("both", pages * PAGE, Pinning::Kept).expect("a region"), area)
}

/// Runs one operation on both: what each answered.
fn step((verb, first, len): Step, age: u64, region: &Region, area: &mut Area) -> [String; 2] {
    let small = |pages: u32| pages * 4096;
    let (at, bytes) = (first as usize * PAGE, len as usize * PAGE);
    let shown = |range: Option<Unpinned>| format!("{:?}", range.map(|range| (range.first, range.end)));
    match verb {
        0..3 => [
            format!("{:?}", region.unpin(at, bytes).map_err(|refused| refused.raw_os_error())),
            format!("{:?}", area.unpin(small(first), small(len), age).map_err(|errno| Some(errno as i32))),
        ],
        3..6 => [
            format!("{:?}", region.pin(at, bytes).map_err(|refused| refused.raw_os_error())),
            format!("{:?}", area.pin(small(first), small(len), age).map_err(|errno| Some(errno as i32))),
        ],
        6 => [
            format!("{:?}", region.pin_status(at, bytes).map_err(|refused| refused.raw_os_error())),
            format!("{:?}", area.pin_status(small(first), small(len)).map_err(|errno| Some(errno as i32))),
        ],
        7..9 => [shown(region.evict_one().expect("purged")), shown(area.evict_one())],
        _ => [
            region.purge_all().expect("purged").to_string(),
            area.purge_all().iter().map(Unpinned::pages).sum::<u32>().to_string(),
        ],
    }
}

/// The ranges, and in which order they are purged.
fn state<'a>(ranges: impl Iterator<Item = &'a Unpinned>) -> (Vec<(u32, u32, bool)>, Vec<u32>) {
    let mut ranges: Vec<_> = ranges.copied().collect();
    let pages = ranges.iter().map(|range| (range.first, range.end, range.purged)).collect();
    ranges.retain(|range| !range.purged);
    ranges.sort_by_key(|range| range.age);
    (pages, ranges.iter().map(|range| range.first).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_operations_through_any_handles_give_what_the_state_machine_gives(
        steps in proptest::collection::vec((0..3_usize, (0..10_u32, 0..18_u32, 0..9_u32)), 1..60)
    ) {
        let (region, mut area) = both(16);
        let handle = || Region::from_fd(region.as_fd().try_clone_to_owned().expect("dup")).expect("a region");
        let handles = [handle(), handle(), handle()];
        for (age, (which, operation)) in (1..).zip(steps) {
            let [ours, model] = step(operation, age, &handles[which], &mut area);
            prop_assert_eq!(ours, model, "{:?}", operation);
            let found = handles[(which + 1) % 3].unpinned().expect("the pins");
            prop_assert_eq!(state(found.iter()), state(area.unpinned()), "{:?}", operation);
        }
    }
}

/// Set in a second process: its part of the region.
const PART: &str = "PINS_AGREE_PART";

/// How many pages a process has to itself, how many there are, and how much each does.
const PAGES: u32 = 40;
const PARTS: u32 = 4;
const STEPS: u64 = 3000;

/// Unpins and pins pages of one part of the region, and nothing but that part, at random.
fn work(region: &Region, part: u32) {
    let mut random = Random::printed();
    let mut area = both(PAGES as usize).1;
    for age in 1..=STEPS {
        let first = random.below(PAGES);
        let len = 1 + random.below((PAGES - first).min(9));
        let operation = (random.below(7), first, len);
        let (verb, at) = (operation.0, (part * PAGES + first) as usize * PAGE);
        let bytes = len as usize * PAGE;
        match verb {
            0..3 => region.unpin(at, bytes).expect("a turn for everybody"),
            3..6 => assert!(!region.pin(at, bytes).expect("a turn for everybody").was_purged()),
            _ => assert_eq!(
                region.pin_status(at, bytes).expect("a turn for everybody") == PinStatus::Unpinned,
                area.pin_status(first * 4096, len * 4096) == Ok(PinStatus::Unpinned)
            ),
        }
        match verb {
            0..3 => area.unpin(first * 4096, len * 4096, age).expect("in the region"),
            3..6 => assert!(!area.pin(first * 4096, len * 4096, age).expect("in the region").was_purged()),
            _ => {}
        }
    }
    // Ranges of two parts may touch, and are not merged for it: each part is what its own process made of it.
    let (from, to) = (part * PAGES, (part + 1) * PAGES);
    let found = region.unpinned().expect("the pins");
    let ours = found.iter().filter(|range| (from..to).contains(&range.first));
    let ours: Vec<_> = ours.map(|range| (range.first - from, range.end - from)).collect();
    assert_eq!(ours, area.unpinned().map(|range| (range.first, range.end)).collect::<Vec<_>>());
}

#[test]
fn processes_that_work_at_a_time_lose_nothing_of_each_other() {
    let name = "processes_that_work_at_a_time_lose_nothing_of_each_other";
    if let Ok(part) = std::env::var(PART) {
        let descriptor = io::stdin().as_fd().try_clone_to_owned().expect("the region, as standard input");
        return work(&Region::from_fd(descriptor).expect("a region"), part.parse().expect("a number"));
    }
    alone::alone(name, || {
        let region = both((PAGES * PARTS) as usize).0;
        let children: Vec<_> = (1..PARTS)
            .map(|part| {
                let descriptor: OwnedFd = region.as_fd().try_clone_to_owned().expect("dup");
                let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
                command.args([name, "--exact", "--nocapture"]).env(PART, part.to_string());
                command.stdin(descriptor).stdout(Stdio::null()).spawn().expect("a process")
            })
            .collect();
        work(&region, 0);
        for mut child in children {
            assert!(child.wait().expect("it ends").success(), "its message is above");
        }
    });
}
