//! A copy into the tail of a read-only attachment, which would be a SIGSEGV too.

use sysv_shm::{Key, Segment};

fn main() -> Result<(), sysv_shm::Error> {
    let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
    let reader = segment.attach_read_only::<()>()?;
    reader.copy_in(0, b"a message")?;
    Ok(())
}
