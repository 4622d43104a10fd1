//! `BR_`: what a process reads from the driver.

use super::{Payload, TransactionFlags};
use crate::errno::Errno;
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
    /// Where the payload stands in the receiver's mapping; what `BC_FREE_BUFFER` takes.
    pub buffer: u64,
    /// The payload, each object rewritten to mean the same here.
    pub payload: Payload,
}

/// How a transaction was refused: the command that its sender reads instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// `BR_FAILED_REPLY`.
    FailedReply,
    /// `BR_DEAD_REPLY`.
    DeadReply,
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
    /// `BR_TRANSACTION`: a call for one of the reader's nodes.
    Transaction(Delivered),
    /// `BR_REPLY`: the answer to the reader's call.
    Reply(Delivered),
    /// `BR_TRANSACTION_COMPLETE`: the driver took what the reader sent.
    TransactionComplete,
    /// `BR_FAILED_REPLY`: the transaction was refused, or could not be delivered.
    FailedReply,
    /// `BR_DEAD_REPLY`: nobody is there to answer.
    DeadReply,
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
}

impl Return {
    /// The bytes that the return takes in the read buffer: its word and its payload.
    pub fn wire_size(&self) -> usize {
        4 + match self {
            Return::Transaction(_) | Return::Reply(_) => 64,
            Return::IncRefs { .. } | Return::Acquire { .. } => 16,
            Return::Release { .. } | Return::DecRefs { .. } => 16,
            Return::Noop | Return::TransactionComplete | Return::FailedReply | Return::DeadReply => 0,
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
            Return::Transaction(_) => "BR_TRANSACTION",
            Return::Reply(_) => "BR_REPLY",
            Return::TransactionComplete => "BR_TRANSACTION_COMPLETE",
            Return::FailedReply => "BR_FAILED_REPLY",
            Return::DeadReply => "BR_DEAD_REPLY",
            Return::IncRefs { .. } => "BR_INCREFS",
            Return::Acquire { .. } => "BR_ACQUIRE",
            Return::Release { .. } => "BR_RELEASE",
            Return::DecRefs { .. } => "BR_DECREFS",
        }
    }
}

impl From<Refusal> for Return {
    fn from(refusal: Refusal) -> Return {
        match refusal {
            Refusal::FailedReply => Return::FailedReply,
            Refusal::DeadReply => Return::DeadReply,
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
            _ => Ok(()),
        }
    }
}
