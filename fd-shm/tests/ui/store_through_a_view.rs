//! A store through a read-only mapping, which would be a SIGSEGV too.

use std::sync::atomic::{AtomicU32, Ordering};

use fd_shm::Region;

fn main() -> Result<(), fd_shm::Error> {
    let region = Region::create("ui", 4096)?;
    let reader = region.map_read_only::<AtomicU32>()?;
    reader.store(7, Ordering::Release);
    Ok(())
}
