//! A process of the world: a name, a pid, a table, and perhaps opens of the device.

use super::File;
use crate::fd_table::FdTable;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A process of the world, by its pid. Pids are not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pid(u32);

impl Pid {
    /// The pid of the first process of a world.
    pub const FIRST: Pid = Pid(1001);

    /// The number.
    pub fn raw(self) -> u32 {
        self.0
    }

    /// The pid of the process at this place in the world's list.
    pub(crate) fn from_index(index: usize) -> Pid {
        Pid(u32::try_from(index).unwrap_or(u32::MAX).saturating_add(Pid::FIRST.0))
    }

    /// The place in the world's list.
    pub(crate) fn index(self) -> usize {
        (self.0 - Pid::FIRST.0) as usize
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Who makes a call of the device: a thread of a process, through one of its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The process.
    pub pid: Pid,
    /// The thread; the main one has the number of its process. Of two processes that share an open, no two
    /// threads have the same number.
    pub tid: u32,
    /// The number under which the process has the device open.
    pub fd: u32,
}

/// One process.
#[derive(Debug)]
pub(crate) struct Process<T> {
    /// What to call it.
    pub(crate) name: String,
    /// Its effective uid.
    pub(crate) euid: u32,
    /// Its table; none once it has exited.
    pub(crate) table: Option<FdTable<File<T>>>,
    /// The number of the device that it opened first.
    pub(crate) device_fd: Option<u32>,
    /// The opens that it has mapped: a mapping holds the file, as a number does.
    pub(crate) mappings: Vec<File<T>>,
    /// How many mappings it has made.
    pub(crate) mapped: u32,
    /// Its threads other than the main one, those that have made a call.
    pub(crate) tids: BTreeSet<u32>,
}

impl<T> Process<T> {
    /// A process with an empty table.
    pub(crate) fn new(name: &str, euid: u32) -> Process<T> {
        let table = Some(FdTable::new());
        let (device_fd, mappings, mapped, tids) = (None, Vec::new(), 0, BTreeSet::new());
        Process { name: name.into(), euid, table, device_fd, mappings, mapped, tids }
    }
}
