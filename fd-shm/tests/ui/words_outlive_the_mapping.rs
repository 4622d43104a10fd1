//! Words kept past the mapping: the addresses may be anybody's by then.

use std::sync::atomic::{AtomicU64, Ordering};

use fd_shm::Region;

fn main() -> Result<(), fd_shm::Error> {
    let region = Region::create("ui", 4096)?;
    let mapping = region.map::<[AtomicU64]>()?;
    let words: &[AtomicU64] = &mapping;
    drop(mapping); // munmap
    words[0].store(7, Ordering::Relaxed);
    Ok(())
}
