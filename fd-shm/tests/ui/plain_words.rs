//! Plain words in place: a sum of them may be made of what they never were.

use fd_shm::Region;

fn main() -> Result<(), fd_shm::Error> {
    let region = Region::create("ui", 4096)?;
    let _words = region.map::<[u64]>()?;
    Ok(())
}
