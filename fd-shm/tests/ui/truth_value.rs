//! A truth value: a peer can store a 2, which is neither.

use std::sync::atomic::AtomicBool;

use fd_shm::{FixedFd, Region};

fn main() -> Result<(), fd_shm::Error> {
    let region = FixedFd::from(Region::create("ui", 4096)?);
    let _shared = region.map::<AtomicBool>();
    Ok(())
}
