//! A store through a read-only attachment: the page has no write access, and the store would be a SIGSEGV.

use std::sync::atomic::{AtomicU32, Ordering};

use sysv_shm::{Key, Segment};

fn main() -> Result<(), sysv_shm::Error> {
    let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
    let reader = segment.attach_read_only::<AtomicU32>()?;
    reader.store(7, Ordering::Release);
    Ok(())
}
