//! The exercises of the chapter on who pays: each test tells whether one is solved.
//!
//! `cargo test -p book --test exercises NAME` judges what is in `exercises/NAME.rs`; with `--features
//! solutions`, the solutions.

#[path = "../../sysv-shm/tests/support/exercise.rs"]
mod exercise;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/shares.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/shares.rs")]
mod shares;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/who_pays.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/who_pays.rs")]
mod who_pays;

use std::collections::BTreeSet;
use std::ops::Range;

use exercise::{Verdict, check, judge};
use fd_shm::{Mapping, Region};
use procfs::process::{MMapPath, Process};
use rustix::param::page_size;
use rustix::thread::disable_transparent_huge_pages;
use who_pays::Event;

/// A generator that needs no seed: what is judged is the same on every run.
struct Numbers(u64);

impl Numbers {
    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % end
    }

    /// Some of the pages below `end`, in a row.
    fn range(&mut self, end: usize) -> Range<usize> {
        let (one, other) = (self.below(end), self.below(end));
        one.min(other)..one.max(other) + 1
    }
}

#[test]
fn who_pays() {
    judge(
        "who_pays",
        what_the_book_prints().and_then(|()| (0..500).try_for_each(|seed| a_life(Numbers(seed)))),
    );
}

/// The rows of `who_is_charged`, with 64 pages: the creator is in group 0, the toucher in group 1.
fn what_the_book_prints() -> Verdict {
    let mut events = vec![Event::Make { group: 0, pages: 64 }];
    let mut row = |more: Vec<Event>, charged: [usize; 2], what: &str| {
        events.extend(more);
        let answer = who_pays::who_pays(2, &events);
        check(answer == charged, format!("{what}: charged are {charged:?}, and not {answer:?}"))
    };
    row(vec![], [0, 0], "made and mapped")?;
    let alternate = (0..64).step_by(2).map(|page| Event::Touch { group: 1, pages: page..page + 1 });
    row(alternate.collect(), [0, 32], "the toucher has touched every other page")?;
    row(vec![Event::Touch { group: 0, pages: 0..64 }], [32, 32], "then the creator has touched all of it")?;
    row(vec![Event::Touch { group: 1, pages: 0..64 }], [32, 32], "then the toucher has, too")?;
    row(vec![Event::End], [32, 32], "then the toucher has ended")
}

/// Three groups and a memory of sixteen pages, page by page: the payer of a page is the last group that
/// touched it when it was not there.
fn a_life(mut numbers: Numbers) -> Verdict {
    const PAGES: usize = 16;
    let mut events = vec![Event::Make { group: numbers.below(3), pages: PAGES }];
    for _ in 0..numbers.below(12) {
        let (group, pages) = (numbers.below(3), numbers.range(PAGES));
        events.push(match numbers.below(6) {
            0 => Event::End,
            1 => Event::Punch { pages },
            _ => Event::Touch { group, pages },
        });
    }
    let payer = |page: usize| {
        events.iter().fold(None, |payer, event| match event {
            Event::Punch { pages } if pages.contains(&page) => None,
            Event::Touch { group, pages } if pages.contains(&page) => payer.or(Some(*group)),
            _ => payer,
        })
    };
    let charged: Vec<_> =
        (0..3).map(|group| (0..PAGES).filter(|page| payer(*page) == Some(group)).count()).collect();
    let answer = who_pays::who_pays(3, &events);
    check(answer == charged, format!("after {events:?} charged are {charged:?}, and not {answer:?}"))
}

#[test]
fn shares() {
    disable_transparent_huge_pages(true).expect("prctl");
    judge("shares", (0..20).try_for_each(|seed| the_kernel_divides_alike(Numbers(seed))));
}

/// Maps a region up to four times, writes through each mapping to some pages, and asks the kernel. A
/// mapping is a mapping: whether it is in another process makes no difference.
fn the_kernel_divides_alike(mut numbers: Numbers) -> Verdict {
    const PAGES: usize = 64;
    let region = Region::create("shares", PAGES * page_size()).expect("a region");
    let mappings: Vec<Mapping> = (0..=numbers.below(4)).map(|_| region.map().expect("a mapping")).collect();
    let ranges: Vec<_> = mappings.iter().map(|_| numbers.range(PAGES)).collect();
    let touched: Vec<BTreeSet<usize>> = ranges.iter().map(|range| range.clone().collect()).collect();
    for (mapping, pages) in mappings.iter().zip(&touched) {
        pages.iter().for_each(|page| mapping.copy_in(page * page_size(), &[1]).expect("in the region"));
    }
    // In which order the mappings lie is the kernel's affair.
    let mut kernels = shares_in_smaps();
    let mut answer = shares::shares(&touched, page_size());
    kernels.sort_unstable();
    answer.sort_unstable();
    // The kernel tells whole kilobytes, and adds up fractions of bytes.
    let alike = answer.len() == kernels.len()
        && answer.iter().zip(&kernels).all(|(one, other)| one.abs_diff(*other) < 2048);
    let kilobytes = |shares: &[usize]| shares.iter().map(|share| share / 1024).collect::<Vec<_>>();
    let (answer, kernels) = (kilobytes(&answer), kilobytes(&kernels));
    check(alike, format!("of the pages {ranges:?} the shares are {kernels:?} kB, and not {answer:?}"))
}

/// What `/proc/self/smaps` says of every mapping of the region.
fn shares_in_smaps() -> Vec<usize> {
    let maps = Process::myself().and_then(|process| process.smaps()).expect("/proc");
    let is_ours =
        |path: &MMapPath| matches!(path, MMapPath::Path(path) if path.starts_with("/memfd:shares (deleted)"));
    let ours = maps.into_iter().filter(|map| is_ours(&map.pathname));
    ours.map(|map| usize::try_from(map.extension.map["Pss"]).expect("a size")).collect()
}
