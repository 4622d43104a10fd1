//! A mapping of a memory file that its maker can still cut.

use fd_shm::Memfd;

fn main() -> Result<(), fd_shm::Error> {
    let memfd = Memfd::create("ui")?;
    memfd.set_len(4096)?;
    let mapping = memfd.map_read_only::<()>()?;
    drop(mapping);
    Ok(())
}
