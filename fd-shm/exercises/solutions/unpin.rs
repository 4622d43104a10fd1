//! Solution: the driver's unpin.

/// An unpinned range: its first page, its last, and whether it counts as purged.
pub(crate) type Range = (u32, u32, bool);

/// Unpins the pages `first` to `last`, as the driver does. The ranges are disjoint
/// and in order, before and after.
pub(crate) fn unpin(ranges: &mut Vec<Range>, first: u32, last: u32) {
    let mut union = (first, last, false);
    ranges.retain(|&(low, high, purged)| {
        // What only touches stays apart.
        let apart = high < first || last < low;
        if !apart {
            union = (union.0.min(low), union.1.max(high), union.2 | purged);
        }
        apart
    });
    ranges.push(union);
    ranges.sort_unstable();
}
