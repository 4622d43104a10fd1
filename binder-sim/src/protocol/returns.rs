//! `BR_`: what a process reads from the driver.

use super::{Payload, TransactionFlags};
use crate::errno::Errno;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

/// A transaction as its receiver sees it (`struct binder_transaction_data`, as the driver fills it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The called node's `ptr`; 0 in a reply.
    pub ptr: u64,
    /// The called node's `cookie`; 0 in a reply.
    pub cookie: u64,
    /// As the sender wrote it.
    pub code: u32,
    /// As the sender wrote it.
    pub flags: TransactionFlags,
    /// The sender; 0 in a one-way call and in a reply.
    pub sender_pid: u32,
    /// The sender's effective uid.
    pub sender_euid: u32,
    /// Where the payload stands in the receiver's mapping; what `BC_FREE_BUFFER` takes. The offsets array stands
    /// behind it, then the buffers, each at a multiple of 8.
    pub buffer: u64,
    /// The payload, each object rewritten to mean the same here.
    pub payload: Payload,
    /// The sender's security context, if the node asks for it: the command is `BR_TRANSACTION_SEC_CTX` then.
    pub security_context: Option<SecurityContext>,
}

impl Delivered {
    /// Where the offsets array stands in the receiver's mapping; said even where it is empty.
    pub fn offsets(&self) -> u64 {
        self.buffer.saturating_add(self.payload.data_size.checked_next_multiple_of(8).unwrap_or(0))
    }
}

/// Who the security module says that the sender is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityContext {
    /// Where the text stands in the receiver's mapping.
    pub address: u64,
    /// The text.
    pub text: String,
}

/// How a transaction was refused: the command that its sender reads instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// `BR_FAILED_REPLY`.
    FailedReply,
    /// `BR_DEAD_REPLY`.
    DeadReply,
    /// `BR_FROZEN_REPLY`.
    FrozenReply,
}

/// What `ioctl(BINDER_GET_EXTENDED_ERROR)` answers: more about the thread's last transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExtendedError {
    /// The transaction's number; 0 when it has been asked for already.
    pub id: u32,
    /// The refusal, or `None` for `BR_OK`.
    pub command: Option<Refusal>,
    /// Why: the kernel's parameter is the negative of it, or 0.
    pub param: Option<Errno>,
}

/// A return command, as read with `ioctl(BINDER_WRITE_READ)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Return {
    /// `BR_NOOP`: opens each read.
    Noop,
    /// `BR_TRANSACTION`, or `BR_TRANSACTION_SEC_CTX` with a security context: a call for one of the reader's nodes.
    Transaction(Box<Delivered>),
    /// `BR_REPLY`: the answer to the reader's call.
    Reply(Box<Delivered>),
    /// `BR_TRANSACTION_COMPLETE`: the driver took what the reader sent.
    TransactionComplete,
    /// `BR_TRANSACTION_PENDING_FROZEN`: the same; the receiver is frozen.
    TransactionPendingFrozen,
    /// `BR_ONEWAY_SPAM_SUSPECT`: the same; the receiver's buffer fills up with what the reader sent.
    OnewaySpamSuspect,
    /// `BR_FAILED_REPLY`: the transaction was refused, or could not be delivered.
    FailedReply,
    /// `BR_DEAD_REPLY`: nobody is there to answer.
    DeadReply,
    /// `BR_FROZEN_REPLY`: whoever would have to answer is frozen.
    FrozenReply,
    /// `BR_INCREFS`: somebody else holds the reader's node weakly now.
    IncRefs {
        /// The node.
        ptr: u64,
        /// Its cookie.
        cookie: u64,
    },
    /// `BR_ACQUIRE`: somebody else holds the reader's node strongly now.
    Acquire {
        /// The node.
        ptr: u64,
        /// Its cookie.
        cookie: u64,
    },
    /// `BR_RELEASE`: nobody else holds it strongly any more.
    Release {
        /// The node.
        ptr: u64,
        /// Its cookie.
        cookie: u64,
    },
    /// `BR_DECREFS`: nobody else holds it at all any more.
    DecRefs {
        /// The node.
        ptr: u64,
        /// Its cookie.
        cookie: u64,
    },
    /// `BR_SPAWN_LOOPER`: the process is asked for one more thread. Stands in the place of `BR_NOOP`.
    SpawnLooper,
    /// `BR_DEAD_BINDER`: the owner of a node has died.
    DeadBinder(u64),
    /// `BR_CLEAR_DEATH_NOTIFICATION_DONE`: there will be no notice of it.
    ClearDeathNotificationDone(u64),
    /// `BR_FROZEN_BINDER`: the owner of a node is frozen, or is not.
    FrozenBinder {
        /// As it was requested.
        cookie: u64,
        /// Whether it is frozen.
        is_frozen: bool,
    },
    /// `BR_CLEAR_FREEZE_NOTIFICATION_DONE`: there will be no more notice of it.
    ClearFreezeNotificationDone(u64),
    /// `BR_ERROR`: the kernel has no memory; never said here.
    Error(i32),
    /// `BR_OK`: never said by any driver.
    Ok,
}

impl Return {
    /// The bytes that the return takes in the read buffer: its word and its payload.
    pub fn wire_size(&self) -> usize {
        4 + match self {
            Return::Transaction(call) if call.security_context.is_some() => 72,
            Return::Transaction(_) | Return::Reply(_) => 64,
            Return::IncRefs { .. } | Return::Acquire { .. } => 16,
            Return::Release { .. } | Return::DecRefs { .. } => 16,
            Return::FrozenBinder { .. } => 16,
            Return::DeadBinder(_) | Return::ClearDeathNotificationDone(_) => 8,
            Return::ClearFreezeNotificationDone(_) => 8,
            Return::Error(_) => 4,
            Return::Noop | Return::SpawnLooper | Return::Ok => 0,
            Return::TransactionComplete | Return::TransactionPendingFrozen | Return::OnewaySpamSuspect => 0,
            Return::FailedReply | Return::DeadReply | Return::FrozenReply => 0,
        }
    }

    /// The delivered transaction, of a call or a reply.
    pub fn delivered(&self) -> Option<&Delivered> {
        match self {
            Return::Transaction(delivered) | Return::Reply(delivered) => Some(delivered),
            _ => None,
        }
    }

    /// The command's name in `linux/android/binder.h`.
    pub fn name(&self) -> &'static str {
        match self {
            Return::Noop => "BR_NOOP",
            Return::Transaction(call) if call.security_context.is_some() => "BR_TRANSACTION_SEC_CTX",
            Return::Transaction(_) => "BR_TRANSACTION",
            Return::Reply(_) => "BR_REPLY",
            Return::TransactionComplete => "BR_TRANSACTION_COMPLETE",
            Return::TransactionPendingFrozen => "BR_TRANSACTION_PENDING_FROZEN",
            Return::OnewaySpamSuspect => "BR_ONEWAY_SPAM_SUSPECT",
            Return::FailedReply => "BR_FAILED_REPLY",
            Return::DeadReply => "BR_DEAD_REPLY",
            Return::FrozenReply => "BR_FROZEN_REPLY",
            Return::IncRefs { .. } => "BR_INCREFS",
            Return::Acquire { .. } => "BR_ACQUIRE",
            Return::Release { .. } => "BR_RELEASE",
            Return::DecRefs { .. } => "BR_DECREFS",
            Return::SpawnLooper => "BR_SPAWN_LOOPER",
            Return::DeadBinder(_) => "BR_DEAD_BINDER",
            Return::ClearDeathNotificationDone(_) => "BR_CLEAR_DEATH_NOTIFICATION_DONE",
            Return::FrozenBinder { .. } => "BR_FROZEN_BINDER",
            Return::ClearFreezeNotificationDone(_) => "BR_CLEAR_FREEZE_NOTIFICATION_DONE",
            Return::Error(_) => "BR_ERROR",
            Return::Ok => "BR_OK",
        }
    }
}

impl From<Refusal> for Return {
    fn from(refusal: Refusal) -> Return {
        match refusal {
            Refusal::FailedReply => Return::FailedReply,
            Refusal::DeadReply => Return::DeadReply,
            Refusal::FrozenReply => Return::FrozenReply,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Return::from(*self).name())
    }
}

impl fmt::Display for ExtendedError {
    /// `BR_FAILED_REPLY, -EPERM` or `BR_OK, 0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.command.map_or("BR_OK", |refusal| Return::from(refusal).name()))?;
        match self.param {
            Some(errno) => write!(f, ", -{errno}"),
            None => f.write_str(", 0"),
        }
    }
}

impl fmt::Display for Return {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Return::Transaction(d) => write!(f, " for node {:#x}, {}", d.ptr, d.payload),
            Return::Reply(d) => write!(f, ", {}", d.payload),
            Return::IncRefs { ptr, .. }
            | Return::Acquire { ptr, .. }
            | Return::Release { ptr, .. }
            | Return::DecRefs { ptr, .. } => write!(f, " {ptr:#x}"),
            Return::DeadBinder(cookie)
            | Return::ClearDeathNotificationDone(cookie)
            | Return::ClearFreezeNotificationDone(cookie) => write!(f, " {cookie:#x}"),
            Return::FrozenBinder { cookie, is_frozen } => {
                write!(f, " {cookie:#x}, {}", if *is_frozen { "frozen" } else { "not frozen" })
            }
            Return::Error(number) => write!(f, " {number}"),
            _ => Ok(()),
        }
    }
}
