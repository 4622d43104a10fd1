//! Plain words in place: a sum of them may be made of what they never were.

use sysv_shm::{Key, Segment};

fn main() -> Result<(), sysv_shm::Error> {
    let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
    let _words = segment.attach::<[u64]>();
    Ok(())
}
