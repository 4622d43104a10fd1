//! Exercise: the driver's unpin.

/// An unpinned range: its first page, its last, and whether it counts as purged.
pub(crate) type Range = (u32, u32, bool);

/// Unpins the pages `first` to `last`, as the driver does. The ranges are disjoint
/// and in order, before and after.
pub(crate) fn unpin(ranges: &mut Vec<Range>, first: u32, last: u32) {
    // HOLE: ranges that only touch are joined, and what was purged is forgotten. Take this line out.
    let mut union = (first, last, false);
    ranges.retain(|&(low, high, _)| {
        let apart = high + 1 < first || last + 1 < low;
        if !apart {
            union = (union.0.min(low), union.1.max(high), false);
        }
        apart
    });
    ranges.push(union);
    ranges.sort_unstable();
}
