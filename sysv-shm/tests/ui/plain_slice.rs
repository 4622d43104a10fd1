//! The memory as a slice of bytes: a peer would write them under our eyes.

use sysv_shm::{Key, Segment};

fn main() -> Result<(), sysv_shm::Error> {
    let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
    let attachment = segment.attach::<()>()?;
    let bytes: &[u8] = &attachment;
    println!("{}", bytes.len());
    Ok(())
}
