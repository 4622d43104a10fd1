//! The unpinned ranges of one region: what pin and unpin do to them, in pages.
//!
//! Ranges are kept by their first page, so that looking one up costs no more with a thousand of them. Each
//! has a *slot*, a small number that is its own as long as it lives: where a region writes it down. Every
//! change is also said as a [`Change`], which is all that has to be written.

use std::collections::{BTreeMap, BTreeSet};

/// A range of pages that nobody has pinned, so that its memory may be taken.
///
/// # References
///
/// `struct ashmem_range` of `drivers/staging/android/ashmem.c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Unpinned {
    /// The first page.
    pub first: u32,
    /// The page after the last. A range may be empty: see [`Area::unpin`](super::Area::unpin).
    pub end: u32,
    /// Its memory has been taken, or the memory of a range that was merged into it.
    pub purged: bool,
    /// When it was unpinned, as the caller counts time: the lower, the sooner it is purged.
    pub age: u64,
    /// Where it is written down.
    pub(super) slot: u32,
}

impl Unpinned {
    /// How many pages it has.
    #[must_use]
    pub const fn pages(&self) -> u32 {
        self.end - self.first
    }

    /// Whether `page` is in it.
    const fn has(&self, page: u32) -> bool {
        self.first <= page && page < self.end
    }

    /// Whether all of `first..end` is in it.
    const fn covers(&self, first: u32, end: u32) -> bool {
        self.first <= first && end <= self.end
    }

    /// Whether `first..end` and this overlap. What only touches does not; an empty range is met by one that
    /// reaches the place where it is.
    pub(super) const fn meets(&self, first: u32, end: u32) -> bool {
        self.end > first && end > first && (self.has(first) || self.has(end - 1) || self.within(first, end))
    }

    /// Whether all of this is in `first..end`.
    const fn within(&self, first: u32, end: u32) -> bool {
        first <= self.first && self.end <= end
    }
}

/// What an operation did to the ranges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Change {
    /// Whatever met this is gone, unless it is in `kept`.
    pub(super) first: u32,
    /// See `first`.
    pub(super) end: u32,
    /// The slots of those that are gone.
    pub(super) gone: Vec<u32>,
    /// Those that are new or changed: never more than two.
    pub(super) kept: [Option<Unpinned>; 2],
}

impl Change {
    /// Nothing, by an operation on `first..end`.
    const fn over(first: u32, end: u32) -> Self {
        Self { first, end, gone: Vec::new(), kept: [None; 2] }
    }

    /// Whether everything is as it was.
    pub(super) fn is_none(&self) -> bool {
        self.gone.is_empty() && self.kept == [None; 2]
    }

    /// One range is changed, and nothing else.
    pub(super) const fn of_one(range: Unpinned) -> Self {
        Self { first: range.first, end: range.end, gone: Vec::new(), kept: [Some(range), None] }
    }

    /// Adds one that is new or changed.
    fn keep(&mut self, range: Unpinned) {
        let place = &mut self.kept[usize::from(self.kept[0].is_some())];
        debug_assert!(place.is_none(), "an operation changes two ranges at most");
        *place = Some(range);
    }
}

/// The unpinned ranges of one region.
///
/// # Invariants
///
/// * No two overlap, and no two that are empty begin at one page. (They may touch: ashmem merges what
///   overlaps, and that alone.)
/// * Each is stored under its first page.
/// * Each has another slot, and `by_slot` says its first page there; `free` has the slots
///   of `by_slot` that say nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Ranges {
    /// By first page.
    ranges: BTreeMap<u32, Unpinned>,
    /// The first page of the range in each slot.
    by_slot: Vec<Option<u32>>,
    /// Slots that were used and are not.
    free: BTreeSet<u32>,
}

impl Ranges {
    /// None: everything is pinned.
    pub(super) const fn new() -> Self {
        Self { ranges: BTreeMap::new(), by_slot: Vec::new(), free: BTreeSet::new() }
    }

    /// All of them, by page.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Unpinned> {
        self.ranges.values()
    }

    /// Adds a range that was written down: whether it overlaps none, and nobody has its slot.
    pub(super) fn restore(&mut self, range: Unpinned) -> bool {
        let after = self.ranges.range(range.first..).next().is_none_or(|(first, next)| {
            range.end <= *first && (range.first, range.end) != (next.first, next.end)
        });
        let before =
            self.ranges.range(..range.first).next_back().is_none_or(|(_, last)| last.end <= range.first);
        let slot = range.slot as usize;
        if !after || !before || self.by_slot.get(slot).is_some_and(Option::is_some) {
            return false;
        }
        while self.by_slot.len() <= slot {
            self.add_slot();
        }
        self.free.remove(&range.slot);
        self.put(range);
        true
    }

    /// Removes the range in a slot, if there is one.
    pub(super) fn forget(&mut self, slot: u32) {
        if let Some(first) = self.by_slot.get(slot as usize).copied().flatten() {
            self.ranges.remove(&first);
            self.leave_slot(slot);
        }
    }

    /// The last of those that `first..end` meets.
    fn last_met(&self, first: u32, end: u32) -> Option<Unpinned> {
        // Ranges are disjoint, so those after `first` are a run; but an empty one may lie behind the one met.
        let run = self.ranges.range(..=end).rev().map(|(_, range)| *range);
        run.take_while(|range| range.end > first).find(|range| range.meets(first, end))
    }

    /// Pins `first..end`: whether a range that it met had been purged, and what changed.
    ///
    /// What stays unpinned keeps flag and age, but for the upper part of a range that is cut in two: that
    /// part is a new range, of this `age`.
    pub(super) fn pin(&mut self, first: u32, end: u32, age: u64) -> (bool, Change) {
        let (mut purged, mut change) = (false, Change::over(first, end));
        while let Some(met) = self.last_met(first, end) {
            purged |= met.purged;
            self.ranges.remove(&met.first);
            let (lower, upper) = (met.first < first, met.end > end);
            if lower {
                change.keep(self.put(Unpinned { end: first, ..met }));
            }
            if upper {
                let rest = Unpinned { first: end, ..met };
                let apart = |slot| Unpinned { slot, age, ..rest };
                let rest = if lower { apart(self.new_slot()) } else { rest };
                change.keep(self.put(rest));
            }
            if !lower && !upper {
                self.drop_slot(met.slot, &mut change);
            }
        }
        (purged, change)
    }

    /// Unpins `first..end`. If one range has all of it, nothing changes; else those that it meets are merged
    /// into one, of this `age`, purged if one of them was.
    pub(super) fn unpin(&mut self, first: u32, end: u32, age: u64) -> Change {
        let mut change = Change::over(first, end);
        if end == 0 {
            return change; // nothing, and before every page: no operation could ever meet it
        }
        let mut union = Unpinned { first, end, purged: false, age, slot: 0 };
        while let Some(met) = self.last_met(union.first, union.end) {
            if met.covers(union.first, union.end) {
                // Only an empty range can have been met before this one. It is gone, and its flag with it.
                if !change.gone.is_empty() {
                    change.keep(met);
                }
                return change;
            }
            self.ranges.remove(&met.first);
            self.drop_slot(met.slot, &mut change);
            union.first = union.first.min(met.first);
            union.end = union.end.max(met.end);
            union.purged |= met.purged;
        }
        if union.pages() == 0 && self.ranges.contains_key(&union.first) {
            return change; // it is there already
        }
        union.slot = self.new_slot();
        let union = self.put(union);
        change.gone.retain(|slot| *slot != union.slot);
        change.keep(union);
        (change.first, change.end) = (union.first, union.end);
        change
    }

    /// Whether any page of `first..end` is unpinned.
    pub(super) fn is_unpinned(&self, first: u32, end: u32) -> bool {
        self.last_met(first, end).is_some()
    }

    /// The range whose memory is taken next: of those that still have theirs, the one unpinned first.
    pub(super) fn oldest(&self) -> Option<Unpinned> {
        self.ranges.values().filter(|range| !range.purged).min_by_key(|range| range.age).copied()
    }

    /// All that still have their memory, the one unpinned first before the others.
    pub(super) fn by_age(&self) -> Vec<Unpinned> {
        let mut ranges: Vec<_> = self.ranges.values().filter(|range| !range.purged).copied().collect();
        ranges.sort_by_key(|range| range.age);
        ranges
    }

    /// Marks the range that begins at `first` as purged, or as not, and gives it.
    pub(super) fn mark(&mut self, first: u32, purged: bool) -> Option<Unpinned> {
        let range = self.ranges.get_mut(&first)?;
        range.purged = purged;
        Some(*range)
    }

    /// Stores a range under its first page.
    fn put(&mut self, range: Unpinned) -> Unpinned {
        // INVARIANT: the caller has taken out whatever overlapped it, or cut it out of such a one; and its
        // slot is new, or was its own before.
        self.ranges.insert(range.first, range);
        self.by_slot[range.slot as usize] = Some(range.first);
        range
    }

    /// A slot that no range has.
    fn new_slot(&mut self) -> u32 {
        if self.free.is_empty() {
            self.add_slot();
        }
        self.free.pop_first().unwrap_or_default()
    }

    /// One more slot, which no range has. There are no more than ranges were at a time,
    /// and one for each page at most.
    fn add_slot(&mut self) {
        self.free.extend(u32::try_from(self.by_slot.len()));
        self.by_slot.push(None);
    }

    /// Gives back a slot whose range is gone.
    fn leave_slot(&mut self, slot: u32) {
        self.by_slot[slot as usize] = None;
        self.free.insert(slot);
    }

    /// Gives back the slot of a range that an operation took.
    fn drop_slot(&mut self, slot: u32, change: &mut Change) {
        self.leave_slot(slot);
        change.gone.push(slot);
    }
}
