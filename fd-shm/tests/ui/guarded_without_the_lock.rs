//! What a robust mutex guards, reached past it.

use std::sync::atomic::{AtomicU32, Ordering};

use fd_shm::lock::RobustMutex;

fn main() -> Result<(), fd_shm::Error> {
    // SAFETY: never run.
    let mutex = unsafe { RobustMutex::<AtomicU32>::create("ui") }?;
    let inside = mutex.lock()?;
    let balance: &AtomicU32 = &inside;
    drop(inside);
    balance.store(7, Ordering::Relaxed);
    Ok(())
}
