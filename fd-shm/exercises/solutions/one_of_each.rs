//! Solution: one of each.

use std::os::fd::{AsRawFd, OwnedFd};

use fd_shm::{Result, same_open_file};

/// One descriptor of each *open file* among `descriptors`, in any order; the others are closed.
pub(crate) fn one_of_each(descriptors: Vec<OwnedFd>) -> Result<Vec<OwnedFd>> {
    let here = std::process::id();
    let mut known: Vec<OwnedFd> = Vec::new();
    for descriptor in descriptors {
        let mut is_known = false;
        for one in &known {
            is_known |= same_open_file((here, one.as_raw_fd()), (here, descriptor.as_raw_fd()))?;
        }
        if !is_known {
            known.push(descriptor);
        }
    }
    Ok(known)
}
