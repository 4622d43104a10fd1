//! A reference for ever, as a thread asks for it: the mapping may go first. (Sending the mapping itself into
//! the thread is right, and so is a scoped thread.)

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use fd_shm::Region;

fn main() -> Result<(), fd_shm::Error> {
    let region = Region::create("ui", 4096)?;
    let mapping = region.map::<AtomicU32>()?;
    let counter: &'static AtomicU32 = &mapping;
    thread::spawn(move || counter.store(7, Ordering::Relaxed));
    Ok(())
}
