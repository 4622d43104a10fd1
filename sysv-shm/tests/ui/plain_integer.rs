//! A plain number in shared memory: the compiler may believe that it stands still.

use sysv_shm::{Key, Segment};

fn main() -> Result<(), sysv_shm::Error> {
    let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
    let _shared = segment.attach::<u32>();
    Ok(())
}
