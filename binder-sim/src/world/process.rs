//! A process of the world: a name, a pid, a table, and perhaps an open of the device.

use crate::driver::ProcessId;
use crate::fd_table::FdTable;
use alloc::string::String;
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

/// One process.
#[derive(Debug)]
pub(crate) struct Process<F> {
    /// What to call it.
    pub(crate) name: String,
    /// Its effective uid.
    pub(crate) euid: u32,
    /// Its table; none once it has exited.
    pub(crate) table: Option<FdTable<F>>,
    /// Its open of the device.
    pub(crate) open: Option<ProcessId>,
    /// The number of that open.
    pub(crate) device_fd: Option<u32>,
}

impl<F> Process<F> {
    /// A process with an empty table.
    pub(crate) fn new(name: &str, euid: u32) -> Process<F> {
        Process { name: name.into(), euid, table: Some(FdTable::new()), open: None, device_fd: None }
    }
}
