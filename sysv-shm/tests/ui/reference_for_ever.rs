//! A reference for ever, as a thread asks for it: the attachment may go first. (Sending the attachment itself
//! into the thread is right, and so is a scoped thread.)

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use sysv_shm::{Key, Segment};

fn main() -> Result<(), sysv_shm::Error> {
    let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
    let attachment = segment.attach::<AtomicU32>()?;
    let counter: &'static AtomicU32 = &attachment;
    thread::spawn(move || counter.store(7, Ordering::Relaxed));
    Ok(())
}
