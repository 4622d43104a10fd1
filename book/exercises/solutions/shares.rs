//! Solution: what is each one's share?

use std::collections::BTreeSet;

/// The proportional set size (`Pss`) of each mapping, in bytes.
///
/// `touched` has, for each mapping of one memory, the numbers of the pages that were touched through it; a
/// page has `page` bytes. Fractions of a byte do not count.
pub(crate) fn shares(touched: &[BTreeSet<usize>], page: usize) -> Vec<usize> {
    let holders = |number: &usize| touched.iter().filter(|pages| pages.contains(number)).count();
    touched.iter().map(|pages| pages.iter().map(|number| page / holders(number)).sum()).collect()
}
