//! Which parts of a mapping are taken: best fit, split from the start, merged when given back.
//!
//! Offsets and sizes only, never an address or a page: the kernel's C driver does this in `binder_alloc.c`, its
//! Rust driver in a file of this name. Blocks know their neighbours, so only two things need a search: the
//! smallest free block that is large enough, and the taken block at an offset that comes from outside. The first
//! is a tree ([`FreeTree`]), the second a table, made as it is needed.

use super::free_tree::FreeTree;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// No block: the end of the chain, or of the list of unused places.
const NONE: u32 = u32::MAX;

/// Blocks begin at multiples of this.
const GRAIN: u32 = 8;

/// How many such starts one piece of the table is for: those of a page.
const STARTS: usize = 512;

/// The place of a block in its allocator: good until the block is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockId(u32);

/// A stretch of the mapping.
#[derive(Debug)]
struct Block<T> {
    /// Where it begins.
    start: u32,
    /// Its bytes.
    size: u32,
    /// The block before it.
    before: u32,
    /// The block behind it; of a place that no block uses, the next such place.
    behind: u32,
    /// What stands in it, while somebody has it.
    taken: Option<T>,
    /// What its last user left behind; a block that was just split off has 0.
    mark: u32,
}

/// The blocks of one mapping, and a `T` for each that is taken.
///
/// # Invariants
/// The blocks from 0 on, each `behind` the one before, cover the mapping without a gap; no two free ones touch;
/// place 0 is the first; `free` lists exactly the free ones, `by_start` exactly the taken ones.
#[derive(Debug)]
pub(crate) struct RangeAlloc<T> {
    /// All blocks, and places that blocks have left.
    blocks: Vec<Block<T>>,
    /// The first place that no block uses.
    unused: u32,
    /// The free ones by size.
    free: FreeTree,
    /// The places of the taken ones, by where they start: pieces of a table.
    by_start: Vec<Option<Box<[u32; STARTS]>>>,
    /// The bytes of the mapping.
    size: u32,
}

impl<T> RangeAlloc<T> {
    /// One free block of `size` bytes.
    pub(crate) fn new(size: u32) -> RangeAlloc<T> {
        let whole = Block { start: 0, size, before: NONE, behind: NONE, taken: None, mark: 0 };
        let mut free = FreeTree::new();
        free.insert(0, |_| size);
        RangeAlloc { blocks: alloc::vec![whole], unused: NONE, free, by_start: Vec::new(), size }
    }

    /// Takes `size` bytes of the smallest free block that has them, for `value`.
    pub(crate) fn alloc(&mut self, size: u32, value: T) -> Option<BlockId> {
        let place = self.free.best_fit(size, |place| self.blocks[place as usize].size)?;
        let block = &mut self.blocks[place as usize];
        let (start, behind) = (block.start, block.behind);
        let whole = core::mem::replace(&mut block.size, size);
        block.taken = Some(value);
        if whole > size {
            // INVARIANT: the rest of a split lies between the taken part and a taken neighbour (or the end).
            let (start, size) = (start + size, whole - size);
            let rest = Block { start, size, before: place, behind, taken: None, mark: 0 };
            let rest = self.put(rest);
            if behind != NONE {
                self.blocks[behind as usize].before = rest;
            }
            self.blocks[place as usize].behind = rest;
            // Before the other is taken off: the order of the two decides where blocks of one size stand.
            let blocks = &self.blocks;
            if !self.free.exchange_only(place, rest, |place| blocks[place as usize].size) {
                self.list(rest);
                self.free.remove(place);
            }
        } else {
            self.free.remove(place);
        }
        self.note(start, place);
        Some(BlockId(place))
    }

    /// Gives a block back, and merges it with its free neighbours.
    pub(crate) fn free(&mut self, id: BlockId) -> Option<T> {
        let place = id.0;
        let block = self.blocks.get_mut(place as usize)?;
        let value = block.taken.take()?;
        let (start, before, behind) = (block.start, block.before, block.behind);
        self.note(start, NONE);
        if self.is_free(behind) {
            self.free.remove(behind);
            self.swallow(place, behind);
        }
        let mut merged = place;
        if self.is_free(before) {
            self.free.remove(before);
            self.swallow(before, place);
            merged = before;
        }
        // INVARIANT: both neighbours are taken now, or the ends of the mapping.
        self.list(merged);
        Some(value)
    }

    /// The taken block at this offset.
    pub(crate) fn find(&self, start: u32) -> Option<BlockId> {
        let (piece, at) = split(start)?;
        let place = self.by_start.get(piece)?.as_ref()?[at];
        (place != NONE).then_some(BlockId(place))
    }

    /// Where a taken block begins, and its bytes.
    pub(crate) fn place(&self, id: BlockId) -> (u32, u32) {
        let block = &self.blocks[id.0 as usize];
        (block.start, block.size)
    }

    /// What stands in a block, if it is taken.
    pub(crate) fn get_mut(&mut self, id: BlockId) -> Option<&mut T> {
        self.blocks.get_mut(id.0 as usize)?.taken.as_mut()
    }

    /// Leaves a mark in a block, which stays when it is given back; says which was there.
    pub(crate) fn mark(&mut self, id: BlockId, mark: u32) -> u32 {
        core::mem::replace(&mut self.blocks[id.0 as usize].mark, mark)
    }

    /// The taken blocks by where they start: their bytes, and what stands in them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let mut place = 0;
        let blocks = core::iter::from_fn(move || {
            let block = self.blocks.get(place as usize)?;
            place = block.behind;
            Some(block)
        });
        blocks.filter_map(|block| block.taken.as_ref().map(|value| (block.size, value)))
    }

    /// The bytes that nobody has.
    pub(crate) fn free_bytes(&self) -> u32 {
        self.size - self.iter().map(|(size, _)| size).sum::<u32>()
    }

    /// Notes which taken block begins here: one at `place`, or none.
    fn note(&mut self, start: u32, place: u32) {
        let Some((piece, at)) = split(start) else { return };
        if self.by_start.len() <= piece {
            self.by_start.resize_with(piece + 1, || None);
        }
        self.by_start[piece].get_or_insert_with(|| Box::new([NONE; STARTS]))[at] = place;
    }

    /// Whether there is a free block at this place.
    fn is_free(&self, place: u32) -> bool {
        place != NONE && self.blocks[place as usize].taken.is_none()
    }

    /// Puts a free block on the list of those.
    fn list(&mut self, place: u32) {
        let blocks = &self.blocks;
        self.free.insert(place, |place| blocks[place as usize].size);
    }

    /// Makes the block at `first` as large as it and its neighbour `second`, which is no block any more.
    fn swallow(&mut self, first: u32, second: u32) {
        let Block { size, behind, .. } = self.blocks[second as usize];
        let block = &mut self.blocks[first as usize];
        (block.size, block.behind) = (block.size + size, behind);
        if behind != NONE {
            self.blocks[behind as usize].before = first;
        }
        self.blocks[second as usize].behind = core::mem::replace(&mut self.unused, second);
    }

    /// Puts a block into an unused place.
    fn put(&mut self, block: Block<T>) -> u32 {
        if self.unused == NONE {
            self.blocks.push(block);
            // A block has at least 8 of at most 2^32 bytes.
            return u32::try_from(self.blocks.len() - 1).unwrap_or(NONE);
        }
        let place = self.unused;
        self.unused = self.blocks[place as usize].behind;
        self.blocks[place as usize] = block;
        place
    }

    /// Whether the invariants hold; if not, which does not.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let (mut end, mut was_free, mut before, mut at) = (0, false, NONE, 0);
        let (mut free, mut taken) = (0, 0);
        while at != NONE {
            let block = &self.blocks[at as usize];
            unless(block.start == end && block.before == before, "blocks leave a gap or overlap")?;
            let is_free = block.taken.is_none();
            unless(!(was_free && is_free), "two free blocks touch")?;
            let listed =
                self.free.contains(at) == is_free && (is_free || self.find(block.start) == Some(BlockId(at)));
            unless(listed, "a block is not listed as what it is")?;
            (free, taken) = (free + usize::from(is_free), taken + usize::from(!is_free));
            (end, was_free, before, at) = (end + block.size, is_free, at, block.behind);
        }
        unless(end == self.size, "blocks do not cover the mapping")?;
        self.free.check(|place| self.blocks[place as usize].size)?;
        let noted = self.by_start.iter().flatten().flat_map(|piece| piece.iter());
        let noted = noted.filter(|&&place| place != NONE).count();
        unless((free, taken) == (self.free.len(), noted), "something is listed that is no block")
    }
}

/// An error unless it `holds`.
fn unless(holds: bool, broken: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(broken) }
}

/// Which piece of the table an offset belongs to, and where in it; none if no block begins there.
fn split(start: u32) -> Option<(usize, usize)> {
    let grain = (start / GRAIN) as usize;
    start.is_multiple_of(GRAIN).then_some((grain / STARTS, grain % STARTS))
}

#[cfg(test)]
mod tests {
    use super::{BlockId, FreeTree, RangeAlloc};

    #[test]
    fn best_fit_takes_the_smallest_hole_from_its_start_and_frees_merge() {
        let mut alloc = RangeAlloc::new(800);
        let taken: [BlockId; 4] = [240, 80, 160, 80].map(|size| alloc.alloc(size, ()).expect("room"));
        assert_eq!(taken.map(|id| alloc.place(id)), [(0, 240), (240, 80), (320, 160), (480, 80)]);
        alloc.free(taken[0]);
        alloc.free(taken[2]);
        alloc.check().expect("two holes: 240 bytes at 0, 160 at 320; 240 at the end");
        let smallest = alloc.alloc(120, ()).expect("room");
        assert_eq!(alloc.place(smallest), (320, 120), "the smallest hole that is large enough");
        assert_eq!(alloc.alloc(320, ()), None, "520 bytes are free, but not in one piece");
        for id in [smallest, taken[1], taken[3]] {
            assert_eq!(alloc.free(id), Some(()));
            alloc.check().expect("merged");
        }
        assert_eq!(alloc.free_bytes(), 800);
        assert_eq!(alloc.alloc(800, ()).map(|id| alloc.place(id)), Some((0, 800)), "one piece again");
    }

    #[test]
    fn what_does_not_hold_is_found() {
        type Breaks = fn(&mut RangeAlloc<()>);
        let table: [(&str, Breaks); 5] = [
            ("gap or overlap", |alloc| alloc.blocks[1].start += 8),
            ("two free blocks touch", |alloc| alloc.blocks[1].taken = None),
            ("not listed as what it is", |alloc| alloc.free = FreeTree::new()),
            ("do not cover the mapping", |alloc| alloc.size += 8),
            ("listed that is no block", |alloc| alloc.note(56, 9)),
        ];
        for (broken, breaks) in table {
            let mut alloc = RangeAlloc::new(64);
            let first = alloc.alloc(8, ()).expect("room");
            alloc.alloc(8, ()).expect("room");
            alloc.free(first);
            alloc.check().expect("as it should be");
            breaks(&mut alloc);
            assert!(alloc.check().expect_err(broken).contains(broken), "{broken}");
        }
    }

    #[test]
    fn giving_back_what_is_not_taken_changes_nothing() {
        let mut alloc = RangeAlloc::new(64);
        let taken = alloc.alloc(8, 'x').expect("room");
        assert_eq!((alloc.find(0), alloc.find(4), alloc.get_mut(taken)), (Some(taken), None, Some(&mut 'x')));
        assert_eq!((alloc.free(taken), alloc.free(taken), alloc.find(0)), (Some('x'), None, None));
        alloc.check().expect("as before");
        assert_eq!(alloc.free_bytes(), 64);
    }
}
