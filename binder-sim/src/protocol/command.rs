//! `BC_`: what a process writes to the driver.

use super::{Payload, TransactionFlags};
use core::fmt;

/// The payload of `BC_TRANSACTION` and `BC_REPLY` (`struct binder_transaction_data`, as the sender fills it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionData<L = ()> {
    /// The handle that is called; a reply's is not looked at.
    pub target: u32,
    /// The method, in the receiver's own numbering.
    pub code: u32,
    /// How: see [`TransactionFlags`].
    pub flags: TransactionFlags,
    /// What.
    pub payload: Payload<L>,
}

impl TransactionData {
    /// Method `code` of `target`, with `payload`; the reply may carry descriptors.
    pub fn new(target: u32, code: u32, payload: Payload) -> TransactionData {
        TransactionData { target, code, flags: TransactionFlags::ACCEPT_FDS, payload }
    }

    /// The same with exactly these flags.
    #[must_use]
    pub fn flags(mut self, flags: TransactionFlags) -> TransactionData {
        self.flags = flags;
        self
    }
}

/// A command, as written with `ioctl(BINDER_WRITE_READ)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<L = ()> {
    /// `BC_TRANSACTION`: call a node.
    Transaction(TransactionData<L>),
    /// `BC_REPLY`: answer the call on top of the thread's stack.
    Reply(TransactionData<L>),
    /// `BC_FREE_BUFFER`: give a received payload's buffer back.
    FreeBuffer(u64),
    /// `BC_INCREFS`: one more weak reference on a handle.
    IncRefs(u32),
    /// `BC_ACQUIRE`: one more strong reference on a handle.
    Acquire(u32),
    /// `BC_RELEASE`: one strong reference less.
    Release(u32),
    /// `BC_DECREFS`: one weak reference less.
    DecRefs(u32),
    /// `BC_INCREFS_DONE`: the owner has counted the weak reference it was told of.
    IncRefsDone {
        /// The node.
        ptr: u64,
        /// Its cookie, which has to match.
        cookie: u64,
    },
    /// `BC_ACQUIRE_DONE`: the owner has counted the strong reference it was told of.
    AcquireDone {
        /// The node.
        ptr: u64,
        /// Its cookie, which has to match.
        cookie: u64,
    },
    /// `BC_REGISTER_LOOPER`: a thread that the driver asked for serves calls.
    RegisterLooper,
    /// `BC_ENTER_LOOPER`: a thread of its own accord serves calls.
    EnterLooper,
    /// `BC_EXIT_LOOPER`: it no longer does.
    ExitLooper,
}

impl<L> Command<L> {
    /// The bytes that the command takes in the write buffer: its word and its payload.
    pub fn wire_size(&self) -> usize {
        4 + match self {
            Command::Transaction(_) | Command::Reply(_) => 64,
            Command::FreeBuffer(_) => 8,
            Command::IncRefs(_) | Command::Acquire(_) | Command::Release(_) | Command::DecRefs(_) => 4,
            Command::IncRefsDone { .. } | Command::AcquireDone { .. } => 16,
            Command::RegisterLooper | Command::EnterLooper | Command::ExitLooper => 0,
        }
    }

    /// The same command with `find(number, what stood beside it)` beside each descriptor number.
    pub fn map<M>(self, find: &mut impl FnMut(u32, L) -> M) -> Command<M> {
        let mut data = |d: TransactionData<L>| TransactionData {
            target: d.target,
            code: d.code,
            flags: d.flags,
            payload: d.payload.map(find),
        };
        match self {
            Command::Transaction(d) => Command::Transaction(data(d)),
            Command::Reply(d) => Command::Reply(data(d)),
            Command::FreeBuffer(address) => Command::FreeBuffer(address),
            Command::IncRefs(h) => Command::IncRefs(h),
            Command::Acquire(h) => Command::Acquire(h),
            Command::Release(h) => Command::Release(h),
            Command::DecRefs(h) => Command::DecRefs(h),
            Command::IncRefsDone { ptr, cookie } => Command::IncRefsDone { ptr, cookie },
            Command::AcquireDone { ptr, cookie } => Command::AcquireDone { ptr, cookie },
            Command::RegisterLooper => Command::RegisterLooper,
            Command::EnterLooper => Command::EnterLooper,
            Command::ExitLooper => Command::ExitLooper,
        }
    }
}

impl<L> fmt::Display for Command<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Transaction(d) => write!(f, "BC_TRANSACTION to handle {}, {}", d.target, d.payload),
            Command::Reply(d) => write!(f, "BC_REPLY, {}", d.payload),
            Command::FreeBuffer(address) => write!(f, "BC_FREE_BUFFER {address:#x}"),
            Command::IncRefs(h) => write!(f, "BC_INCREFS {h}"),
            Command::Acquire(h) => write!(f, "BC_ACQUIRE {h}"),
            Command::Release(h) => write!(f, "BC_RELEASE {h}"),
            Command::DecRefs(h) => write!(f, "BC_DECREFS {h}"),
            Command::IncRefsDone { ptr, .. } => write!(f, "BC_INCREFS_DONE {ptr:#x}"),
            Command::AcquireDone { ptr, .. } => write!(f, "BC_ACQUIRE_DONE {ptr:#x}"),
            Command::RegisterLooper => f.write_str("BC_REGISTER_LOOPER"),
            Command::EnterLooper => f.write_str("BC_ENTER_LOOPER"),
            Command::ExitLooper => f.write_str("BC_EXIT_LOOPER"),
        }
    }
}
