//! A reference that calls itself a number of the same size.

use std::sync::atomic::AtomicU64;

#[repr(C)]
struct Disguised {
    first: &'static AtomicU64,
}
fd_shm::shareable!(Disguised { first: AtomicU64 });

fn main() {}
