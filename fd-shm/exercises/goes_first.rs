//! Exercise: which range goes first.

use fd_shm::ashmem::{Area, Unpinned};

/// Of all ranges of all regions, the one that a shrinker purges next, and the number of its region.
pub(crate) fn goes_first(regions: &[Area]) -> Option<(usize, Unpinned)> {
    // HOLE: this begins with the first region, and goes by where a range is in it. Take this line out.
    let ranges =
        regions.iter().enumerate().flat_map(|(n, region)| region.unpinned().map(move |range| (n, *range)));
    ranges.min_by_key(|(region, range)| (*region, range.first))
}
