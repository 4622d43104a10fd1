//! A copy into the tail of a read-only mapping: the page has no write access, and it would be a SIGSEGV.

use fd_shm::Region;

fn main() -> Result<(), fd_shm::Error> {
    let region = Region::create("ui", 4096)?;
    let reader = region.map_read_only::<()>()?;
    reader.copy_in(0, b"a message")?;
    Ok(())
}
