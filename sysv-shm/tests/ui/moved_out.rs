//! Moving the head out of the memory: it is not ours, and others go on using it.

use std::sync::atomic::AtomicU32;

use sysv_shm::{Key, Segment};

fn main() -> Result<(), sysv_shm::Error> {
    let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
    let attachment = segment.attach::<AtomicU32>()?;
    let counter: AtomicU32 = *attachment;
    drop(counter);
    Ok(())
}
