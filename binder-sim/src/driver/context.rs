//! A device and its context manager: the node that everybody reaches as handle 0.

use super::node::NodeId;

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
}

/// `struct binder_context`.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// The manager's node, while there is a manager.
    pub(crate) manager: Option<NodeId>,
    /// The uid of the first manager: no other may follow it, even after its death.
    pub(crate) manager_uid: Option<u32>,
}
