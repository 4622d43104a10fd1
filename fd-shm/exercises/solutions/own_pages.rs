//! Solution: how much of it is my own?

/// How many pages of a private mapping of a file are copies of this process's own, in memory or swapped out.
pub(crate) fn own_pages(entries: &[u64]) -> usize {
    const THERE: u64 = 1 << 63 | 1 << 62;
    const OF_A_FILE: u64 = 1 << 61;
    entries.iter().filter(|entry| **entry & THERE != 0 && **entry & OF_A_FILE == 0).count()
}
