//! Commands in a write buffer.

use super::buffer::{overwrite, payload_of};
use super::cursor::{Cursor, Put};
use super::number::bc::*;
use super::{Arena, Header, Memory, put_object, size_of_payload};
use crate::protocol::{Command, Object, Payload, TransactionData, TransactionFlags};
use alloc::vec::Vec;

/// The commands in what a process wrote. The last is [`Command::Unreadable`] where the bytes end too early,
/// or a word that no driver takes: nothing behind it is read.
///
/// # Examples
/// ```
/// use binder_sim::protocol::Command;
/// use binder_sim::wire::{Blocks, bc, decode};
///
/// let mut bytes = bc::BC_ENTER_LOOPER.to_le_bytes().to_vec();
/// bytes.extend([1, 2]);
/// let memory = Blocks::default();
/// assert_eq!(decode(&bytes, &memory), [Command::EnterLooper, Command::Unreadable { word: 0 }]);
/// ```
pub fn decode(bytes: &[u8], memory: &impl Memory) -> Vec<Command> {
    let mut from = Cursor(bytes);
    let mut commands = Vec::new();
    while !from.0.is_empty() {
        let word = Cursor(from.0).u32().unwrap_or(0);
        let command = command(&mut from, memory);
        let ends = command.as_ref().is_none_or(is_refused);
        commands.push(command.unwrap_or(Command::Unreadable { word }));
        if ends {
            break;
        }
    }
    commands
}

/// Whether a driver takes no such word: it looks at nothing behind it.
fn is_refused(command: &Command) -> bool {
    use Command::{AcquireResult, AttemptAcquire, Unknown};
    matches!(command, AcquireResult(_) | AttemptAcquire { .. } | Unknown { .. })
}

/// The next command; none if the bytes end inside it.
fn command(from: &mut Cursor<'_>, memory: &impl Memory) -> Option<Command> {
    let word = from.u32()?;
    Some(match word {
        BC_TRANSACTION | BC_TRANSACTION_SG => Command::Transaction(transaction(word, from, memory)?),
        BC_REPLY | BC_REPLY_SG => Command::Reply(transaction(word, from, memory)?),
        BC_FREE_BUFFER => Command::FreeBuffer(from.u64()?),
        BC_INCREFS => Command::IncRefs(from.u32()?),
        BC_ACQUIRE => Command::Acquire(from.u32()?),
        BC_RELEASE => Command::Release(from.u32()?),
        BC_DECREFS => Command::DecRefs(from.u32()?),
        BC_INCREFS_DONE => Command::IncRefsDone { ptr: from.u64()?, cookie: from.u64()? },
        BC_ACQUIRE_DONE => Command::AcquireDone { ptr: from.u64()?, cookie: from.u64()? },
        BC_REGISTER_LOOPER => Command::RegisterLooper,
        BC_ENTER_LOOPER => Command::EnterLooper,
        BC_EXIT_LOOPER => Command::ExitLooper,
        BC_REQUEST_DEATH_NOTIFICATION => {
            Command::RequestDeathNotification { handle: from.u32()?, cookie: from.u64()? }
        }
        BC_CLEAR_DEATH_NOTIFICATION => {
            Command::ClearDeathNotification { handle: from.u32()?, cookie: from.u64()? }
        }
        BC_DEAD_BINDER_DONE => Command::DeadBinderDone(from.u64()?),
        BC_REQUEST_FREEZE_NOTIFICATION => {
            Command::RequestFreezeNotification { handle: from.u32()?, cookie: from.u64()? }
        }
        BC_CLEAR_FREEZE_NOTIFICATION => {
            Command::ClearFreezeNotification { handle: from.u32()?, cookie: from.u64()? }
        }
        BC_FREEZE_NOTIFICATION_DONE => Command::FreezeNotificationDone(from.u64()?),
        // Both are refused by their word, before what follows it is read.
        BC_ACQUIRE_RESULT => Command::AcquireResult(from.u32().unwrap_or(0).cast_signed()),
        BC_ATTEMPT_ACQUIRE => {
            let priority = from.u32().unwrap_or(0).cast_signed();
            Command::AttemptAcquire { priority, handle: from.u32().unwrap_or(0) }
        }
        _ => Command::Unknown { word },
    })
}

/// What follows the word of a call or a reply.
fn transaction(word: u32, from: &mut Cursor<'_>, memory: &impl Memory) -> Option<TransactionData> {
    let header = Header::take(from)?;
    let has_room = size_of_payload(word) > Header::SIZE;
    let buffers_size = if has_room { Some(from.u64()?) } else { None };
    Some(TransactionData {
        // The other half of the word is padding.
        target: u32::try_from(header.target & u64::from(u32::MAX)).ok()?,
        code: header.code,
        flags: TransactionFlags(header.flags),
        payload: payload_of(&header, buffers_size.unwrap_or(0), memory),
        buffers_size,
    })
}

/// The bytes of these commands; payloads are put into `arena`.
///
/// [`Command::Unreadable`] takes no bytes, so what decodes to it is not made again.
pub fn encode(commands: &[Command], arena: &mut impl Arena) -> Vec<u8> {
    let mut out = Vec::new();
    commands.iter().for_each(|command| put_command(command, &mut out, arena));
    out
}

/// Adds a command.
fn put_command(command: &Command, out: &mut Vec<u8>, arena: &mut impl Arena) {
    match command {
        Command::Transaction(data) => {
            put_transaction(data, [BC_TRANSACTION, BC_TRANSACTION_SG], out, arena);
        }
        Command::Reply(data) => put_transaction(data, [BC_REPLY, BC_REPLY_SG], out, arena),
        Command::FreeBuffer(address) => put_word(out, BC_FREE_BUFFER, &[*address]),
        Command::IncRefs(handle) => put_handle(out, BC_INCREFS, *handle, None),
        Command::Acquire(handle) => put_handle(out, BC_ACQUIRE, *handle, None),
        Command::Release(handle) => put_handle(out, BC_RELEASE, *handle, None),
        Command::DecRefs(handle) => put_handle(out, BC_DECREFS, *handle, None),
        Command::IncRefsDone { ptr, cookie } => put_word(out, BC_INCREFS_DONE, &[*ptr, *cookie]),
        Command::AcquireDone { ptr, cookie } => put_word(out, BC_ACQUIRE_DONE, &[*ptr, *cookie]),
        Command::RegisterLooper => put_word(out, BC_REGISTER_LOOPER, &[]),
        Command::EnterLooper => put_word(out, BC_ENTER_LOOPER, &[]),
        Command::ExitLooper => put_word(out, BC_EXIT_LOOPER, &[]),
        Command::RequestDeathNotification { handle, cookie } => {
            put_handle(out, BC_REQUEST_DEATH_NOTIFICATION, *handle, Some(*cookie));
        }
        Command::ClearDeathNotification { handle, cookie } => {
            put_handle(out, BC_CLEAR_DEATH_NOTIFICATION, *handle, Some(*cookie));
        }
        Command::DeadBinderDone(cookie) => put_word(out, BC_DEAD_BINDER_DONE, &[*cookie]),
        Command::RequestFreezeNotification { handle, cookie } => {
            put_handle(out, BC_REQUEST_FREEZE_NOTIFICATION, *handle, Some(*cookie));
        }
        Command::ClearFreezeNotification { handle, cookie } => {
            put_handle(out, BC_CLEAR_FREEZE_NOTIFICATION, *handle, Some(*cookie));
        }
        Command::FreezeNotificationDone(cookie) => put_word(out, BC_FREEZE_NOTIFICATION_DONE, &[*cookie]),
        Command::AcquireResult(result) => {
            put_handle(out, BC_ACQUIRE_RESULT, result.cast_unsigned(), None);
        }
        Command::AttemptAcquire { priority, handle } => {
            put_handle(out, BC_ATTEMPT_ACQUIRE, priority.cast_unsigned(), None);
            out.put_u32(*handle);
        }
        Command::Unknown { word } => put_word(out, *word, &[]),
        Command::Unreadable { .. } => {}
    }
}

/// Adds a word and 64-bit fields.
pub(crate) fn put_word(out: &mut Vec<u8>, word: u32, fields: &[u64]) {
    out.put_u32(word);
    fields.iter().for_each(|field| out.put_u64(*field));
}

/// Adds a word, a handle, and perhaps a cookie right behind it: `struct binder_handle_cookie` is packed.
pub(crate) fn put_handle(out: &mut Vec<u8>, word: u32, handle: u32, cookie: Option<u64>) {
    out.put_u32(word);
    out.put_u32(handle);
    if let Some(cookie) = cookie {
        out.put_u64(cookie);
    }
}

/// Adds a call or a reply; its payload goes into `arena`.
fn put_transaction(data: &TransactionData, words: [u32; 2], out: &mut Vec<u8>, arena: &mut impl Arena) {
    let Payload { bytes, objects, data_size, offsets_size, .. } = &data.payload;
    let mut bytes = bytes.clone();
    for placed in objects {
        let mut form = Vec::new();
        let mut object = placed.object.clone();
        if let Object::Ptr { buffer, data, .. } = &mut object
            && !data.is_empty()
        {
            *buffer = arena.put(data);
        }
        put_object(&object, &mut form);
        overwrite(&mut bytes, placed.offset, &form);
    }
    let offsets: Vec<u8> = objects.iter().flat_map(|placed| placed.offset.to_le_bytes()).collect();
    let header = Header {
        target: data.target.into(),
        code: data.code,
        flags: data.flags.0,
        data_size: *data_size,
        offsets_size: *offsets_size,
        data: arena.put(&bytes),
        offsets: arena.put(&offsets),
        ..Header::default()
    };
    let [plain, with_room] = words;
    header.put(out, if data.buffers_size.is_some() { with_room } else { plain }, data.buffers_size);
}
