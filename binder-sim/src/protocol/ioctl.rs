//! The ioctls of the device beside `BINDER_WRITE_READ`.

use super::{ExtendedError, ObjectFlags};
use core::fmt;

/// The ioctls' numbers, as in `linux/android/binder.h` on a 64-bit machine.
pub mod number {
    use crate::wire::ioctl;

    /// `BINDER_WRITE_READ`.
    pub const WRITE_READ: u32 = ioctl::BINDER_WRITE_READ;
    /// `BINDER_SET_IDLE_TIMEOUT`.
    pub const SET_IDLE_TIMEOUT: u32 = ioctl::BINDER_SET_IDLE_TIMEOUT;
    /// `BINDER_SET_MAX_THREADS`.
    pub const SET_MAX_THREADS: u32 = ioctl::BINDER_SET_MAX_THREADS;
    /// `BINDER_SET_IDLE_PRIORITY`.
    pub const SET_IDLE_PRIORITY: u32 = ioctl::BINDER_SET_IDLE_PRIORITY;
    /// `BINDER_SET_CONTEXT_MGR`.
    pub const SET_CONTEXT_MGR: u32 = ioctl::BINDER_SET_CONTEXT_MGR;
    /// `BINDER_THREAD_EXIT`.
    pub const THREAD_EXIT: u32 = ioctl::BINDER_THREAD_EXIT;
    /// `BINDER_VERSION`.
    pub const VERSION: u32 = ioctl::BINDER_VERSION;
    /// `BINDER_GET_NODE_DEBUG_INFO`.
    pub const GET_NODE_DEBUG_INFO: u32 = ioctl::BINDER_GET_NODE_DEBUG_INFO;
    /// `BINDER_GET_NODE_INFO_FOR_REF`.
    pub const GET_NODE_INFO_FOR_REF: u32 = ioctl::BINDER_GET_NODE_INFO_FOR_REF;
    /// `BINDER_SET_CONTEXT_MGR_EXT`.
    pub const SET_CONTEXT_MGR_EXT: u32 = ioctl::BINDER_SET_CONTEXT_MGR_EXT;
    /// `BINDER_FREEZE`.
    pub const FREEZE: u32 = ioctl::BINDER_FREEZE;
    /// `BINDER_GET_FROZEN_INFO`.
    pub const GET_FROZEN_INFO: u32 = ioctl::BINDER_GET_FROZEN_INFO;
    /// `BINDER_ENABLE_ONEWAY_SPAM_DETECTION`.
    pub const ENABLE_ONEWAY_SPAM_DETECTION: u32 = ioctl::BINDER_ENABLE_ONEWAY_SPAM_DETECTION;
    /// `BINDER_GET_EXTENDED_ERROR`.
    pub const GET_EXTENDED_ERROR: u32 = ioctl::BINDER_GET_EXTENDED_ERROR;
}

/// An ioctl that is not `BINDER_WRITE_READ`, with its argument as the caller filled it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ioctl {
    /// `BINDER_VERSION`: which protocol the driver speaks.
    Version,
    /// `BINDER_SET_MAX_THREADS`: how many threads the driver may ask for.
    SetMaxThreads(u32),
    /// `BINDER_SET_CONTEXT_MGR`: the caller is handle 0 from now on. Such a node never accepts descriptors.
    SetContextMgr,
    /// `BINDER_SET_CONTEXT_MGR_EXT`: the same, with a flat object that says what the node is like.
    SetContextMgrExt {
        /// The owner's name for the node.
        ptr: u64,
        /// The owner's second word.
        cookie: u64,
        /// The node's flags.
        flags: ObjectFlags,
    },
    /// `BINDER_THREAD_EXIT`: the driver forgets the calling thread.
    ThreadExit,
    /// `BINDER_GET_NODE_DEBUG_INFO`: the caller's next node behind this `ptr`.
    GetNodeDebugInfo {
        /// Where to begin; 0 is before the first.
        ptr: u64,
    },
    /// `BINDER_GET_NODE_INFO_FOR_REF`: how often a handle's node is held; for the manager only.
    GetNodeInfoForRef(NodeInfoForRef),
    /// `BINDER_FREEZE`: all opens of a process are frozen, or thawed.
    Freeze {
        /// The process.
        pid: u32,
        /// Whether to freeze it.
        enable: bool,
        /// How long to wait for what it still has to do.
        timeout_ms: u32,
    },
    /// `BINDER_GET_FROZEN_INFO`: what came to a process while it was frozen.
    GetFrozenInfo {
        /// The process.
        pid: u32,
    },
    /// `BINDER_ENABLE_ONEWAY_SPAM_DETECTION`: whether the caller wants to hear that it sends too much.
    EnableOnewaySpamDetection(bool),
    /// `BINDER_GET_EXTENDED_ERROR`: more about the calling thread's last transaction; clears it.
    GetExtendedError,
    /// `BINDER_SET_IDLE_TIMEOUT`, which no driver has.
    SetIdleTimeout(i64),
    /// `BINDER_SET_IDLE_PRIORITY`, which no driver has.
    SetIdlePriority(i32),
    /// The ioctl with this number, any of them, with an argument that cannot be read.
    BadPointer(u32),
    /// A number that is none of the driver's.
    Unknown(u32),
}

impl Ioctl {
    /// The number.
    pub fn number(&self) -> u32 {
        match self {
            Ioctl::Version => number::VERSION,
            Ioctl::SetMaxThreads(_) => number::SET_MAX_THREADS,
            Ioctl::SetContextMgr => number::SET_CONTEXT_MGR,
            Ioctl::SetContextMgrExt { .. } => number::SET_CONTEXT_MGR_EXT,
            Ioctl::ThreadExit => number::THREAD_EXIT,
            Ioctl::GetNodeDebugInfo { .. } => number::GET_NODE_DEBUG_INFO,
            Ioctl::GetNodeInfoForRef(_) => number::GET_NODE_INFO_FOR_REF,
            Ioctl::Freeze { .. } => number::FREEZE,
            Ioctl::GetFrozenInfo { .. } => number::GET_FROZEN_INFO,
            Ioctl::EnableOnewaySpamDetection(_) => number::ENABLE_ONEWAY_SPAM_DETECTION,
            Ioctl::GetExtendedError => number::GET_EXTENDED_ERROR,
            Ioctl::SetIdleTimeout(_) => number::SET_IDLE_TIMEOUT,
            Ioctl::SetIdlePriority(_) => number::SET_IDLE_PRIORITY,
            Ioctl::BadPointer(number) | Ioctl::Unknown(number) => *number,
        }
    }

    /// The ioctl's name in `linux/android/binder.h`.
    pub fn name(&self) -> &'static str {
        match self.number() {
            number::WRITE_READ => "BINDER_WRITE_READ",
            number::VERSION => "BINDER_VERSION",
            number::SET_MAX_THREADS => "BINDER_SET_MAX_THREADS",
            number::SET_CONTEXT_MGR => "BINDER_SET_CONTEXT_MGR",
            number::SET_CONTEXT_MGR_EXT => "BINDER_SET_CONTEXT_MGR_EXT",
            number::THREAD_EXIT => "BINDER_THREAD_EXIT",
            number::GET_NODE_DEBUG_INFO => "BINDER_GET_NODE_DEBUG_INFO",
            number::GET_NODE_INFO_FOR_REF => "BINDER_GET_NODE_INFO_FOR_REF",
            number::FREEZE => "BINDER_FREEZE",
            number::GET_FROZEN_INFO => "BINDER_GET_FROZEN_INFO",
            number::ENABLE_ONEWAY_SPAM_DETECTION => "BINDER_ENABLE_ONEWAY_SPAM_DETECTION",
            number::GET_EXTENDED_ERROR => "BINDER_GET_EXTENDED_ERROR",
            number::SET_IDLE_TIMEOUT => "BINDER_SET_IDLE_TIMEOUT",
            number::SET_IDLE_PRIORITY => "BINDER_SET_IDLE_PRIORITY",
            _ => "unknown ioctl",
        }
    }
}

/// What an ioctl that succeeds wrote into its argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing.
    Done,
    /// Of `BINDER_VERSION`.
    Version(u32),
    /// Of `BINDER_GET_NODE_DEBUG_INFO`.
    NodeDebugInfo(NodeDebugInfo),
    /// Of `BINDER_GET_NODE_INFO_FOR_REF`.
    NodeInfoForRef(NodeInfoForRef),
    /// Of `BINDER_GET_FROZEN_INFO`.
    FrozenInfo(FrozenInfo),
    /// Of `BINDER_GET_EXTENDED_ERROR`.
    ExtendedError(ExtendedError),
    /// Of `poll`, which is no ioctl: whether a read would find something (`EPOLLIN`).
    Readable(bool),
}

/// One of the caller's nodes (`struct binder_node_debug_info`); all 0 behind the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeDebugInfo {
    /// The owner's name for it.
    pub ptr: u64,
    /// The owner's second word.
    pub cookie: u64,
    /// Whether the owner has been told that it is held strongly.
    pub has_strong_ref: bool,
    /// Whether the owner has been told that it is held at all.
    pub has_weak_ref: bool,
}

/// How often a node is held (`struct binder_node_info_for_ref`); asked for with a handle and zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeInfoForRef {
    /// The caller's handle on it.
    pub handle: u32,
    /// The buffers and the processes that hold it strongly.
    pub strong_count: u32,
    /// The weak counts of its owner's buffers.
    pub weak_count: u32,
    /// Has to be zeros.
    pub reserved: [u32; 3],
}

/// What came to a process while it was frozen (`struct binder_frozen_status_info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrozenInfo {
    /// The process.
    pub pid: u32,
    /// Bit 0: a synchronous call came. Bit 1: something is pending now.
    pub sync_recv: u32,
    /// Whether a one-way call came.
    pub async_recv: u32,
}

impl fmt::Display for Ioctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Ioctl::SetMaxThreads(most) => write!(f, " {most}"),
            Ioctl::SetContextMgrExt { flags, .. } => write!(f, " {:#x}", flags.0),
            Ioctl::GetNodeDebugInfo { ptr } => write!(f, " {ptr:#x}"),
            Ioctl::GetNodeInfoForRef(info) => write!(f, " {}", info.handle),
            Ioctl::Freeze { pid, enable, timeout_ms } => {
                write!(f, " pid {pid}: {}, {timeout_ms} ms", if *enable { "freeze" } else { "thaw" })
            }
            Ioctl::GetFrozenInfo { pid } => write!(f, " pid {pid}"),
            Ioctl::EnableOnewaySpamDetection(on) => write!(f, " {on}"),
            Ioctl::BadPointer(_) => f.write_str(" with a bad pointer"),
            Ioctl::Unknown(number) => write!(f, " {number:#x}"),
            _ => Ok(()),
        }
    }
}
