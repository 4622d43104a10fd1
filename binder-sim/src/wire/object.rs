//! Objects in a payload's bytes.

use super::cursor::{Cursor, Put};
use super::number::object::*;
use crate::protocol::{Object, ObjectFlags};
use alloc::vec::Vec;

/// Adds an object's bytes. The bytes of a buffer and the numbers of an array stand elsewhere.
///
/// ```text
///              0    4        8             16           24             32           40
/// BINDER       +type+flags---+ptr----------+cookie------+
/// HANDLE       +type+flags---+handle-+-----+0-----------+
/// FD           +type+pad-----+fd-----+-----+cookie------+
/// FDA          +type+pad-----+how many-----+parent------+where in it---+
/// PTR          +type+flags---+where--------+how many----+parent--------+where in it-+
/// ```
pub fn put_object(object: &Object, out: &mut Vec<u8>) {
    match object {
        Object::Binder { ptr, cookie, flags, strong } => {
            out.put_u32(if *strong { BINDER_TYPE_BINDER } else { BINDER_TYPE_WEAK_BINDER });
            out.put_u32(flags.0);
            out.put_u64(*ptr);
            out.put_u64(*cookie);
        }
        Object::Handle { handle, flags, strong } => {
            out.put_u32(if *strong { BINDER_TYPE_HANDLE } else { BINDER_TYPE_WEAK_HANDLE });
            out.put_u32(flags.0);
            out.put_u64((*handle).into());
            out.put_u64(0);
        }
        Object::Fd { fd, cookie, pad_flags } => {
            out.put_u32(BINDER_TYPE_FD);
            out.put_u32(*pad_flags);
            out.put_u64((*fd).into());
            out.put_u64(*cookie);
        }
        Object::FdArray { pad, num_fds, parent, parent_offset, fds: _ } => {
            out.put_u32(BINDER_TYPE_FDA);
            out.put_u32(*pad);
            [num_fds, parent, parent_offset].into_iter().for_each(|field| out.put_u64(*field));
        }
        Object::Ptr { flags, buffer, length, parent, parent_offset, data: _ } => {
            out.put_u32(BINDER_TYPE_PTR);
            out.put_u32(*flags);
            [buffer, length, parent, parent_offset].into_iter().for_each(|field| out.put_u64(*field));
        }
        Object::Unknown { kind } => out.put_u32(*kind),
    }
}

/// The object that begins at the start of `bytes`. Where they end too early the rest of it counts as zeros:
/// that it does not fit is the driver's to say. What it points to is not looked up here.
pub(super) fn object_in(bytes: &[u8]) -> Object {
    let mut whole = [0; Object::SIZE_MAX];
    let len = bytes.len().min(whole.len());
    whole[..len].copy_from_slice(&bytes[..len]);
    let mut from = Cursor(&whole);
    let kind = if len < 4 { 0 } else { from.u32().unwrap_or(0) };
    fields(kind, &mut from).unwrap_or(Object::Unknown { kind })
}

/// The fields of an object of this type.
fn fields(kind: u32, from: &mut Cursor<'_>) -> Option<Object> {
    let (flags, first) = (from.u32()?, from.u64()?);
    // The other half of the word is padding: any garbage is accepted there.
    let half = || u32::try_from(first & u64::from(u32::MAX)).ok();
    Some(match kind {
        BINDER_TYPE_BINDER | BINDER_TYPE_WEAK_BINDER => {
            let strong = kind == BINDER_TYPE_BINDER;
            Object::Binder { ptr: first, cookie: from.u64()?, flags: ObjectFlags(flags), strong }
        }
        BINDER_TYPE_HANDLE | BINDER_TYPE_WEAK_HANDLE => {
            let strong = kind == BINDER_TYPE_HANDLE;
            Object::Handle { handle: half()?, flags: ObjectFlags(flags), strong }
        }
        BINDER_TYPE_FD => Object::Fd { fd: half()?, cookie: from.u64()?, pad_flags: flags },
        BINDER_TYPE_FDA => Object::FdArray {
            pad: flags,
            num_fds: first,
            parent: from.u64()?,
            parent_offset: from.u64()?,
            fds: Vec::new(),
        },
        BINDER_TYPE_PTR => Object::Ptr {
            flags,
            buffer: first,
            length: from.u64()?,
            parent: from.u64()?,
            parent_offset: from.u64()?,
            data: Vec::new(),
        },
        _ => return None,
    })
}
