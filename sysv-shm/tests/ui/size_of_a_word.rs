//! A number whose size a 32-bit and a 64-bit process see differently.

use std::sync::atomic::AtomicUsize;

use sysv_shm::{Key, Segment};

fn main() -> Result<(), sysv_shm::Error> {
    let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
    let _shared = segment.attach::<AtomicUsize>();
    Ok(())
}
