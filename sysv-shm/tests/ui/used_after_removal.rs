//! An owner that has removed its segment, and is asked for it again.

use sysv_shm::{Key, Segment};

fn main() -> Result<(), sysv_shm::Error> {
    let owner = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
    owner.remove()?;
    let attachment = owner.attach::<()>()?;
    drop(attachment);
    Ok(())
}
