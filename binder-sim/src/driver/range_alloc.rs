//! Which parts of a mapping are taken: best fit, split from the start, merged when given back.
//!
//! Offsets and sizes only, never an address or a page: the kernel's C driver does this in `binder_alloc.c`, its
//! Rust driver in a file of this name.

use alloc::collections::{BTreeMap, BTreeSet};

/// A stretch of the mapping.
#[derive(Debug, Clone, Copy)]
struct Range {
    /// Its bytes.
    size: usize,
    /// Whether somebody has it.
    taken: bool,
}

/// The ranges of one mapping.
///
/// # Invariants
/// The ranges follow each other without a gap from 0 to the size; no two free ones touch; `free` lists exactly
/// the free ones.
#[derive(Debug)]
pub(crate) struct RangeAlloc {
    /// All ranges, by where they start.
    ranges: BTreeMap<usize, Range>,
    /// The free ones as (size, start): the first that is large enough is the best fit.
    free: BTreeSet<(usize, usize)>,
    /// The bytes of the mapping.
    size: usize,
}

impl RangeAlloc {
    /// One free range of `size` bytes.
    pub(crate) fn new(size: usize) -> RangeAlloc {
        let mut alloc = RangeAlloc { ranges: BTreeMap::new(), free: BTreeSet::new(), size };
        alloc.insert(0, Range { size, taken: false });
        alloc
    }

    /// Takes `size` bytes of the smallest free range that has them; says where they start.
    pub(crate) fn alloc(&mut self, size: usize) -> Option<usize> {
        let &(found, start) = self.free.range((size, 0)..).next()?;
        // INVARIANT: the rest of a split lies between the taken part and a taken neighbour (or the end).
        self.free.remove(&(found, start));
        self.insert(start, Range { size, taken: true });
        if found > size {
            self.insert(start + size, Range { size: found - size, taken: false });
        }
        Some(start)
    }

    /// Gives back the range that starts at `start`, and merges it with its free neighbours.
    pub(crate) fn free(&mut self, start: usize) {
        let Some(range) = self.ranges.get(&start).copied().filter(|range| range.taken) else { return };
        let (mut start, mut size) = (start, range.size);
        self.ranges.remove(&start);
        if let Some(after) = self.take_free(start + size) {
            size += after;
        }
        let before = self.ranges.range(..start).next_back().map(|(&at, &range)| (at, range));
        if let Some((at, Range { taken: false, size: before })) = before {
            self.take_free(at);
            (start, size) = (at, size + before);
        }
        // INVARIANT: both neighbours are taken now, or the ends of the mapping.
        self.insert(start, Range { size, taken: false });
    }

    /// Takes the free range at `start` out of both lists; says how large it was.
    fn take_free(&mut self, start: usize) -> Option<usize> {
        let size = self.ranges.get(&start).filter(|range| !range.taken)?.size;
        self.ranges.remove(&start);
        self.free.remove(&(size, start));
        Some(size)
    }

    /// Lists a range.
    fn insert(&mut self, start: usize, range: Range) {
        self.ranges.insert(start, range);
        if !range.taken {
            self.free.insert((range.size, start));
        }
    }

    /// The bytes that nobody has.
    pub(crate) fn free_bytes(&self) -> usize {
        self.free.iter().map(|&(size, _)| size).sum()
    }

    /// Whether the invariants hold; if not, which does not.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let (mut end, mut was_free) = (0, false);
        for (&start, range) in &self.ranges {
            if start != end {
                return Err("ranges leave a gap or overlap");
            }
            if was_free && !range.taken {
                return Err("two free ranges touch");
            }
            if !range.taken && !self.free.contains(&(range.size, start)) {
                return Err("a free range is not listed as free");
            }
            (end, was_free) = (start + range.size, !range.taken);
        }
        let listed = self.ranges.values().filter(|range| !range.taken).count();
        if end != self.size || listed != self.free.len() {
            return Err("ranges do not cover the mapping, or a taken one is listed as free");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::RangeAlloc;

    #[test]
    fn best_fit_takes_the_smallest_hole_from_its_start_and_frees_merge() {
        let mut alloc = RangeAlloc::new(100);
        let starts: [usize; 4] = [30, 10, 20, 10].map(|size| alloc.alloc(size).expect("room"));
        assert_eq!(starts, [0, 30, 40, 60]);
        alloc.free(0);
        alloc.free(40);
        alloc.check().expect("two holes: 30 bytes at 0, 20 at 40; 30 at the end");
        assert_eq!(alloc.alloc(15), Some(40), "the smallest hole that is large enough");
        assert_eq!(alloc.alloc(40), None, "60 bytes are free, but not in one piece");
        for start in [40, 30, 60] {
            alloc.free(start);
            alloc.check().expect("merged");
        }
        assert_eq!((alloc.free_bytes(), alloc.alloc(100)), (100, Some(0)), "one piece again");
    }

    #[test]
    fn giving_back_what_is_not_taken_changes_nothing() {
        let mut alloc = RangeAlloc::new(64);
        alloc.free(0);
        alloc.free(8);
        alloc.check().expect("as before");
        assert_eq!(alloc.free_bytes(), 64);
    }
}
