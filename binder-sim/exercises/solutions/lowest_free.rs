//! Solution: which numbers will they get?

/// The numbers that `count` descriptors get in a process that has `open` open (in order) when it reads them, and may
/// have numbers below `limit`. `None` if the message cannot be delivered.
pub(crate) fn numbers(open: &[u32], limit: u32, count: usize) -> Option<Vec<u32>> {
    let free = (0..limit).filter(|fd| open.binary_search(fd).is_err());
    let numbers: Vec<u32> = free.take(count).collect();
    // All or none: numbers that were reserved already are put back.
    (numbers.len() == count).then_some(numbers)
}
