//! A number whose size a 32-bit and a 64-bit process see differently.

use std::sync::atomic::AtomicUsize;

use fd_shm::{FixedFd, Region};

fn main() -> Result<(), fd_shm::Error> {
    let region = FixedFd::from(Region::create("ui", 4096)?);
    let _shared = region.map::<AtomicUsize>();
    Ok(())
}
