//! Solution: frames on a stream.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use fd_shm::{Result, scm_rights};

/// Receives one frame: four bytes that say how long its text is (a `u32` in native order), and the text. Its
/// descriptors come with its first byte.
pub(crate) fn receive_frame(stream: &UnixStream) -> Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut descriptors = Vec::new();
    let mut len = [0; 4];
    fill(stream, &mut len, &mut descriptors)?;
    // Among strangers this would be compared with a limit first.
    let mut text = vec![0; u32::from_ne_bytes(len) as usize];
    fill(stream, &mut text, &mut descriptors)?;
    Ok((text, descriptors))
}

/// Receives as much as `buffer` holds and nothing more, in as many pieces as it takes.
fn fill(stream: &UnixStream, buffer: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> Result<()> {
    let mut came = 0;
    while came < buffer.len() {
        let more = scm_rights::receive(stream, &mut buffer[came..], scm_rights::MAX_DESCRIPTORS)?;
        descriptors.extend(more.descriptors);
        came += more.len;
    }
    Ok(())
}
