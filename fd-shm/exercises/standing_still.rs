//! Exercise: a message that stands still.

use std::os::fd::AsFd;

use fd_shm::{FixedFd, Memfd, Region, Result, Seals};

/// Makes a memory file that holds `text` and nothing else, for a receiver who wants to *see* that nobody, not
/// even its maker, can change or resize it any more, and that no seal can be added.
pub(crate) fn publish(text: &[u8]) -> Result<Region> {
    let memfd = Memfd::create("message")?;
    memfd.set_len(text.len() as u64)?;
    memfd.add_seals(Seals::SHRINK | Seals::GROW)?;
    let copy = memfd.as_fd().try_clone_to_owned().expect("room in the table");
    let mapping = FixedFd::new(copy)?.map::<()>()?;
    mapping.copy_in(0, text)?;
    // HOLE: this seal is to be had here, but it does not say what the receiver wants to see. Take another,
    // see what the kernel wants first, and take this comment out.
    memfd.add_seals(Seals::FUTURE_WRITE | Seals::SEAL)?;
    Region::from_fd(memfd.into())
}
