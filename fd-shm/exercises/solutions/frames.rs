//! Solution: frames on a stream.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use fd_shm::{Result, scm_rights};

/// Receives one frame: a byte that says how long its text is, and the text. Its descriptors come with the first byte.
pub(crate) fn receive_frame(stream: &UnixStream) -> Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut len = [0];
    let mut descriptors = scm_rights::receive(stream, &mut len, scm_rights::MAX_DESCRIPTORS)?.descriptors;
    let mut text = vec![0; len[0].into()];
    let mut came = 0;
    while came < text.len() {
        // Never more than is left of this frame, and perhaps less.
        let more = scm_rights::receive(stream, &mut text[came..], scm_rights::MAX_DESCRIPTORS)?;
        descriptors.extend(more.descriptors);
        came += more.len;
    }
    Ok((text, descriptors))
}
