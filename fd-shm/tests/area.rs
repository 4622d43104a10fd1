//! The driver's state machine: a story, each rule as rows, and what must hold after any operations at all.

use fd_shm::ashmem::{Area, Errno, PAGE, Pin, PinStatus, Prot, Unpinned, Whence};
use proptest::prelude::*;

const RW: Prot = Prot::from_bits(3);

/// A region of so many pages that somebody has mapped.
fn backed(pages: usize) -> Area {
    let mut area = Area::new();
    area.set_size(pages * PAGE).expect("not backed yet");
    area.mmap(pages * PAGE, RW).expect("all of it");
    area
}

/// An offset or length of so many pages.
fn bytes(pages: u32) -> u32 {
    pages * u32::try_from(PAGE).expect("a small number")
}

#[test]
fn a_cache_lends_its_pages_and_asks_whether_they_came_back() {
    let mut area = Area::new();
    area.set_name(b"thumbnails").expect("new");
    area.set_size(10_000).expect("new");
    assert_eq!((area.name(), area.size()), (&b"thumbnails"[..], 10_000));
    assert_eq!(area.mmap(12_288, RW), Ok(Prot::ALL), "whole pages");

    area.unpin(0, 0, 1).expect("all of it");
    assert_eq!(area.pin(0, bytes(1), 2), Ok(Pin::NotPurged), "nobody was short of memory");
    assert_eq!(area.purge_all().iter().map(Unpinned::pages).sum::<u32>(), 2);
    assert_eq!(area.pin_status(bytes(1), bytes(1)), Ok(PinStatus::Unpinned));
    assert_eq!(area.pin(0, 0, 3), Ok(Pin::WasPurged), "the content is gone: make it again");
    assert_eq!(area.pin(0, 0, 4), Ok(Pin::NotPurged), "told once");
}

/// Runs operations on an area of 16 pages, and writes down what each answered.
///
/// `U0-3` unpins pages 0 to 3, `P0-3` pins them, `S0-3` asks their status; `*` purges all, `e` evicts one.
fn run(script: &str) -> String {
    let mut area = backed(16);
    let mut said = Vec::new();
    for (age, step) in (1..).zip(script.split_whitespace()) {
        let (verb, pages) = step.split_at(1);
        let (offset, len) = match pages.split_once('-') {
            Some((first, last)) => {
                let (first, last): (u32, u32) = (first.parse().expect(step), last.parse().expect(step));
                (bytes(first), bytes(last + 1 - first))
            }
            None => (0, 0),
        };
        match verb {
            "U" => area.unpin(offset, len, age).expect(step),
            "P" => said.push((area.pin(offset, len, age).expect(step) as u32).to_string()),
            "S" => said.push((area.pin_status(offset, len).expect(step) as u32).to_string()),
            "*" => said.push(area.purge_all().iter().map(Unpinned::pages).sum::<u32>().to_string()),
            "e" => said.push(area.evict_one().map_or("none".into(), |range| shown(&range))),
            _ => panic!("no such operation: {step}"),
        }
    }
    let ranges: Vec<_> = area.unpinned().map(shown).collect();
    format!("{} | {}", said.join(" "), ranges.join(" "))
}

/// `[0,3]`, with a `P` when it is purged.
fn shown(range: &Unpinned) -> String {
    format!("[{},{}]{}", range.first, range.end - 1, if range.purged { "P" } else { "" })
}

#[test]
fn ranges_merge_split_and_remember_as_the_driver_has_them() {
    // Each was run on Linux 5.10, and agreed; "evict one" is the shrinker's order, seen with many ranges.
    let rows = [
        ("U0-0 U1-1", " | [0,0] [1,1]"),
        ("U0-0 U1-1 U0-1", " | [0,1]"),
        ("U0-1 U6-7 U1-6", " | [0,7]"),
        ("U0-1 U6-7 U1-6 *", "8 | [0,7]P"),
        ("U0-0 * U1-1 *", "1 1 | [0,0]P [1,1]P"),
        ("U0-0 * U0-3 P3-3", "1 1 | [0,2]P"),
        ("U0-1 * U4-5 P1-4", "2 1 | [0,0]P [5,5]"),
        ("U0-1 * U4-5 P1-4 *", "2 1 1 | [0,0]P [5,5]P"),
        ("U0-9 P4-5 P0-1 P8-9", "0 0 0 | [2,3] [6,7]"),
        ("U0-1 * U1-4 *", "2 0 | [0,4]P"),
        ("U0-1 * U1-4 * P4-4", "2 0 1 | [0,3]P"),
        ("U0-1 * U1-4 * P4-4 P0-15 P0-15", "2 0 1 1 0 | "),
        ("U0-4 U8-9 P2-2 e e", "0 [0,1]P [8,9]P | [0,1]P [3,4] [8,9]P"),
        ("P0-3 P0-3 U0-3 S0-3", "0 0 0 | [0,3]"),
        ("U2-2 S0-1 S0-5 S3-9", "1 0 1 | [2,2]"),
        ("U0-3 * P0-0 P1-3", "4 1 1 | "),
        ("U0-3 U8-9 * *", "6 0 | [0,3]P [8,9]P"),
    ];
    for (script, expected) in rows {
        assert_eq!(run(script), expected, "{script}");
    }
}

#[test]
fn what_is_purged_next_depends_on_when_it_was_unpinned() {
    let rows = [
        ("U8-9 U0-1 e e e", "[8,9]P [0,1]P none | [0,1]P [8,9]P"),
        ("U0-3 U8-8 U1-2 e", "[0,3]P | [0,3]P [8,8]"), // inside: nothing changes, not even the age
        ("U0-3 U8-8 U3-4 e", "[8,8]P | [0,4] [8,8]P"), // a union is new
        ("U0-3 U8-8 P0-0 P3-3 e", "0 0 [1,2]P | [1,2]P [8,8]"), // what is left keeps its place
        ("U0-0 * U0-3 e", "1 none | [0,3]P"),          // a union with a purged range is not purged again
        ("U1-1 U1-1 P1-1 P1-1", "0 0 | "),
        ("e *", "none 0 | "),
    ];
    for (script, expected) in rows {
        assert_eq!(run(script), expected, "{script}");
    }
}

#[test]
fn to_the_end_of_the_region_may_be_nothing() {
    let (mut area, end) = (backed(4), bytes(4));
    for age in 1..3 {
        assert_eq!(area.pin(end, 0, age), Ok(Pin::NotPurged));
        assert_eq!(area.pin_status(end, 0), Ok(PinStatus::Pinned));
        area.unpin(end, 0, age).expect("nothing, to the end");
    }
    // The driver has an empty range now, which whoever reaches the end of the region meets.
    assert_eq!(area.unpinned().map(Unpinned::pages).collect::<Vec<_>>(), [0]);
    assert_eq!(area.pin_status(bytes(3), bytes(1)), Ok(PinStatus::Unpinned));
    assert_eq!(area.pin_status(bytes(2), bytes(1)), Ok(PinStatus::Pinned));
    assert_eq!(area.purge_all().iter().map(Unpinned::pages).sum::<u32>(), 0);
    assert_eq!(area.pin(bytes(3), bytes(1), 4), Ok(Pin::WasPurged), "of memory that it never had");
    assert_eq!(area.unpinned().count(), 0);

    // And a range that has all that is unpinned anew swallows it, flag and all.
    area.unpin(bytes(2), 0, 5).expect("two pages");
    area.unpin(end, 0, 6).expect("nothing, to the end");
    area.unpin(bytes(3), bytes(1), 7).expect("inside");
    assert_eq!(
        area.unpinned().map(|range| (range.first, range.end, range.age)).collect::<Vec<_>>(),
        [(2, 4, 5)]
    );
}

/// One operation on an area, and what it must answer.
type Row = (&'static str, fn(&mut Area) -> Result<u64, Errno>, Result<u64, Errno>);

/// Runs rows on one area, in order.
fn check(mut area: Area, rows: &[Row]) {
    for (what, operation, expected) in rows {
        assert_eq!(operation(&mut area), *expected, "{what}");
    }
}

fn mmap(area: &mut Area, len: usize, prot: Prot) -> Result<u64, Errno> {
    area.mmap(len, prot).map(|may| may.bits().into())
}

fn pin_all(area: &mut Area) -> Result<u64, Errno> {
    area.pin(0, 0, 1).map(|answer| answer as u64)
}

fn status_all(area: &mut Area) -> Result<u64, Errno> {
    area.pin_status(0, 0).map(|answer| answer as u64)
}

fn done<T>(result: Result<T, Errno>) -> Result<u64, Errno> {
    result.map(|_| 0)
}

fn nothing(result: Result<std::ops::Range<u64>, Errno>) -> Result<u64, Errno> {
    result.map(|bytes| bytes.end - bytes.start)
}

const EINVAL: Result<u64, Errno> = Err(Errno::EINVAL);
const EPERM: Result<u64, Errno> = Err(Errno::EPERM);
const EBADF: Result<u64, Errno> = Err(Errno::EBADF);

#[test]
fn a_region_that_is_not_backed_has_no_pins_and_can_change() {
    let rows: &[Row] = &[
        ("size", |a| Ok(a.size() as u64), Ok(0)),
        ("name", |a| Ok(u64::from(a.name() == b"dev/ashmem")), Ok(1)),
        ("mask", |a| Ok(a.prot_mask().bits().into()), Ok(7)),
        ("map without size", |a| mmap(a, PAGE, RW), EINVAL),
        ("read without size", |a| nothing(a.read(1)), Ok(0)),
        ("seek without size", |a| a.lseek(0, Whence::Set), EINVAL),
        ("pin without size", pin_all, EINVAL),
        ("unpin without size", |a| done(a.unpin(0, 0, 1)), EINVAL),
        ("status without size", status_all, EINVAL),
        ("size 0", |a| done(a.set_size(0)), Ok(0)),
        ("size 8192", |a| done(a.set_size(8192)), Ok(0)),
        ("size 4096", |a| done(a.set_size(4096)), Ok(0)),
        ("the last one counts", |a| Ok(a.size() as u64), Ok(4096)),
        ("read unmapped", |a| nothing(a.read(1)), EBADF),
        ("seek unmapped", |a| a.lseek(0, Whence::Set), EBADF),
        ("pin unmapped", pin_all, EINVAL),
        ("unpin unmapped", |a| done(a.unpin(0, 0, 1)), EINVAL),
        ("status unmapped", status_all, EINVAL),
        ("map nothing", |a| mmap(a, 0, RW), EINVAL),
        ("a refused map backs nothing", |a| done(a.set_size(10_000)), Ok(0)),
        ("map more than there is", |a| mmap(a, 12_289, RW), EINVAL),
        ("map four pages", |a| mmap(a, 16_384, RW), EINVAL),
        ("map what cannot be rounded", |a| mmap(a, usize::MAX, RW), Err(Errno::ENOMEM)),
        ("map whole pages", |a| mmap(a, 12_288, RW), Ok(7)),
        ("resize", |a| done(a.set_size(4096)), EINVAL),
        ("rename", |a| done(a.set_name(b"late")), EINVAL),
        ("not rounded", |a| Ok(a.size() as u64), Ok(10_000)),
        ("write", |a| a.write().map(|n| n as u64), EINVAL),
        ("a size that wraps cannot be mapped", |_| mmap(&mut sized(usize::MAX), 1, RW), EINVAL),
        ("one byte is one page", |_| mmap(&mut sized(1), PAGE, RW), Ok(7)),
        ("and no more", |_| mmap(&mut sized(1), PAGE + 1, RW), EINVAL),
    ];
    check(Area::default(), rows);
}

/// A region with a size, not backed.
fn sized(size: usize) -> Area {
    let mut area = Area::new();
    area.set_size(size).expect("new");
    area
}

#[test]
fn a_mask_only_shrinks_and_binds_only_what_is_mapped_later() {
    const R: Prot = Prot::READ;
    let rows: &[Row] = &[
        ("a map before", |a| mmap(a, PAGE, RW), Ok(7)),
        ("the same", |a| done(a.set_prot_mask(Prot::ALL)), Ok(0)),
        ("bits that mean nothing", |a| done(a.set_prot_mask(Prot::from_bits(0xff))), EINVAL),
        ("less", |a| done(a.set_prot_mask(R)), Ok(0)),
        ("mask", |a| Ok(a.prot_mask().bits().into()), Ok(1)),
        ("more", |a| done(a.set_prot_mask(RW)), EINVAL),
        ("another", |a| done(a.set_prot_mask(Prot::EXEC)), EINVAL),
        ("map rw", |a| mmap(a, PAGE, RW), EPERM),
        ("map w", |a| mmap(a, PAGE, Prot::WRITE), EPERM),
        ("map rx", |a| mmap(a, PAGE, R | Prot::EXEC), EPERM),
        ("length before rights", |a| mmap(a, 2 * PAGE, RW), EINVAL),
        ("map r, never to gain more", |a| mmap(a, PAGE, R), Ok(1)),
        ("map nothing", |a| mmap(a, PAGE, Prot::NONE), Ok(1)),
        ("read brings exec", |a| done(a.set_prot_mask_read_implies_exec(R)), Ok(0)),
        ("so it can grow", |a| Ok(a.prot_mask().bits().into()), Ok(5)),
        ("none brings nothing", |a| done(a.set_prot_mask_read_implies_exec(Prot::NONE)), Ok(0)),
        ("not even to read", |a| mmap(a, PAGE, R), EPERM),
        ("but no access", |a| mmap(a, PAGE, Prot::NONE), Ok(0)),
        ("nothing comes back", |a| done(a.set_prot_mask_read_implies_exec(R)), EINVAL),
    ];
    check(backed(1), rows);
}

#[test]
fn names_end_at_a_zero_byte_or_at_255() {
    let long = [b'n'; 300];
    let rows: [(&[u8], &[u8]); 6] = [
        (b"plain", b"plain"),
        (b"", b"dev/ashmem"),
        (b"\0after", b"dev/ashmem"),
        (b"one\0two", b"one"),
        (&long[..255], &long[..255]),
        (&long, &long[..255]),
    ];
    for (name, kept) in rows {
        let mut area = Area::new();
        area.set_name(name).expect("new");
        assert_eq!(area.name(), kept);
    }
}

#[test]
fn an_interval_is_checked_before_anything_else() {
    let all = bytes(3);
    let rows = [
        (0, all, true),
        (0, 0, true),
        (all, 0, true),
        (1, 0, false),
        (0, 1, false),
        (bytes(1), bytes(2), true),
        (bytes(1), all, false),
        (all, bytes(1), false),
        (bytes(4), 0, false),
        (bytes(1), u32::MAX - 4095, false), // the sum wraps
        (u32::MAX - 4095, bytes(1), false),
        (u32::MAX - 4095, 0, false),
    ];
    for (offset, len, good) in rows {
        let mut area = backed(3);
        let expected = if good { Ok(()) } else { Err(Errno::EINVAL) };
        assert_eq!(area.pin_status(offset, len).map(drop), expected, "status {offset}, {len}");
        assert_eq!(area.pin(offset, len, 1).map(|_| ()), expected, "pin {offset}, {len}");
        assert_eq!(area.unpin(offset, len, 2), expected, "unpin {offset}, {len}");
        assert_eq!(area.unpinned().count(), usize::from(good));
    }
}

#[test]
fn the_offset_is_shared_and_moves_with_what_is_read() {
    let mut area = sized(10_000);
    area.mmap(1, Prot::READ).expect("backs it");
    assert_eq!(area.read(4096), Ok(0..4096));
    assert_eq!(area.lseek(0, Whence::Current), Ok(4096));
    assert_eq!(area.lseek(-100, Whence::End), Ok(9_900));
    assert_eq!(area.read(4096), Ok(9_900..10_000), "to the size, which is not rounded");
    assert_eq!(area.read(1), Ok(10_000..10_000));
    assert_eq!(area.lseek(-1, Whence::Set), Err(Errno::EINVAL));
    assert_eq!(area.lseek(1, Whence::End), Ok(10_001), "behind the end, where nothing is read");
    assert_eq!(area.read(1), Ok(10_001..10_001));
    assert_eq!(area.lseek(i64::MAX, Whence::Current), Err(Errno::EINVAL));
}

/// The driver's list, page by page, by brute force: which range a page is in, each range with flag and age.
#[derive(Debug, Default)]
struct Model {
    /// The number of its range.
    range_of: [Option<usize>; 16],
    /// Purged, and age.
    ranges: Vec<(bool, u64)>,
}

impl Model {
    fn met(&self, first: usize, end: usize) -> Vec<usize> {
        let mut met: Vec<_> = self.range_of[first..end].iter().flatten().copied().collect();
        met.dedup();
        met
    }

    fn pin(&mut self, first: usize, end: usize, age: u64) -> bool {
        let purged = self.met(first, end).iter().any(|range| self.ranges[*range].0);
        let cut = first > 0 && end < 16 && self.range_of[first - 1].is_some();
        if cut && self.range_of[first - 1] == self.range_of[end] {
            let old = self.range_of[end];
            self.ranges.push((purged, age));
            let new = self.ranges.len() - 1;
            self.range_of[end..]
                .iter_mut()
                .filter(|range| **range == old)
                .for_each(|range| *range = Some(new));
        }
        self.range_of[first..end].fill(None);
        purged
    }

    fn unpin(&mut self, first: usize, end: usize, age: u64) {
        let met = self.met(first, end);
        if met.len() == 1 && self.range_of[first..end].iter().all(Option::is_some) {
            return;
        }
        self.ranges.push((met.iter().any(|range| self.ranges[*range].0), age));
        let new = self.ranges.len() - 1;
        for page in 0..16 {
            let merged = self.range_of[page].is_some_and(|range| met.contains(&range));
            if merged || (first..end).contains(&page) {
                self.range_of[page] = Some(new);
            }
        }
    }

    fn evict_one(&mut self) {
        let unpurged = self.range_of.iter().flatten().filter(|range| !self.ranges[**range].0);
        if let Some(range) = unpurged.min_by_key(|range| self.ranges[**range].1).copied() {
            self.ranges[range].0 = true;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_operations_give_what_a_page_by_page_model_gives(
        steps in proptest::collection::vec((0..8, 0..16_u32, 1..9_u32), 1..60)
    ) {
        let (mut area, mut model) = (backed(16), Model::default());
        for (age, (verb, first, len)) in (1..).zip(steps) {
            let end = (first + len).min(16);
            let (offset, bytes) = (bytes(first), bytes(end - first));
            let (first, end) = (first as usize, end as usize);
            match verb {
                0..3 => {
                    area.unpin(offset, bytes, age).expect("in the region");
                    model.unpin(first, end, age);
                }
                3..6 => {
                    let purged = area.pin(offset, bytes, age).expect("in the region").was_purged();
                    prop_assert_eq!(purged, model.pin(first, end, age));
                }
                6 => {
                    let unpinned = area.pin_status(offset, bytes) == Ok(PinStatus::Unpinned);
                    prop_assert_eq!(unpinned, !model.met(first, end).is_empty());
                }
                _ => {
                    area.evict_one();
                    model.evict_one();
                }
            }
            for range in area.unpinned() {
                let pages = &model.range_of[range.first as usize..range.end as usize];
                let one = pages[0].expect("unpinned in the model as well");
                prop_assert!(pages.iter().all(|page| *page == Some(one)));
                prop_assert_eq!((range.purged, range.age), model.ranges[one]);
            }
            let unpinned: u32 = area.unpinned().map(Unpinned::pages).sum();
            prop_assert_eq!(unpinned as usize, model.range_of.iter().flatten().count());
        }
    }
}
