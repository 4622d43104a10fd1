//! A field kept from the list, and so from the checks.

use std::sync::atomic::AtomicU32;

#[repr(C)]
struct Meeting {
    server: AtomicU32,
    client: u32,
}
fd_shm::shareable!(Meeting { server: AtomicU32 });

fn main() {}
