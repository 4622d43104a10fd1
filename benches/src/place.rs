//! The place of a run: a CPU for each of the two processes, and an IPC namespace that nobody else sees.

use nix::sched::CloneFlags;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Failure;

/// What the machine gives us.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// CPUs that we may run on.
    pub(crate) cpus: usize,
    /// The CPU of the process that measures, and the one of the second process, where there are two.
    pub(crate) pair: Option<(usize, usize)>,
    /// Whether segments with a key are seen by nobody else, and end with us.
    pub(crate) private_ipc: bool,
}

impl Place {
    /// Takes the first CPU for this process, and leaves the host's IPC namespace where that is permitted.
    ///
    /// Both must happen before the first thread and the first child. In a namespace of our own, System V
    /// segments end with the last of our processes, however it ends; a key there cannot meet somebody
    /// else's. Without privilege a user namespace gives the right to make one.
    ///
    /// # Errors
    ///
    /// When the CPUs cannot be read or taken. Being refused a namespace is no error: `private_ipc` says so.
    pub fn take() -> Result<Self, Failure> {
        let allowed =
            sched_getaffinity(None).map_err(|e| Failure::call("sched_getaffinity(0)", &e.into()))?;
        let mut cpus = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu));
        let pair = cpus.next().zip(cpus.next());
        if let Some((first, _)) = pair {
            pin(first)?;
        }
        let alone = |flags| nix::sched::unshare(flags).is_ok();
        let private_ipc =
            alone(CloneFlags::CLONE_NEWIPC) || alone(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWIPC);
        Ok(Self { cpus: allowed.count() as usize, pair, private_ipc })
    }

    /// Whether each of the two processes has a CPU of its own.
    pub(crate) fn pinned(self) -> bool {
        self.pair.is_some()
    }
}

/// Ties the calling thread, and what it starts, to one CPU.
pub(crate) fn pin(cpu: usize) -> Result<(), Failure> {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set)
        .map_err(|e| Failure::call(format!("sched_setaffinity(0, {cpu})"), &e.into()))
}
