//! A store into words of a read-only attachment, which would be a SIGSEGV.

use std::sync::atomic::{AtomicU64, Ordering};

use sysv_shm::{Key, Segment};

fn main() -> Result<(), sysv_shm::Error> {
    let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
    let words = segment.attach_read_only::<[AtomicU64]>()?;
    words[0].store(7, Ordering::Release);
    Ok(())
}
