//! `&mut`: a promise that nobody else can write, which nobody can give. (`AtomicU32::get_mut` would take it.)

use std::sync::atomic::AtomicU32;

use fd_shm::Region;

fn main() -> Result<(), fd_shm::Error> {
    let region = Region::create("ui", 4096)?;
    let mapping = region.map::<AtomicU32>()?;
    *mapping.get_mut() += 1;
    Ok(())
}
