//! What `/proc/PID` shows of one process: its mappings, and its descriptors.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::statfs;

use super::devices::Devices;
use super::maps::{self, Device, Mapping};

/// `TMPFS_MAGIC` of `linux/magic.h`.
const TMPFS: i64 = 0x0102_1994;

/// One process, as far as memory that can be shared is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: u32,
    /// What it calls itself, any 15 bytes.
    pub(crate) command: String,
    /// Its IPC namespace; a segment's id means nothing without.
    pub(crate) namespace: Option<OsString>,
    /// Its mappings of memory that can be shared.
    pub(crate) mappings: Vec<Mapping>,
    /// Its descriptors of regular files.
    pub(crate) descriptors: Vec<Descriptor>,
    /// Its sockets in which descriptors lie unread: the socket's number, and how many.
    pub(crate) unread: Vec<(i32, u64)>,
    /// Its descriptors of ashmem's driver, which do not show of which region they are.
    pub(crate) ashmem: Vec<i32>,
}

/// An entry of a process's table, and the open file behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// The number.
    pub(crate) number: i32,
    /// Where the link in `/proc/PID/fd` leads, byte by byte.
    pub(crate) link: Vec<u8>,
    /// The file system that the file is in.
    pub(crate) device: Device,
    /// The file's number there.
    pub(crate) inode: u64,
    /// Whether it is a file of a mounted tmpfs that has no name any more.
    pub(crate) is_unlinked: bool,
    /// Where the open file stands.
    pub(crate) position: u64,
    /// Whether it was opened for reading, writing, or both.
    pub(crate) access: &'static str,
}

// ANCHOR: look
impl Process {
    /// Reads the maps (and, if there is reason to, smaps), the table, and what is told of each
    /// descriptor.
    ///
    /// A descriptor that is closed meanwhile is passed over. Threads with a table of their own are not
    /// looked for.
    ///
    /// # Errors
    ///
    /// PermissionDenied when the kernel would not let us debug that process; NotFound, or ESRCH, when
    /// it is gone.
    pub(crate) fn look(pid: u32, devices: &Devices) -> io::Result<Self> {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let is_of_interest = |mapping: &Mapping| mapping.is_shared() || devices.are_of(mapping.device);
        // maps is cheap; for smaps the kernel walks through all pages.
        let mut mappings = maps::mappings(&fs::read(folder.join("maps"))?);
        if mappings.iter().any(is_of_interest) {
            mappings = maps::mappings(&fs::read(folder.join("smaps"))?);
        }
        mappings.retain(is_of_interest);
        let command = fs::read(folder.join("comm"))?;
        let command = maps::escaped(command.strip_suffix(b"\n").unwrap_or(&command));
        let namespace = fs::read_link(folder.join("ns/ipc")).ok().map(PathBuf::into_os_string);
        let (descriptors, unread, ashmem) = (Vec::new(), Vec::new(), Vec::new());
        let mut process = Self { pid, command, namespace, mappings, descriptors, unread, ashmem };
        for entry in fs::read_dir(folder.join("fd"))? {
            let name = entry?.file_name();
            if let Some(number) = name.to_str().and_then(|name| name.parse().ok()) {
                drop(process.look_at(&folder, number)); // an error: it has been closed just now
            }
        }
        process.descriptors.sort_by_key(|descriptor| descriptor.number);
        Ok(process)
    }

    /// One entry of the table: where it leads, `stat` of the file (which does not open it), and fdinfo.
    fn look_at(&mut self, folder: &Path, number: i32) -> io::Result<()> {
        let path = folder.join(format!("fd/{number}"));
        let link = fs::read_link(&path)?.into_os_string().into_vec();
        let file = fs::metadata(&path)?;
        let info = fs::read_to_string(folder.join(format!("fdinfo/{number}")))?;
        let line = |name: &str| {
            let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.map(str::trim)
        };
        let decimal = |name| line(name).and_then(|value| value.parse().ok()).unwrap_or(0);
        if decimal("scm_fds") > 0 {
            self.unread.push((number, decimal("scm_fds")));
        } else if link.starts_with(b"/dev/ashmem") {
            self.ashmem.push(number);
        } else if file.is_file() {
            let flags = line("flags").and_then(|value| u32::from_str_radix(value, 8).ok());
            let access = ["reads", "writes", "reads and writes"];
            let access = access[usize::try_from(flags.unwrap_or(0) & 3).map_or(0, |access| access.min(2))];
            let is_unlinked = file.nlink() == 0 && statfs(&path).is_ok_and(|fs| fs.f_type == TMPFS);
            let (device, inode, position) = (Device::of(file.dev()), file.ino(), decimal("pos"));
            self.descriptors.push(Descriptor { number, link, device, inode, is_unlinked, position, access });
        }
        Ok(())
    }
}
// ANCHOR_END: look

/// The pids of all processes.
pub(crate) fn all() -> io::Result<Vec<u32>> {
    let names = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut pids: Vec<_> = names.filter_map(|name| name.parse().ok()).collect();
    pids.sort_unstable();
    Ok(pids)
}

/// Whether a process has memory of its own: a thread of the kernel and a zombie have none. Everybody
/// may ask.
pub(crate) fn has_memory(pid: u32) -> bool {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    statm.split(' ').next().is_some_and(|pages| !pages.is_empty() && pages != "0")
}
