//! A store into words of a read-only mapping, which would be a SIGSEGV.

use std::sync::atomic::{AtomicU64, Ordering};

use fd_shm::Region;

fn main() -> Result<(), fd_shm::Error> {
    let region = Region::create("ui", 4096)?;
    let words = region.map_read_only::<[AtomicU64]>()?;
    words[0].store(7, Ordering::Release);
    Ok(())
}
