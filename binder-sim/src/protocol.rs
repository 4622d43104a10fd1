//! What processes and driver say to each other: objects, `BC_` commands and `BR_` returns, as values.
//!
//! One variant for each word of `linux/android/binder.h`, with the fields of its payload, so that the kernel's
//! bytes map onto them one to one. The `L` of [`Object`], [`Payload`] and [`Command`] is what stands beside a
//! descriptor number: nothing (`()`) in a program or a script, the looked-up file on its way into the driver.

mod command;
mod object;
mod returns;

pub use command::{Command, TransactionData};
pub use object::{OBJECT_SIZE, Object, Payload, Placed};
pub use returns::{Delivered, ExtendedError, Refusal, Return};

use core::fmt;
use core::ops::BitOr;

/// The flags of a transaction (`TF_...`).
///
/// The driver acts on [`ONE_WAY`](TransactionFlags::ONE_WAY) and [`ACCEPT_FDS`](TransactionFlags::ACCEPT_FDS);
/// any other bit passes through to the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransactionFlags(pub u32);

impl TransactionFlags {
    /// No flag: a synchronous call that takes no descriptors in its reply.
    pub const NONE: TransactionFlags = TransactionFlags(0);
    /// `TF_ONE_WAY`: no reply is expected.
    pub const ONE_WAY: TransactionFlags = TransactionFlags(0x01);
    /// `TF_STATUS_CODE`: the payload is a status word; the driver passes it through.
    pub const STATUS_CODE: TransactionFlags = TransactionFlags(0x08);
    /// `TF_ACCEPT_FDS`: the **reply** may carry descriptors. It says nothing about the call itself.
    pub const ACCEPT_FDS: TransactionFlags = TransactionFlags(0x10);

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
    /// `FLAT_BINDER_FLAG_ACCEPTS_FDS`: calls to this node may carry descriptors.
    pub const ACCEPTS_FDS: ObjectFlags = ObjectFlags(0x100);

    /// Whether all bits of `other` are set.
    pub fn contains(self, other: ObjectFlags) -> bool {
        self.0 & other.0 == other.0
    }
}
