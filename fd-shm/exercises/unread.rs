//! Exercise: what is on its way?

use std::{fs, io};

/// How many descriptors lie in the sockets of a process, sent to it and not received.
pub(crate) fn unread(pid: u32) -> io::Result<u64> {
    let mut count = 0;
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let number = entry?.file_name();
        // It may be closed while we look.
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", number.display())).unwrap_or_default();
        let lying = info.lines().find_map(|line| line.strip_prefix("scm_fds:")?.trim().parse::<u64>().ok());
        // HOLE: this counts by numbers, and a socket may have several. Take this line out when it does not.
        count += lying.unwrap_or(0);
    }
    Ok(count)
}
