//! Returns in a read buffer.

use super::buffer::payload_of;
use super::cursor::{Cursor, Put};
use super::number::br::*;
use super::{Header, Memory, put_word, size_of_payload};
use crate::protocol::{Delivered, Return, SecurityContext, TransactionFlags};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// The returns in what a process read; payloads are looked up in `mapping`. They end where the bytes say
/// nothing that a driver writes.
pub fn decode_returns(bytes: &[u8], mapping: &impl Memory) -> Vec<Return> {
    let mut from = Cursor(bytes);
    core::iter::from_fn(|| answer(&mut from, mapping)).collect()
}

/// The next return.
fn answer(from: &mut Cursor<'_>, mapping: &impl Memory) -> Option<Return> {
    let word = from.u32()?;
    Some(match word {
        BR_NOOP => Return::Noop,
        BR_OK => Return::Ok,
        BR_ERROR => Return::Error(from.u32()?.cast_signed()),
        BR_TRANSACTION | BR_TRANSACTION_SEC_CTX => {
            Return::Transaction(Box::new(delivered(word, from, mapping)?))
        }
        BR_REPLY => Return::Reply(Box::new(delivered(word, from, mapping)?)),
        BR_TRANSACTION_COMPLETE => Return::TransactionComplete,
        BR_TRANSACTION_PENDING_FROZEN => Return::TransactionPendingFrozen,
        BR_ONEWAY_SPAM_SUSPECT => Return::OnewaySpamSuspect,
        BR_FAILED_REPLY => Return::FailedReply,
        BR_DEAD_REPLY => Return::DeadReply,
        BR_FROZEN_REPLY => Return::FrozenReply,
        BR_INCREFS => Return::IncRefs { ptr: from.u64()?, cookie: from.u64()? },
        BR_ACQUIRE => Return::Acquire { ptr: from.u64()?, cookie: from.u64()? },
        BR_RELEASE => Return::Release { ptr: from.u64()?, cookie: from.u64()? },
        BR_DECREFS => Return::DecRefs { ptr: from.u64()?, cookie: from.u64()? },
        BR_SPAWN_LOOPER => Return::SpawnLooper,
        BR_DEAD_BINDER => Return::DeadBinder(from.u64()?),
        BR_CLEAR_DEATH_NOTIFICATION_DONE => Return::ClearDeathNotificationDone(from.u64()?),
        BR_FROZEN_BINDER => {
            let (cookie, is_frozen, _padding) = (from.u64()?, from.u32()?, from.u32()?);
            Return::FrozenBinder { cookie, is_frozen: is_frozen != 0 }
        }
        BR_CLEAR_FREEZE_NOTIFICATION_DONE => Return::ClearFreezeNotificationDone(from.u64()?),
        _ => return None,
    })
}

/// What follows the word of a delivered transaction.
fn delivered(word: u32, from: &mut Cursor<'_>, mapping: &impl Memory) -> Option<Delivered> {
    let header = Header::take(from)?;
    let has_context = size_of_payload(word) > Header::SIZE;
    let context = if has_context { Some(from.u64()?) } else { None };
    // The kernel ends the text with a zero.
    let text =
        |address| mapping.read(address, CONTEXT_MAX).split(|&byte| byte == 0).next().unwrap_or(&[]).to_vec();
    Some(Delivered {
        ptr: header.target,
        cookie: header.cookie,
        code: header.code,
        flags: TransactionFlags(header.flags),
        sender_pid: header.sender_pid,
        sender_euid: header.sender_euid,
        buffer: header.data,
        payload: payload_of(&header, u64::MAX, mapping),
        security_context: context.map(|address| SecurityContext {
            address,
            text: String::from_utf8_lossy(&text(address)).into_owned(),
        }),
    })
}

/// A security context is a short name.
const CONTEXT_MAX: u64 = 4096;

/// The bytes of these returns; what a delivered transaction speaks of has to stand in the mapping
/// ([`lay_out`](super::lay_out)).
pub fn encode_returns(returns: &[Return]) -> Vec<u8> {
    let mut out = Vec::new();
    returns.iter().for_each(|answer| put_return(answer, &mut out));
    out
}

/// Adds a return.
fn put_return(answer: &Return, out: &mut Vec<u8>) {
    match answer {
        Return::Noop => put_word(out, BR_NOOP, &[]),
        Return::Ok => put_word(out, BR_OK, &[]),
        Return::Error(number) => {
            out.put_u32(BR_ERROR);
            out.put_u32(number.cast_unsigned());
        }
        Return::Transaction(call) => {
            let context = call.security_context.as_ref().map(|context| context.address);
            let word = if context.is_some() { BR_TRANSACTION_SEC_CTX } else { BR_TRANSACTION };
            header_of(call).put(out, word, context);
        }
        Return::Reply(reply) => header_of(reply).put(out, BR_REPLY, None),
        Return::TransactionComplete => put_word(out, BR_TRANSACTION_COMPLETE, &[]),
        Return::TransactionPendingFrozen => put_word(out, BR_TRANSACTION_PENDING_FROZEN, &[]),
        Return::OnewaySpamSuspect => put_word(out, BR_ONEWAY_SPAM_SUSPECT, &[]),
        Return::FailedReply => put_word(out, BR_FAILED_REPLY, &[]),
        Return::DeadReply => put_word(out, BR_DEAD_REPLY, &[]),
        Return::FrozenReply => put_word(out, BR_FROZEN_REPLY, &[]),
        Return::IncRefs { ptr, cookie } => put_word(out, BR_INCREFS, &[*ptr, *cookie]),
        Return::Acquire { ptr, cookie } => put_word(out, BR_ACQUIRE, &[*ptr, *cookie]),
        Return::Release { ptr, cookie } => put_word(out, BR_RELEASE, &[*ptr, *cookie]),
        Return::DecRefs { ptr, cookie } => put_word(out, BR_DECREFS, &[*ptr, *cookie]),
        Return::SpawnLooper => put_word(out, BR_SPAWN_LOOPER, &[]),
        Return::DeadBinder(cookie) => put_word(out, BR_DEAD_BINDER, &[*cookie]),
        Return::ClearDeathNotificationDone(cookie) => {
            put_word(out, BR_CLEAR_DEATH_NOTIFICATION_DONE, &[*cookie]);
        }
        Return::FrozenBinder { cookie, is_frozen } => {
            put_word(out, BR_FROZEN_BINDER, &[*cookie, u64::from(*is_frozen)]);
        }
        Return::ClearFreezeNotificationDone(cookie) => {
            put_word(out, BR_CLEAR_FREEZE_NOTIFICATION_DONE, &[*cookie]);
        }
    }
}

/// The header of a delivered transaction.
fn header_of(delivered: &Delivered) -> Header {
    Header {
        target: delivered.ptr,
        cookie: delivered.cookie,
        code: delivered.code,
        flags: delivered.flags.0,
        sender_pid: delivered.sender_pid,
        sender_euid: delivered.sender_euid,
        data_size: delivered.payload.data_size,
        offsets_size: delivered.payload.offsets_size,
        data: delivered.buffer,
        offsets: delivered.offsets(),
    }
}
