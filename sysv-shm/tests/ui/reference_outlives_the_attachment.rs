//! A reference kept past the attachment: the addresses may be anybody's by then.

use std::sync::atomic::{AtomicU32, Ordering};

use sysv_shm::{Key, Segment};

fn main() -> Result<(), sysv_shm::Error> {
    let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
    let attachment = segment.attach::<AtomicU32>()?;
    let counter: &AtomicU32 = &attachment;
    drop(attachment); // shmdt
    counter.store(7, Ordering::Relaxed);
    Ok(())
}
