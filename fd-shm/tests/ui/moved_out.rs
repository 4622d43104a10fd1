//! Moving the head out of the memory: it is not ours, and others go on using it.

use std::sync::atomic::AtomicU32;

use fd_shm::Region;

fn main() -> Result<(), fd_shm::Error> {
    let region = Region::create("ui", 4096)?;
    let mapping = region.map::<AtomicU32>()?;
    let counter: AtomicU32 = *mapping;
    drop(counter);
    Ok(())
}
