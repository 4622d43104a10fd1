//! A `FixedFd` made without the check that its name promises.

use fd_shm::{FixedFd, Memfd};

fn main() -> Result<(), fd_shm::Error> {
    let memfd = Memfd::create("ui")?;
    let fixed = FixedFd { fd: memfd.into(), len: 4096 };
    drop(fixed);
    Ok(())
}
