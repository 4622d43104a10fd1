//! Solution: which range goes first.

use fd_shm::ashmem::{Area, Unpinned};

/// Of all ranges of all regions, the one that a shrinker purges next, and the number of its region.
pub(crate) fn goes_first(regions: &[Area]) -> Option<(usize, Unpinned)> {
    let ranges =
        regions.iter().enumerate().flat_map(|(n, region)| region.unpinned().map(move |range| (n, *range)));
    // Who was unpinned first, in whichever region. What has lost its memory has none to give.
    ranges.filter(|(_, range)| !range.purged).min_by_key(|(_, range)| range.age)
}
