//! What processes and driver say to each other: objects, `BC_` commands, `BR_` returns and the other ioctls, as
//! values.
//!
//! One variant for each word of `linux/android/binder.h`, with the fields of its payload, so that the kernel's
//! bytes map onto them one to one. Bytes can say more than sense: sizes that are not true, offsets that lead
//! nowhere, words that nobody knows. All of it can be said here too, because which error comes of it, and before
//! which other, is the driver's to know.

mod command;
mod ioctl;
mod object;
mod payload;
mod returns;

pub use command::{Command, TransactionData};
pub use ioctl::{Answer, FrozenInfo, Ioctl, NodeDebugInfo, NodeInfoForRef, number};
pub use object::{Object, Placed};
pub use payload::Payload;
pub use returns::{Delivered, ExtendedError, Refusal, Return, SecurityContext};

use core::fmt;
use core::ops::BitOr;

/// The flags of a transaction (`TF_...`).
///
/// The driver acts on [`ONE_WAY`](TransactionFlags::ONE_WAY), [`ACCEPT_FDS`](TransactionFlags::ACCEPT_FDS),
/// [`CLEAR_BUF`](TransactionFlags::CLEAR_BUF) and [`UPDATE_TXN`](TransactionFlags::UPDATE_TXN); every bit passes
/// through to the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransactionFlags(pub u32);

impl TransactionFlags {
    /// No flag: a synchronous call that takes no descriptors in its reply.
    pub const NONE: TransactionFlags = TransactionFlags(0);
    /// `TF_ONE_WAY`: no reply is expected.
    pub const ONE_WAY: TransactionFlags = TransactionFlags(0x01);
    /// `TF_ROOT_OBJECT`: the payload is the root object of a component; the driver passes it through.
    pub const ROOT_OBJECT: TransactionFlags = TransactionFlags(0x04);
    /// `TF_STATUS_CODE`: the payload is a status word; the driver passes it through.
    pub const STATUS_CODE: TransactionFlags = TransactionFlags(0x08);
    /// `TF_ACCEPT_FDS`: the **reply** may carry descriptors. It says nothing about the call itself.
    pub const ACCEPT_FDS: TransactionFlags = TransactionFlags(0x10);
    /// `TF_CLEAR_BUF`: the buffer is zeroed when it is given back.
    pub const CLEAR_BUF: TransactionFlags = TransactionFlags(0x20);
    /// `TF_UPDATE_TXN`: a one-way call to a frozen process takes the place of an older one like it.
    pub const UPDATE_TXN: TransactionFlags = TransactionFlags(0x40);

    /// Whether all bits of `other` are set.
    pub fn contains(self, other: TransactionFlags) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for TransactionFlags {
    type Output = TransactionFlags;
    fn bitor(self, other: TransactionFlags) -> TransactionFlags {
        TransactionFlags(self.0 | other.0)
    }
}

impl fmt::Display for TransactionFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// The flags of a flat object (`FLAT_BINDER_FLAG_...`); a node keeps those of the object that created it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ObjectFlags(pub u32);

impl ObjectFlags {
    /// No flag: a node that refuses descriptors.
    pub const NONE: ObjectFlags = ObjectFlags(0);
    /// `FLAT_BINDER_FLAG_PRIORITY_MASK`: the least priority of a call; there is nothing to schedule here.
    pub const PRIORITY_MASK: ObjectFlags = ObjectFlags(0xff);
    /// `FLAT_BINDER_FLAG_ACCEPTS_FDS`: calls to this node may carry descriptors.
    pub const ACCEPTS_FDS: ObjectFlags = ObjectFlags(0x100);
    /// `FLAT_BINDER_FLAG_TXN_SECURITY_CTX`: calls to this node arrive with their sender's security context.
    pub const TXN_SECURITY_CTX: ObjectFlags = ObjectFlags(0x1000);

    /// Whether all bits of `other` are set.
    pub fn contains(self, other: ObjectFlags) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for ObjectFlags {
    type Output = ObjectFlags;
    fn bitor(self, other: ObjectFlags) -> ObjectFlags {
        ObjectFlags(self.0 | other.0)
    }
}
