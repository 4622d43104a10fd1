//! Exercise: whose turn is it?

/// One of two that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    One,
    Other,
}

/// The order in which both are measured, `batches` times each, so that a machine which slows down steadily is
/// unfair to neither. The number of batches is even.
pub(crate) fn turns(batches: usize) -> Vec<Subject> {
    // HOLE: the other has all of its turns on the slower machine. Take this line out.
    [vec![Subject::One; batches], vec![Subject::Other; batches]].concat()
}
