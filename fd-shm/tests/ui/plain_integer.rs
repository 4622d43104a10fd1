//! A plain number in shared memory: the compiler may believe that it stands still.

use fd_shm::{FixedFd, Region};

fn main() -> Result<(), fd_shm::Error> {
    let region = FixedFd::from(Region::create("ui", 4096)?);
    let _shared = region.map::<u32>();
    Ok(())
}
