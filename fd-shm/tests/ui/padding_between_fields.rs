//! A hole between two fields: its bytes would be plain ones, which nobody may look at while others write.

use std::sync::atomic::{AtomicU8, AtomicU32};

#[repr(C)]
struct Holed {
    ready: AtomicU8,
    count: AtomicU32,
}
fd_shm::shareable!(Holed { ready: AtomicU8, count: AtomicU32 });

fn main() {}
