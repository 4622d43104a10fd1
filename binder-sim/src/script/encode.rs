//! A command of a script as the kernel's bytes, and as blocks of memory that those bytes point to.

use super::payload::Item;
use super::say::{Buffer, Count, Looper, Notice, Number, Say, Sent};
use crate::protocol::Object;
use crate::wire::{self, Arena, bc};
use alloc::vec::Vec;

/// An address at which nothing can be read: the first page of memory belongs to nobody.
const NOWHERE: u64 = 64;

/// The commands of one `ioctl(BINDER_WRITE_READ)`.
#[derive(Debug, Clone, Default)]
pub struct Encoded {
    /// What is written.
    pub bytes: Vec<u8>,
    /// How much of it is said to have been taken already.
    pub consumed: usize,
}

impl Encoded {
    /// The bytes of these commands; `base` is the start of the mapping that `at` counts from. What has not
    /// been filled in by then ([`Number::Of`], [`Buffer::Last`]) becomes a number that means nothing.
    pub fn new(write: &[Say], base: u64, arena: &mut impl Arena) -> Encoded {
        let mut encoded = Encoded::default();
        for say in write {
            encoded.say(say, base, arena);
        }
        encoded
    }

    /// Adds one command.
    fn say(&mut self, say: &Say, base: u64, arena: &mut impl Arena) {
        let out = &mut self.bytes;
        match say {
            Say::Transaction(target, sent) => self.transaction(number(*target), sent, false, arena),
            Say::Reply(sent) => self.transaction(0, sent, true, arena),
            Say::FreeBuffer(buffer) => {
                let address = match buffer {
                    Buffer::At(offset) => base.wrapping_add(*offset),
                    Buffer::Address(address) => *address,
                    Buffer::Last | Buffer::Of(_) => 0,
                };
                wire::put_word(out, bc::BC_FREE_BUFFER, &[address]);
            }
            Say::Count(count, handle) => {
                let word = match count {
                    Count::IncRefs => bc::BC_INCREFS,
                    Count::Acquire => bc::BC_ACQUIRE,
                    Count::Release => bc::BC_RELEASE,
                    Count::DecRefs => bc::BC_DECREFS,
                };
                wire::put_handle(out, word, number(*handle), None);
            }
            Say::Notice(notice, handle, cookie) => {
                let word = match notice {
                    Notice::RequestDeath => bc::BC_REQUEST_DEATH_NOTIFICATION,
                    Notice::ClearDeath => bc::BC_CLEAR_DEATH_NOTIFICATION,
                    Notice::RequestFreeze => bc::BC_REQUEST_FREEZE_NOTIFICATION,
                    Notice::ClearFreeze => bc::BC_CLEAR_FREEZE_NOTIFICATION,
                };
                wire::put_handle(out, word, number(*handle), Some(*cookie));
            }
            Say::CountDone(count, ptr, cookie) => {
                let weak = matches!(count, Count::IncRefs | Count::DecRefs);
                let word = if weak { bc::BC_INCREFS_DONE } else { bc::BC_ACQUIRE_DONE };
                wire::put_word(out, word, &[*ptr, *cookie]);
            }
            Say::NoticeDone(notice, cookie) => {
                let death = matches!(notice, Notice::RequestDeath | Notice::ClearDeath);
                let word = if death { bc::BC_DEAD_BINDER_DONE } else { bc::BC_FREEZE_NOTIFICATION_DONE };
                wire::put_word(out, word, &[*cookie]);
            }
            Say::Looper(looper) => {
                let word = match looper {
                    Looper::Register => bc::BC_REGISTER_LOOPER,
                    Looper::Enter => bc::BC_ENTER_LOOPER,
                    Looper::Exit => bc::BC_EXIT_LOOPER,
                };
                wire::put_word(out, word, &[]);
            }
            Say::Consumed(bytes) => self.consumed = *bytes,
            Say::Raw(bytes) => out.extend_from_slice(bytes),
        }
    }

    /// Adds a call or a reply.
    fn transaction(&mut self, target: u32, sent: &Sent, reply: bool, arena: &mut impl Arena) {
        let mut data = Vec::new();
        sent.items.iter().for_each(|item| put_item(item, &mut data, arena));
        let places = || sent.places().collect();
        let offsets: Vec<u64> = sent.offsets.clone().unwrap_or_else(places);
        let offsets: Vec<u8> = offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
        let mut place = |nowhere, bytes: &[u8]| if nowhere { NOWHERE } else { arena.put(bytes) };
        let header = wire::Header {
            target: target.into(),
            code: sent.code,
            flags: sent.flags.0,
            data_size: sent.data_size.unwrap_or(data.len() as u64),
            offsets_size: sent.offsets_size.unwrap_or(offsets.len() as u64),
            data: place(sent.data_nowhere, &data),
            offsets: place(sent.offsets_nowhere, &offsets),
            ..wire::Header::default()
        };
        let word = match (reply, sent.room.is_some()) {
            (false, false) => bc::BC_TRANSACTION,
            (false, true) => bc::BC_TRANSACTION_SG,
            (true, false) => bc::BC_REPLY,
            (true, true) => bc::BC_REPLY_SG,
        };
        header.put(&mut self.bytes, word, sent.room);
    }
}

/// A number that has been filled in.
fn number(number: Number) -> u32 {
    match number {
        Number::Is(number) => number,
        Number::Of(_) => u32::MAX,
    }
}

/// Adds a piece of a payload.
fn put_item(item: &Item, out: &mut Vec<u8>, arena: &mut impl Arena) {
    let object = match item {
        Item::Bytes(bytes) => return out.extend_from_slice(bytes),
        Item::Binder { ptr, cookie, flags, strong } => {
            Object::Binder { ptr: *ptr, cookie: *cookie, flags: *flags, strong: *strong }
        }
        Item::Handle { handle, flags, strong } => {
            Object::Handle { handle: number(*handle), flags: *flags, strong: *strong }
        }
        Item::Fd { fd, cookie, pad } => Object::Fd { fd: *fd, cookie: *cookie, pad_flags: *pad },
        Item::Ptr { bytes, length, parent } => {
            let buffer = bytes.as_ref().map_or(NOWHERE, |bytes| arena.put(bytes));
            let length = length.unwrap_or(bytes.as_ref().map_or(0, Vec::len) as u64);
            let flags = if parent.is_some() { Object::HAS_PARENT } else { 0 };
            let (parent, parent_offset) = parent.unwrap_or_default();
            Object::Ptr { flags, buffer, length, parent, parent_offset, data: Vec::new() }
        }
        Item::Fda { count, parent, at } => {
            Object::FdArray { pad: 0, num_fds: *count, parent: *parent, parent_offset: *at, fds: Vec::new() }
        }
        Item::Unknown(kind) => Object::Unknown { kind: *kind },
    };
    wire::put_object(&object, out);
}
