//! A truth value: a peer can store a 2, which is neither.

use std::sync::atomic::AtomicBool;

use sysv_shm::{Key, Segment};

fn main() -> Result<(), sysv_shm::Error> {
    let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
    let _shared = segment.attach::<AtomicBool>();
    Ok(())
}
