//! The kernel's bytes: commands, returns and objects as they stand in a process's memory, and back.
//!
//! `ioctl(BINDER_WRITE_READ)` hands over one buffer of commands and gets one of returns. A command is a
//! word and what the word says follows it; a transaction is only a header there, and its data, its offsets
//! array and the bytes of its buffers stay in the process's [`Memory`] until the driver copies them. All
//! numbers are little-endian and 64-bit, the layout of `linux/android/binder.h` on x86-64 and aarch64.
//!
//! [`decode`] never fails: bytes that say nothing become the [`Command`] that says so, and which error
//! comes of it is the driver's to know.

mod buffer;
mod command;
mod cursor;
mod memory;
mod number;
mod object;
mod returns;

pub use buffer::{lay_out, payload_at};
pub use command::{decode, encode};
pub use memory::{Arena, Blocks, Memory};
pub use number::{bc, br, ioctl, object as object_type, size_of_payload};
pub use object::put_object;
pub use returns::{decode_returns, encode_returns};

pub(crate) use command::{put_handle, put_word};

use alloc::vec::Vec;
use cursor::{Cursor, Put};

#[cfg(doc)]
use crate::protocol::Command;

/// `struct binder_transaction_data`: what stands behind the word of a call or a reply, either way.
///
/// ```text
///  0        8        16   20   24   28   32       40         48       56        64
/// +--------+--------+----+----+----+----+--------+----------+--------+---------+
/// | target | cookie |code|flag|pid |euid|data    |offsets   |data at |offsets  |
/// |        |        |    |s   |    |    |size    |size      |        |at       |
/// +--------+--------+----+----+----+----+--------+----------+--------+---------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Header {
    /// A handle on the way in, the receiver's own name for its node on the way out.
    pub(crate) target: u64,
    /// Out: the node's cookie.
    pub(crate) cookie: u64,
    /// The method.
    pub(crate) code: u32,
    /// `TF_...`
    pub(crate) flags: u32,
    /// Out: the sender.
    pub(crate) sender_pid: u32,
    /// Out: its effective uid.
    pub(crate) sender_euid: u32,
    /// How many bytes of data there are.
    pub(crate) data_size: u64,
    /// How many bytes the offsets array takes.
    pub(crate) offsets_size: u64,
    /// Where the data is.
    pub(crate) data: u64,
    /// Where the offsets array is.
    pub(crate) offsets: u64,
}

impl Header {
    /// The bytes of a header.
    pub(crate) const SIZE: usize = 64;

    /// Adds a word, the header, and what some words have behind it.
    pub(crate) fn put(&self, out: &mut Vec<u8>, word: u32, behind: Option<u64>) {
        out.put_u32(word);
        out.put_u64(self.target);
        out.put_u64(self.cookie);
        for field in [self.code, self.flags, self.sender_pid, self.sender_euid] {
            out.put_u32(field);
        }
        for field in [self.data_size, self.offsets_size, self.data, self.offsets] {
            out.put_u64(field);
        }
        if let Some(behind) = behind {
            out.put_u64(behind);
        }
    }

    /// Takes a header.
    pub(crate) fn take(from: &mut Cursor<'_>) -> Option<Header> {
        Some(Header {
            target: from.u64()?,
            cookie: from.u64()?,
            code: from.u32()?,
            flags: from.u32()?,
            sender_pid: from.u32()?,
            sender_euid: from.u32()?,
            data_size: from.u64()?,
            offsets_size: from.u64()?,
            data: from.u64()?,
            offsets: from.u64()?,
        })
    }
}
