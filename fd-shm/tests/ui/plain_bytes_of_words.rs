//! Words in place, taken for the bytes that they are made of: another size, and not even atomic.

use std::sync::atomic::AtomicU64;

use fd_shm::Region;

fn main() -> Result<(), fd_shm::Error> {
    let region = Region::create("ui", 4096)?;
    let mapping = region.map::<[AtomicU64]>()?;
    let bytes: &[u8] = &mapping;
    println!("{}", bytes.len());
    Ok(())
}
