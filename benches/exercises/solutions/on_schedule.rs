//! Solution: how long did they wait?

/// How long each request takes from the moment in which it was due until it is answered.
pub(crate) fn waits(work: &[u64], interval: u64) -> Vec<u64> {
    let mut free = 0; // when the server has answered all before
    let due = (0..).step_by(usize::try_from(interval).unwrap_or(usize::MAX).max(1));
    let wait = |(due, work): (u64, &u64)| {
        free = free.max(due) + work;
        free - due
    };
    due.zip(work).map(wait).collect()
}
