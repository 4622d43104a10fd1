//! A robust mutex without the word `unsafe`: who makes one promises that its peers are trusted.

use fd_shm::lock::RobustMutex;

fn main() -> Result<(), fd_shm::Error> {
    let mutex = RobustMutex::<()>::create("ui")?;
    drop(mutex);
    Ok(())
}
