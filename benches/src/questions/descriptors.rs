//! What does a descriptor cost in a message, and what do as many as one message takes?
//!
//! There and back within one thread, so that no other process's wake-up is in it: sent, received, sent back,
//! received, closed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use fd_shm::{Region, scm_rights};

use crate::Failure;
use crate::clock::Alone;
use crate::floor::socket;
use crate::measure::Entry;

/// How many go, and the name of that.
const COUNTS: [(usize, &str); 3] = [
    (1, "1 fd, there and back"),
    (16, "16 fds, there and back"),
    (scm_rights::MAX_DESCRIPTORS, "253 fds, there and back"),
];

/// The ways of each count.
pub(super) fn entries() -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    for (count, name) in COUNTS {
        let ends = UnixStream::pair().map_err(|e| Failure::call("socketpair(AF_UNIX)", &e))?;
        let table = Rc::new((ends, Region::create("table", 4096)?));
        let (raw, ours) = (Rc::clone(&table), table);
        entries.push(Entry::floor(
            name,
            0,
            Alone(move || {
                let ((one, other), region) = &*raw;
                go_raw(one, other, &vec![region.as_fd(); count])
            }),
        ));
        entries.push(Entry::ours(
            name,
            0,
            Alone(move || {
                let ((one, other), region) = &*ours;
                go(one, other, &vec![region.as_fd(); count])
            }),
        ));
    }
    Ok(entries)
}

fn go_raw(one: &UnixStream, other: &UnixStream, descriptors: &[BorrowedFd<'_>]) -> Result<(), Failure> {
    socket::send_descriptors(one.as_fd(), descriptors)?;
    let came = socket::receive_descriptors(other.as_fd())?;
    socket::send_descriptors(other.as_fd(), &borrowed(&came))?;
    drop(came);
    all_came(socket::receive_descriptors(one.as_fd())?, descriptors.len())
}

fn go(one: &UnixStream, other: &UnixStream, descriptors: &[BorrowedFd<'_>]) -> Result<(), Failure> {
    let most = descriptors.len();
    scm_rights::send(one, &[1], descriptors)?;
    let came = scm_rights::receive(other, &mut [0], most)?.descriptors;
    scm_rights::send(other, &[1], &borrowed(&came))?;
    drop(came);
    all_came(scm_rights::receive(one, &mut [0], most)?.descriptors, most)
}

fn borrowed(descriptors: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    descriptors.iter().map(AsFd::as_fd).collect()
}

fn all_came(descriptors: Vec<OwnedFd>, sent: usize) -> Result<(), Failure> {
    if descriptors.len() == sent { Ok(()) } else { Err(Failure::new("descriptors were lost on the way")) }
}
