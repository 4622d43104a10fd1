//! Exercise: what is each one's share?

use std::collections::BTreeSet;

/// The proportional set size (`Pss`) of each mapping, in bytes.
///
/// `touched` has, for each mapping of one memory, the numbers of the pages that were touched through it; a
/// page has `page` bytes. Fractions of a byte do not count.
pub(crate) fn shares(touched: &[BTreeSet<usize>], page: usize) -> Vec<usize> {
    // HOLE: this divides by the number of mappings, and not everybody has every page. Take this line out.
    touched.iter().map(|pages| pages.len() * page / touched.len()).collect()
}
