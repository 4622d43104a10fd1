//! A lock of the standard library: what it protects is plain, and its poison flag is this process's own.

use std::sync::Mutex;

use fd_shm::{FixedFd, Region};

fn main() -> Result<(), fd_shm::Error> {
    let region = FixedFd::from(Region::create("ui", 4096)?);
    let _shared = region.map::<Mutex<u32>>();
    Ok(())
}
