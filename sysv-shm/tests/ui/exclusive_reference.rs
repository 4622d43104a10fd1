//! `&mut`: a promise that nobody else can write, which nobody can give. (`AtomicU32::get_mut` would take it.)

use std::sync::atomic::AtomicU32;

use sysv_shm::{Key, Segment};

fn main() -> Result<(), sysv_shm::Error> {
    let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
    let attachment = segment.attach::<AtomicU32>()?;
    *attachment.get_mut() += 1;
    Ok(())
}
