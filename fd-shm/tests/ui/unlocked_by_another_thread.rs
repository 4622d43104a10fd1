//! A robust mutex unlocked by a thread that did not lock it, which pthread forbids.

use std::thread;

use fd_shm::lock::RobustMutex;

fn main() -> Result<(), fd_shm::Error> {
    // SAFETY: never run.
    let mutex = unsafe { RobustMutex::<()>::create("ui") }?;
    let inside = mutex.lock()?;
    thread::scope(|scope| {
        scope.spawn(move || drop(inside));
    });
    Ok(())
}
