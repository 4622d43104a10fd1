//! A pointer: in another process the address means nothing, or something else.

use std::sync::atomic::AtomicPtr;

use fd_shm::{FixedFd, Region};

fn main() -> Result<(), fd_shm::Error> {
    let region = FixedFd::from(Region::create("ui", 4096)?);
    let _shared = region.map::<AtomicPtr<u8>>();
    Ok(())
}
