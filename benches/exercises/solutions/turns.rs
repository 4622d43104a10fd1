//! Solution: whose turn is it?

/// One of two that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    One,
    Other,
}

/// The order in which both are measured, `batches` times each.
pub(crate) fn turns(batches: usize) -> Vec<Subject> {
    use Subject::{One, Other};
    // In every four turns both wait equally long: 0 + 3 for the one, 1 + 2 for the other.
    [One, Other, Other, One].into_iter().cycle().take(2 * batches).collect()
}
