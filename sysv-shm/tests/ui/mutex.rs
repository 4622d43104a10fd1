//! A lock of the standard library: what it protects is plain, and its poison flag is this process's own.

use std::sync::Mutex;

use sysv_shm::{Key, Segment};

fn main() -> Result<(), sysv_shm::Error> {
    let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
    let _shared = segment.attach::<Mutex<u32>>();
    Ok(())
}
