//! A device and its context manager: the node that everybody reaches as handle 0.

use super::Driver;
use super::node::NodeId;
use super::process::ProcessId;
use crate::errno::Errno;
use crate::protocol::ObjectFlags;

/// The devices that a kernel has by default; each is a context of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Device {
    /// `/dev/binder`: between applications and the system.
    #[default]
    Binder,
    /// `/dev/hwbinder`: between the system and hardware services.
    HwBinder,
    /// `/dev/vndbinder`: among vendor processes.
    VndBinder,
}

impl Device {
    /// All of them.
    pub const ALL: [Device; 3] = [Device::Binder, Device::HwBinder, Device::VndBinder];

    /// Its path.
    pub fn path(self) -> &'static str {
        match self {
            Device::Binder => "/dev/binder",
            Device::HwBinder => "/dev/hwbinder",
            Device::VndBinder => "/dev/vndbinder",
        }
    }
}

/// `struct binder_context`.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// The manager's node, while there is a manager.
    pub(crate) manager: Option<NodeId>,
    /// The uid of the first manager: no other may follow it, even after its death.
    pub(crate) manager_uid: Option<u32>,
}

impl<F: core::fmt::Debug> Driver<F> {
    /// `BINDER_SET_CONTEXT_MGR`, `BINDER_SET_CONTEXT_MGR_EXT`: makes a node of `process` the one that everybody
    /// reaches as handle 0. `euid` is the caller's (`current_euid`).
    pub(crate) fn set_context_manager(
        &mut self,
        (process, euid): (ProcessId, u32),
        node: (u64, u64),
        flags: ObjectFlags,
    ) -> Result<(), Errno> {
        let device = self.processes[process].device as usize;
        let context = &mut self.contexts[device];
        if context.manager.is_some() {
            return Err(Errno::EBUSY);
        }
        let credentials = self.processes[process].credentials;
        if self.security.as_ref().is_some_and(|security| !security.set_context_mgr(credentials)) {
            return Err(Errno::EPERM);
        }
        if *context.manager_uid.get_or_insert(euid) != euid {
            return Err(Errno::EPERM);
        }
        let id = self.get_node(process, node, flags);
        let node = &mut self.nodes[id];
        // INVARIANT: the device itself holds the manager's node, and the owner is not told: it asked for it.
        (node.local_strong, node.local_weak) = (node.local_strong + 1, node.local_weak + 1);
        (node.has_strong, node.has_weak) = (true, true);
        self.contexts[device].manager = Some(id);
        self.put_node(id);
        Ok(())
    }
}
