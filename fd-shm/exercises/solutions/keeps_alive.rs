//! Solution: who keeps it alive?

use std::os::unix::fs::MetadataExt;
use std::{fs, io};

/// Whether this process alone would keep the memory file with this inode alive.
pub(crate) fn keeps_alive(pid: u32, inode: u64) -> io::Result<bool> {
    Ok(is_open(pid, inode)? || is_mapped(pid, inode)?)
}

/// Whether a descriptor of the process leads to the memory file.
fn is_open(pid: u32, inode: u64) -> io::Result<bool> {
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let path = entry?.path();
        // It may be closed while we look.
        let is_memory = fs::read_link(&path).is_ok_and(|file| file.to_string_lossy().starts_with("/memfd:"));
        if is_memory && fs::metadata(&path).is_ok_and(|found| found.ino() == inode) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a mapping of the process, shared or private, is of the memory file.
fn is_mapped(pid: u32, inode: u64) -> io::Result<bool> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    Ok(maps.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(4);
        let found = fields.next().is_some_and(|field| field.parse() == Ok(inode));
        found && fields.next().is_some_and(|path| path.starts_with("/memfd:"))
    }))
}
