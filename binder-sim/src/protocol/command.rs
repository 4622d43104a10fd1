//! `BC_`: what a process writes to the driver.

use super::{Payload, TransactionFlags};
use core::fmt;

/// The payload of `BC_TRANSACTION` and `BC_REPLY` (`struct binder_transaction_data`, as the sender fills it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionData {
    /// The handle that is called; a reply's is not looked at.
    pub target: u32,
    /// The method, in the receiver's own numbering.
    pub code: u32,
    /// How: see [`TransactionFlags`].
    pub flags: TransactionFlags,
    /// What.
    pub payload: Payload,
    /// `buffers_size` of `BC_TRANSACTION_SG` and `BC_REPLY_SG`: room for buffers behind the payload. None is the
    /// plain command, which has no such field.
    pub buffers_size: Option<u64>,
}

impl TransactionData {
    /// Method `code` of `target`, with `payload` and room for its buffers; the reply may carry descriptors.
    pub fn new(target: u32, code: u32, payload: Payload) -> TransactionData {
        let buffers_size = Some(payload.buffers_size()).filter(|&size| size > 0);
        TransactionData { target, code, flags: TransactionFlags::ACCEPT_FDS, payload, buffers_size }
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
pub enum Command {
    /// `BC_TRANSACTION`, `BC_TRANSACTION_SG`: call a node.
    Transaction(TransactionData),
    /// `BC_REPLY`, `BC_REPLY_SG`: answer the call on top of the thread's stack.
    Reply(TransactionData),
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
    /// `BC_REQUEST_DEATH_NOTIFICATION`: to be told when the owner of a handle's node dies.
    RequestDeathNotification {
        /// The handle.
        handle: u32,
        /// What the notice will say.
        cookie: u64,
    },
    /// `BC_CLEAR_DEATH_NOTIFICATION`: no longer.
    ClearDeathNotification {
        /// The handle.
        handle: u32,
        /// As it was requested.
        cookie: u64,
    },
    /// `BC_DEAD_BINDER_DONE`: the notice has been dealt with.
    DeadBinderDone(u64),
    /// `BC_REQUEST_FREEZE_NOTIFICATION`: to be told when the owner of a handle's node is frozen or thawed.
    RequestFreezeNotification {
        /// The handle.
        handle: u32,
        /// What the notices will say.
        cookie: u64,
    },
    /// `BC_CLEAR_FREEZE_NOTIFICATION`: no longer.
    ClearFreezeNotification {
        /// The handle.
        handle: u32,
        /// As it was requested.
        cookie: u64,
    },
    /// `BC_FREEZE_NOTIFICATION_DONE`: the notice has been dealt with.
    FreezeNotificationDone(u64),
    /// `BC_ACQUIRE_RESULT`: a word that no driver takes.
    AcquireResult(i32),
    /// `BC_ATTEMPT_ACQUIRE`: a word that no driver takes.
    AttemptAcquire {
        /// The priority.
        priority: i32,
        /// The handle.
        handle: u32,
    },
    /// A word that is none of the driver's: the ioctl fails with `EINVAL`.
    Unknown {
        /// The word.
        word: u32,
    },
    /// A word, or what should follow it, that cannot be read: the ioctl fails with `EFAULT`, or with `EINVAL` if the
    /// word itself can be read and is none of the driver's.
    Unreadable {
        /// The word; 0 if not even that can be read.
        word: u32,
    },
}

impl Command {
    /// The bytes that the command takes in the write buffer: its word and its payload.
    pub fn wire_size(&self) -> usize {
        4 + match self {
            Command::Transaction(data) | Command::Reply(data) => {
                if data.buffers_size.is_some() {
                    72
                } else {
                    64
                }
            }
            Command::IncRefsDone { .. } | Command::AcquireDone { .. } => 16,
            Command::RequestDeathNotification { .. } | Command::ClearDeathNotification { .. } => 12,
            Command::RequestFreezeNotification { .. } | Command::ClearFreezeNotification { .. } => 12,
            Command::FreeBuffer(_) | Command::DeadBinderDone(_) | Command::FreezeNotificationDone(_) => 8,
            Command::AttemptAcquire { .. } => 8,
            Command::IncRefs(_) | Command::Acquire(_) | Command::Release(_) | Command::DecRefs(_) => 4,
            Command::AcquireResult(_) => 4,
            Command::RegisterLooper | Command::EnterLooper | Command::ExitLooper => 0,
            Command::Unknown { .. } | Command::Unreadable { .. } => 0,
        }
    }

    /// The transaction that it begins, if it does.
    pub fn data(&self) -> Option<&TransactionData> {
        match self {
            Command::Transaction(data) | Command::Reply(data) => Some(data),
            _ => None,
        }
    }

    /// The command's name in `linux/android/binder.h`.
    pub fn name(&self) -> &'static str {
        let sg = |data: &TransactionData| data.buffers_size.is_some();
        match self {
            Command::Transaction(data) if sg(data) => "BC_TRANSACTION_SG",
            Command::Transaction(_) => "BC_TRANSACTION",
            Command::Reply(data) if sg(data) => "BC_REPLY_SG",
            Command::Reply(_) => "BC_REPLY",
            Command::FreeBuffer(_) => "BC_FREE_BUFFER",
            Command::IncRefs(_) => "BC_INCREFS",
            Command::Acquire(_) => "BC_ACQUIRE",
            Command::Release(_) => "BC_RELEASE",
            Command::DecRefs(_) => "BC_DECREFS",
            Command::IncRefsDone { .. } => "BC_INCREFS_DONE",
            Command::AcquireDone { .. } => "BC_ACQUIRE_DONE",
            Command::RegisterLooper => "BC_REGISTER_LOOPER",
            Command::EnterLooper => "BC_ENTER_LOOPER",
            Command::ExitLooper => "BC_EXIT_LOOPER",
            Command::RequestDeathNotification { .. } => "BC_REQUEST_DEATH_NOTIFICATION",
            Command::ClearDeathNotification { .. } => "BC_CLEAR_DEATH_NOTIFICATION",
            Command::DeadBinderDone(_) => "BC_DEAD_BINDER_DONE",
            Command::RequestFreezeNotification { .. } => "BC_REQUEST_FREEZE_NOTIFICATION",
            Command::ClearFreezeNotification { .. } => "BC_CLEAR_FREEZE_NOTIFICATION",
            Command::FreezeNotificationDone(_) => "BC_FREEZE_NOTIFICATION_DONE",
            Command::AcquireResult(_) => "BC_ACQUIRE_RESULT",
            Command::AttemptAcquire { .. } => "BC_ATTEMPT_ACQUIRE",
            Command::Unknown { .. } => "unknown command",
            Command::Unreadable { .. } => "unreadable command",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Command::Transaction(d) => write!(f, " to handle {}, {}", d.target, d.payload),
            Command::Reply(d) => write!(f, ", {}", d.payload),
            Command::FreeBuffer(address) => write!(f, " {address:#x}"),
            Command::IncRefs(h) | Command::Acquire(h) | Command::Release(h) | Command::DecRefs(h) => {
                write!(f, " {h}")
            }
            Command::IncRefsDone { ptr, .. } | Command::AcquireDone { ptr, .. } => write!(f, " {ptr:#x}"),
            Command::RequestDeathNotification { handle, cookie }
            | Command::ClearDeathNotification { handle, cookie }
            | Command::RequestFreezeNotification { handle, cookie }
            | Command::ClearFreezeNotification { handle, cookie } => {
                write!(f, " {handle}, cookie {cookie:#x}")
            }
            Command::DeadBinderDone(cookie) | Command::FreezeNotificationDone(cookie) => {
                write!(f, " {cookie:#x}")
            }
            Command::AcquireResult(result) => write!(f, " {result}"),
            Command::AttemptAcquire { priority, handle } => write!(f, " {handle}, priority {priority}"),
            Command::Unknown { word } => write!(f, " {word:#x}"),
            _ => Ok(()),
        }
    }
}
