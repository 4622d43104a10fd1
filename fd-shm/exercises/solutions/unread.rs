//! Solution: what is on its way?

use std::collections::BTreeSet;
use std::{fs, io};

/// How many descriptors lie in the sockets of a process, sent to it and not received.
pub(crate) fn unread(pid: u32) -> io::Result<u64> {
    let (mut count, mut counted) = (0, BTreeSet::new());
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        // It may be closed while we look.
        let Ok(socket) = fs::read_link(entry.path()) else { continue };
        let path = format!("/proc/{pid}/fdinfo/{}", entry.file_name().display());
        let info = fs::read_to_string(path).unwrap_or_default();
        let lying = info.lines().find_map(|line| line.strip_prefix("scm_fds:")?.trim().parse::<u64>().ok());
        // `socket:[36215833]`: the same for every number of the socket.
        if let (Some(lying), true) = (lying, counted.insert(socket)) {
            count += lying;
        }
    }
    Ok(count)
}
