//! Who has a segment attached.
//!
//! The kernel keeps a number (`nattch`), not names. The names are in /proc: the maps file of every process
//! shows its mappings, and those of a segment have the segment's id as inode.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};

use crate::error::{Cause, Error, Result};
use crate::smaps::{self, Mapping};
use crate::{Segment, SegmentId};

/// Who has one segment attached, as far as /proc lets us see.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttachedProcesses {
    /// The processes that were seen, by pid.
    pub processes: Vec<AttachedProcess>,
    /// How many mappings of it the kernel counts, in all processes (`nattch`).
    pub mappings: u64,
    /// Processes that we may not look into, since they are another user's or run set-uid: any of them, or
    /// none, may have it attached.
    pub unreadable: usize,
}

impl AttachedProcesses {
    /// Mappings that the kernel counts and that were not seen: of processes that are unreadable, or in a pid
    /// namespace that is hidden from us, or that have moved to another IPC namespace since they attached.
    #[must_use]
    pub fn unseen_mappings(&self) -> u64 {
        let seen: usize = self.processes.iter().map(|process| process.mappings.len()).sum();
        self.mappings.saturating_sub(seen as u64)
    }
}

/// One process that has the segment attached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttachedProcess {
    /// Its pid.
    pub pid: u32,
    /// What it calls itself (`/proc/<pid>/comm`), with anything unprintable escaped: any process can choose
    /// any 15 bytes.
    pub command: String,
    /// Its mappings of the segment: one for each `shmat`, more where `mprotect` has split one.
    pub mappings: Vec<AttachedMapping>,
}

impl AttachedProcess {
    /// Whether it can write to the segment as it is mapped now.
    #[must_use]
    pub fn can_write(&self) -> bool {
        self.mappings.iter().any(|mapping| mapping.writable)
    }

    /// Bytes of the segment that are in memory and that this process has touched. A page that two processes
    /// have touched counts in both.
    #[must_use]
    pub fn rss(&self) -> u64 {
        self.mappings.iter().map(|mapping| mapping.rss).sum()
    }

    /// The same, with each page divided by the number of mappings that have touched it: the shares of all
    /// processes add up to what the segment takes.
    #[must_use]
    pub fn pss(&self) -> u64 {
        self.mappings.iter().map(|mapping| mapping.pss).sum()
    }
}

/// One mapping of the segment: what `/proc/<pid>/smaps` says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct AttachedMapping {
    /// Where it begins, in that process.
    pub address: u64,
    /// Whether it can be written: not after `SHM_RDONLY`, and not while `mprotect` forbids it.
    pub writable: bool,
    /// Whether it can be executed.
    pub executable: bool,
    /// Bytes of it in memory that this mapping has touched.
    pub rss: u64,
    /// The same, each page divided by the number of mappings that have touched it.
    pub pss: u64,
}

impl Segment {
    /// Reads `/proc/<pid>/smaps` of every process - who has the segment attached, and how much of it.
    ///
    /// A segment of another IPC namespace can have the same id, so processes that have no thread in ours are
    /// left out. What a process maps it can also fake: a file of its own with such a name and such an inode.
    ///
    /// # Errors
    ///
    /// EINVAL, EIDRM: the segment is gone. What reading /proc says, where it is not mounted.
    ///
    /// # Examples
    ///
    /// ```
    /// use sysv_shm::{Key, Segment};
    ///
    /// let segment = Segment::create(Key::PRIVATE, 8192)?.remove_on_drop();
    /// let attachment = segment.attach::<()>()?;
    /// attachment.copy_in(0, b"touches the first of two pages")?;
    ///
    /// let attached = segment.attached_by()?;
    /// let [us] = &attached.processes[..] else { panic!("{attached:?}") };
    /// assert_eq!((us.pid, us.can_write(), us.rss()), (std::process::id(), true, 4096));
    /// assert_eq!(attached.unseen_mappings(), 0);
    /// # Ok::<(), sysv_shm::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// proc_pid_smaps(5)
    pub fn attached_by(&self) -> Result<AttachedProcesses> {
        let failed = |path: &str, error: io::Error| {
            Error::refused(format!("open({path})"), Cause::Other, format!("it cannot be read: {error}"))
        };
        const OURS: &str = "/proc/thread-self/ns/ipc";
        let ours = fs::read_link(OURS).map_err(|error| failed(OURS, error))?.into_os_string();
        let (mut processes, mut unreadable) = (Vec::new(), 0);
        for entry in fs::read_dir("/proc").map_err(|error| failed("/proc", error))? {
            let name = entry.map_err(|error| failed("/proc", error))?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            match look_into(pid, self.id(), &ours) {
                Ok(found) => processes.extend(found),
                Err(error) if error.kind() == ErrorKind::PermissionDenied && has_memory(pid) => {
                    unreadable += 1
                }
                Err(_) => {} // it has just ended
            }
        }
        processes.sort_by_key(|process| process.pid);
        // Asked last: a segment that is gone by now is an error, and not "attached by nobody".
        let mappings = crate::diagnosis::look(self.id()).map_or_else(|| self.stat(), Ok)?.attached;
        Ok(AttachedProcesses { processes, mappings, unreadable })
    }
}

/// The mappings that process `pid` has of the segment `id` of the IPC namespace `ours`; `None` when it has
/// none.
fn look_into(pid: u32, id: SegmentId, ours: &OsString) -> io::Result<Option<AttachedProcess>> {
    let of_segment = |mapping: &Mapping<'_>| mapping.is_of(id.number());
    // The maps file costs the kernel much less than smaps, which counts the pages of every mapping.
    let maps = fs::read(format!("/proc/{pid}/maps"))?;
    let has = smaps::mappings(&String::from_utf8_lossy(&maps)).any(|mapping| of_segment(&mapping));
    if !has || !is_in_namespace(pid, ours)? {
        return Ok(None);
    }
    let text = fs::read(format!("/proc/{pid}/smaps"))?;
    let text = String::from_utf8_lossy(&text);
    let mappings: Vec<_> = smaps::mappings(&text).filter(of_segment).map(|mapping| seen(&mapping)).collect();
    let comm = fs::read(format!("/proc/{pid}/comm"))?;
    let command = String::from_utf8_lossy(&comm).trim_end_matches('\n').escape_debug().to_string();
    Ok((!mappings.is_empty()).then_some(AttachedProcess { pid, command, mappings }))
}

fn seen(mapping: &Mapping<'_>) -> AttachedMapping {
    let Mapping { start, rss, pss, .. } = *mapping;
    let may = |letter| mapping.permissions.contains(letter);
    AttachedMapping { address: start, writable: may('w'), executable: may('x'), rss, pss }
}

/// Whether a thread of process `pid` is in the IPC namespace `ours`. A namespace belongs to a thread, and the
/// memory to the process.
fn is_in_namespace(pid: u32, ours: &OsString) -> io::Result<bool> {
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let link = thread?.path().join("ns/ipc");
        match fs::read_link(link) {
            Ok(theirs) if theirs.as_os_str() == ours => return Ok(true),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {} // this thread has just ended
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Whether process `pid` has memory of its own, which a thread of the kernel and a zombie do not.
fn has_memory(pid: u32) -> bool {
    // Everybody may read this file; its first number is the size of the address space.
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    statm.split_whitespace().next().is_some_and(|pages| pages != "0")
}
