//! Exercise: frames on a stream.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use fd_shm::{Result, scm_rights};

/// Receives one frame: four bytes that say how long its text is (a `u32` in native order), and the text. Its
/// descriptors come with its first byte.
///
/// The sender sends each frame by one `scm_rights::send`, and does not wait for us. A text may be
/// longer than what a socket holds.
pub(crate) fn receive_frame(stream: &UnixStream) -> Result<(Vec<u8>, Vec<OwnedFd>)> {
    // HOLE: this takes one read for one frame. Mend it, and take this line out.
    let mut buffer = vec![0; 1 << 20];
    let message = scm_rights::receive(stream, &mut buffer, scm_rights::MAX_DESCRIPTORS)?;
    let text = buffer[4..message.len].to_vec();
    Ok((text, message.descriptors))
}
