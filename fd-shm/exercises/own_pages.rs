//! Exercise: how much of it is my own?

/// How many pages of a private mapping of a file are copies of this process's own, in memory or swapped out.
///
/// `entries` are the mapping's words of `/proc/self/pagemap`. Bit 63: the page is in memory. Bit 62: it is
/// swapped out. Bit 61: it is a page of a file, or of shared memory.
pub(crate) fn own_pages(entries: &[u64]) -> usize {
    // HOLE: this counts every page that is there. Leave out what is the file's, and take this line out.
    entries.iter().filter(|entry| **entry & (1 << 63) != 0).count()
}
