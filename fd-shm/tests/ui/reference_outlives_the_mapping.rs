//! A reference kept past the mapping: the addresses may be anybody's by then.

use std::sync::atomic::{AtomicU32, Ordering};

use fd_shm::Region;

fn main() -> Result<(), fd_shm::Error> {
    let region = Region::create("ui", 4096)?;
    let mapping = region.map::<AtomicU32>()?;
    let counter: &AtomicU32 = &mapping;
    drop(mapping); // munmap
    counter.store(7, Ordering::Relaxed);
    Ok(())
}
