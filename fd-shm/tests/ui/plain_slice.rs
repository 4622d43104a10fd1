//! The memory as a slice of bytes: a peer would write them under our eyes.

use fd_shm::Region;

fn main() -> Result<(), fd_shm::Error> {
    let region = Region::create("ui", 4096)?;
    let mapping = region.map::<()>()?;
    let bytes: &[u8] = &mapping;
    println!("{}", bytes.len());
    Ok(())
}
