//! A pointer: in another process the address means nothing, or something else.

use std::sync::atomic::AtomicPtr;

use sysv_shm::{Key, Segment};

fn main() -> Result<(), sysv_shm::Error> {
    let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
    let _shared = segment.attach::<AtomicPtr<u8>>();
    Ok(())
}
