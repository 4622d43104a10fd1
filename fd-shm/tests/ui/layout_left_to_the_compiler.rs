//! Without `#[repr(C)]` the compiler puts the fields where it likes, in each program elsewhere.

use std::sync::atomic::{AtomicU16, AtomicU32};

struct Reordered {
    low: AtomicU16,
    high: AtomicU16,
    word: AtomicU32,
}
fd_shm::shareable!(Reordered { low: AtomicU16, high: AtomicU16, word: AtomicU32 });

fn main() {}
