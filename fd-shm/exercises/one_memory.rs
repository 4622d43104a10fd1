//! Exercise: is it one memory?

/// Whether two lines of `/proc/<pid>/maps`, of one process or of two, show one memory: what is stored through
/// the one mapping is seen through the other. Both begin at the start of their file.
pub(crate) fn is_one_memory(one: &str, other: &str) -> bool {
    // HOLE: this compares labels. Compare what tells, and take this line out.
    one.split_whitespace().nth(5) == other.split_whitespace().nth(5)
}
