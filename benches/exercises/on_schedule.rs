//! Exercise: how long did they wait?

/// How long each request takes from the moment in which it was due until it is answered.
///
/// One request is due every `interval`, the first at 0. The server answers one after the other, in order, and
/// `work[n]` is how long it works on the one with the number `n`.
pub(crate) fn waits(work: &[u64], interval: u64) -> Vec<u64> {
    // HOLE: says what a sender sees who only asks when the last answer has come. Take these two lines out.
    let _ = interval;
    work.to_vec()
}
