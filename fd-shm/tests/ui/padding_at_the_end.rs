//! A hole behind the last field.

use std::sync::atomic::{AtomicU8, AtomicU32};

#[repr(C)]
struct Holed {
    count: AtomicU32,
    ready: AtomicU8,
}
fd_shm::shareable!(Holed { count: AtomicU32, ready: AtomicU8 });

fn main() {}
