//! Waiting by looking again.

/// Looks in a row before the CPU is offered to others: far more than a word needs to cross between two
/// caches.
const PATIENCE: u32 = 20_000;

/// Looks until `there` says so.
///
/// With a CPU for each of the two processes the first few looks suffice. Where they share one, or somebody
/// else runs, whoever waits would otherwise keep the CPU from the one that it waits for until its time
/// slice ends.
#[inline]
pub(crate) fn until(mut there: impl FnMut() -> bool) {
    let mut looks = 0;
    while !there() {
        looks += 1;
        if looks % PATIENCE == 0 {
            std::thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }
}

/// Looks up to so many times; whether `there` said so.
#[inline]
pub(crate) fn a_while(looks: u32, mut there: impl FnMut() -> bool) -> bool {
    for _ in 0..looks {
        if there() {
            return true;
        }
        std::hint::spin_loop();
    }
    false
}
