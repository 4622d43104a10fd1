//! One party to a lock that is let in twice: the kernel counts open files, and would let it.

use std::time::Duration;

use fd_shm::Region;
use fd_shm::lock::{Lock, LockWord};

fn main() -> Result<(), fd_shm::Error> {
    let region = Region::create("ui", 4096)?;
    let word = region.map::<LockWord>()?;
    let mut lock = Lock::open(&region, 0)?;
    let once = lock.lock(&word, Duration::ZERO)?;
    let twice = lock.lock(&word, Duration::ZERO)?;
    drop((once, twice));
    Ok(())
}
