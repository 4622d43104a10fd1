//! Commands of the protocol as a script says them.

use super::payload::Item;
use super::say::{Buffer, Count, Looper, Notice, Say, Sent};
use crate::protocol::{Command, Object, Payload, Placed, TransactionData};
use crate::wire;
use alloc::vec::Vec;

impl From<Command> for Say {
    fn from(command: Command) -> Say {
        match command {
            Command::Transaction(data) => Say::Transaction(data.target.into(), data.into()),
            Command::Reply(data) => Say::Reply(data.into()),
            Command::FreeBuffer(address) => Say::FreeBuffer(Buffer::Address(address)),
            Command::IncRefs(handle) => Say::Count(Count::IncRefs, handle.into()),
            Command::Acquire(handle) => Say::Count(Count::Acquire, handle.into()),
            Command::Release(handle) => Say::Count(Count::Release, handle.into()),
            Command::DecRefs(handle) => Say::Count(Count::DecRefs, handle.into()),
            Command::IncRefsDone { ptr, cookie } => Say::CountDone(Count::IncRefs, ptr, cookie),
            Command::AcquireDone { ptr, cookie } => Say::CountDone(Count::Acquire, ptr, cookie),
            Command::RegisterLooper => Say::Looper(Looper::Register),
            Command::EnterLooper => Say::Looper(Looper::Enter),
            Command::ExitLooper => Say::Looper(Looper::Exit),
            Command::RequestDeathNotification { handle, cookie } => {
                Say::Notice(Notice::RequestDeath, handle.into(), cookie)
            }
            Command::ClearDeathNotification { handle, cookie } => {
                Say::Notice(Notice::ClearDeath, handle.into(), cookie)
            }
            Command::DeadBinderDone(cookie) => Say::NoticeDone(Notice::RequestDeath, cookie),
            Command::RequestFreezeNotification { handle, cookie } => {
                Say::Notice(Notice::RequestFreeze, handle.into(), cookie)
            }
            Command::ClearFreezeNotification { handle, cookie } => {
                Say::Notice(Notice::ClearFreeze, handle.into(), cookie)
            }
            Command::FreezeNotificationDone(cookie) => Say::NoticeDone(Notice::RequestFreeze, cookie),
            Command::AcquireResult(_) | Command::AttemptAcquire { .. } | Command::Unknown { .. } => {
                Say::Raw(wire::encode(&[command], &mut wire::Blocks::default()))
            }
            Command::Unreadable { .. } => Say::Raw(alloc::vec![0]),
        }
    }
}

impl From<TransactionData> for Sent {
    fn from(data: TransactionData) -> Sent {
        let TransactionData { code, flags, payload, buffers_size, .. } = data;
        let Payload { bytes, objects, data_size, offsets_size, .. } = payload;
        let offsets: Vec<u64> = objects.iter().map(|placed| placed.offset).collect();
        let claims = |claimed: u64, is: usize| (claimed != is as u64).then_some(claimed);
        let (data_claim, offsets_claim) =
            (claims(data_size, bytes.len()), claims(offsets_size, offsets.len() * 8));
        let mut sent = Sent {
            code,
            flags,
            items: pieces(&bytes, objects),
            data_size: data_claim,
            offsets_size: offsets_claim,
            room: buffers_size,
            ..Sent::default()
        };
        if !sent.places().eq(offsets.iter().copied()) {
            sent.offsets = Some(offsets);
        }
        sent
    }
}

/// The pieces of a payload, in the order of its bytes. An object that overlaps the one before it, or does
/// not fit, is left out: whoever wants that writes bytes.
fn pieces(bytes: &[u8], mut objects: Vec<Placed>) -> Vec<Item> {
    objects.sort_by_key(|placed| placed.offset);
    let (mut items, mut at) = (Vec::new(), 0);
    for Placed { offset, object } in objects {
        let Ok(offset) = usize::try_from(offset) else { continue };
        let item = item(object);
        if offset < at || offset + item.size() > bytes.len() {
            continue;
        }
        items.extend((at < offset).then(|| Item::Bytes(bytes[at..offset].to_vec())));
        at = offset + item.size();
        items.push(item);
    }
    items.extend((at < bytes.len()).then(|| Item::Bytes(bytes[at..].to_vec())));
    items
}

/// An object as a script says it.
fn item(object: Object) -> Item {
    match object {
        Object::Binder { ptr, cookie, flags, strong } => Item::Binder { ptr, cookie, flags, strong },
        Object::Handle { handle, flags, strong } => Item::Handle { handle: handle.into(), flags, strong },
        Object::Fd { fd, cookie, pad_flags } => Item::Fd { fd, cookie, pad: pad_flags },
        Object::Ptr { flags, length, parent, parent_offset, data, .. } => Item::Ptr {
            length: (length != data.len() as u64).then_some(length),
            bytes: Some(data),
            parent: (flags & Object::HAS_PARENT != 0).then_some((parent, parent_offset)),
        },
        Object::FdArray { num_fds, parent, parent_offset, .. } => {
            Item::Fda { count: num_fds, parent, at: parent_offset }
        }
        Object::Unknown { kind } => Item::Unknown(kind),
    }
}
