//! `kill -9` at every point of every operation on a region's pins: it is done wholly or
//! not at all, and the others go on.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Area, PAGE, Pinning, Prot, Region, Unpinned};
use crate::lock::crash::{STOPS, Victim, inherited};

/// This test, which starts itself again.
const NAME: &str = "ashmem::crash::a_kill_at_every_point_leaves_the_region_to_the_others";

/// The region's pages; the last one is never unpinned, and says in its first word what the child is to do.
const PAGES: usize = 16;

/// What was there before: two ranges, one of them purged, and one more.
const BEFORE: [(u32, u32); 3] = [(0, 2), (4, 5), (8, 11)];

/// The operations, on pages.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Unpin(u32, u32),
    Pin(u32, u32),
    EvictOne,
}
use Operation::{EvictOne, Pin, Unpin};

/// Merged with three, new, inside; cut in the middle, at both ends, taken away, not there; a purge.
const OPERATIONS: [Operation; 9] = [
    Unpin(1, 9),
    Unpin(12, 14),
    Unpin(9, 10),
    Pin(9, 10),
    Pin(1, 9),
    Pin(0, 15),
    Pin(12, 14),
    Pin(0, 1),
    EvictOne,
];

/// Where an operation can be killed, and whether it will have been done.
const POINTS: [(&str, bool); 8] = [
    ("the word names it, and it has not seen that", false),
    ("the change is written down, not pending", false),
    ("the change is pending, no record is written", true),
    ("one of the records that are gone is cleared", true),
    ("what is gone is cleared, what is new is not written", true),
    ("all is written, the change is pending", true),
    ("marked as purged, its memory is there", true),
    ("its memory is gone", true),
];

impl Operation {
    /// Does it to a region.
    fn run(self, region: &Region) {
        let bytes = |page: u32| page as usize * PAGE;
        match self {
            Unpin(first, end) => region.unpin(bytes(first), bytes(end - first)).expect("unpin"),
            Pin(first, end) => drop(region.pin(bytes(first), bytes(end - first)).expect("pin")),
            EvictOne => drop(region.evict_one().expect("evict")),
        }
    }

    /// Does it to the model.
    fn run_on(self, area: &mut Area, age: u64) {
        let bytes = |page: u32| page * 4096;
        match self {
            Unpin(first, end) => area.unpin(bytes(first), bytes(end - first), age).expect("unpin"),
            Pin(first, end) => drop(area.pin(bytes(first), bytes(end - first), age).expect("pin")),
            EvictOne => drop(area.evict_one()),
        }
    }

    /// Whether it comes by a point.
    fn comes_by(self, point: &str) -> bool {
        let (clears, purges) = match self {
            Unpin(12, 14) | Pin(9, 10) | Pin(0, 1) => (false, false),
            Unpin(9, 10) | Pin(12, 14) => return point == POINTS[0].0,
            Unpin(..) | Pin(..) => (true, false),
            EvictOne => (false, true),
        };
        match point {
            "one of the records that are gone is cleared" => clears,
            "marked as purged, its memory is there" | "its memory is gone" => purges,
            _ => true,
        }
    }
}

/// A region, and the model beside it, with some pages unpinned and some purged.
fn before() -> (Region, Area) {
    let region = Region::create_with("crash", PAGES * PAGE, Pinning::Kept).expect("a region");
    let mut area = Area::new();
    area.set_size(PAGES * PAGE).expect("new");
    area.mmap(PAGES * PAGE, Prot::READ).expect("backs it");
    let mapping = region.map::<()>().expect("a mapping");
    mapping.copy_in(0, &[7; (PAGES - 1) * PAGE]).expect("it fits");
    for (age, (first, end)) in (1..).zip(BEFORE) {
        Unpin(first, end).run(&region);
        Unpin(first, end).run_on(&mut area, age);
        if first == 0 {
            EvictOne.run(&region);
            EvictOne.run_on(&mut area, 0);
        }
    }
    (region, area)
}

/// What can be compared of a list of ranges.
fn ranges<'a>(of: impl IntoIterator<Item = &'a Unpinned>) -> Vec<(u32, u32, bool)> {
    of.into_iter().map(|range| (range.first, range.end, range.purged)).collect()
}

/// Whether the page still has memory.
fn has_memory(region: &Region, page: u32) -> bool {
    let at = u64::from(page) * PAGE as u64;
    rustix::fs::seek(region, rustix::fs::SeekFrom::Data(at)).is_ok_and(|data| data == at)
}

#[test]
fn a_kill_at_every_point_leaves_the_region_to_the_others() {
    if std::env::var_os(STOPS).is_some() {
        let region = inherited();
        let number = region.map::<AtomicU32>().expect("a mapping");
        let mut word = [0; 4];
        number.copy_out((PAGES - 1) * PAGE, &mut word).expect("inside");
        return OPERATIONS[u32::from_ne_bytes(word) as usize].run(&region);
    }
    let mut killed = 0;
    for (number, operation) in (0_u32..).zip(OPERATIONS) {
        for (point, done) in POINTS.into_iter().filter(|(point, _)| operation.comes_by(point)) {
            let (region, mut area) = before();
            let mapping = region.map::<AtomicU32>().expect("a mapping");
            mapping.copy_in((PAGES - 1) * PAGE, &number.to_ne_bytes()).expect("inside");
            Victim::start(&region, NAME, point).run_to_the_next_stop().kill();
            killed += 1;
            if done {
                operation.run_on(&mut area, 10);
            }
            let others =
                Region::from_fd(region.as_fd().try_clone_to_owned().expect("dup")).expect("a region");
            for handle in [&others, &region] {
                let found = handle.unpinned().expect("somebody can go on");
                assert_eq!(ranges(&found), ranges(area.unpinned()), "{operation:?}, killed: {point}");
            }
            for range in area.unpinned().filter(|range| range.purged) {
                let taken = (range.first..range.end).all(|page| !has_memory(&region, page));
                assert!(taken, "{operation:?}, killed: {point}: a purge is forgotten");
            }
            for (age, next) in (20..).zip([Unpin(3, 9), Pin(6, 7), EvictOne, Pin(0, 2), Unpin(0, 15)]) {
                next.run(&others);
                next.run_on(&mut area, age);
                assert_eq!(ranges(&region.unpinned().expect("usable")), ranges(area.unpinned()), "{next:?}");
            }
        }
    }
    assert!(killed > 30, "{killed} kills");
}

#[test]
fn a_region_touches_no_page_before_its_first_unpin() {
    let region = Region::create_with("untouched", 1 << 30, Pinning::Kept).expect("a region");
    let path = format!("/proc/self/fd/{}", region.as_fd().as_raw_fd());
    let blocks = || File::open(&path).and_then(|file| file.metadata()).expect("its file").blocks();
    assert_eq!(region.map::<AtomicU32>().expect("a mapping").load(Ordering::Relaxed), 0);
    assert_eq!(region.len(), 1 << 30);
    assert!(blocks() <= 8, "the page that was looked at, if any");
    region.unpin(0, 0).expect("all of it");
    assert!(blocks() <= 16, "and one for the pins of a gigabyte");
}
