//! The payload of a transaction, in the sender's memory or in the receiver's mapping.

use super::object::object_in;
use super::{Header, Memory, put_object};
use crate::protocol::{Delivered, Object, Payload, Placed};
use alloc::vec::Vec;

/// What limits how much is read for one payload: a sender can point a thousand objects at the same
/// megabyte, and the driver refuses them when the room that the sender asked for is used up, not after
/// copying them.
struct Room {
    /// The bytes that are left for buffers.
    buffers: u64,
    /// The descriptors that are left for arrays.
    descriptors: usize,
}

/// Reads the payload that a header speaks of; `room` is what its buffers may take in all.
pub(super) fn payload_of(header: &Header, room: u64, memory: &impl Memory) -> Payload {
    let bytes = memory.read(header.data, header.data_size).to_vec();
    let offsets = memory.read(header.offsets, header.offsets_size);
    let descriptors = usize::try_from(room / 4).unwrap_or(usize::MAX);
    let mut room = Room { buffers: room, descriptors };
    let offsets_cut = (offsets.len() as u64) < header.offsets_size;
    let mut objects: Vec<Placed> = Vec::with_capacity(offsets.len() / 8);
    for entry in offsets.as_chunks::<8>().0 {
        let offset = u64::from_le_bytes(*entry);
        let at = usize::try_from(offset).ok().and_then(|at| bytes.get(at..));
        let object = match object_in(at.unwrap_or(&[])) {
            Object::Ptr { flags, buffer, length, parent, parent_offset, .. } => {
                let data = room.read(buffer, length, memory);
                Object::Ptr { flags, buffer, length, parent, parent_offset, data }
            }
            Object::FdArray { pad, num_fds, parent, parent_offset, .. } => {
                let fds = room.descriptors(&objects, num_fds, parent, parent_offset);
                Object::FdArray { pad, num_fds, parent, parent_offset, fds }
            }
            other => other,
        };
        objects.push(Placed { offset, object });
    }
    let (data_size, offsets_size) = (header.data_size, header.offsets_size);
    Payload { bytes, objects, data_size, offsets_size, offsets_cut }
}

impl Room {
    /// The bytes of a buffer, if there is room for as many as it says.
    fn read(&mut self, address: u64, length: u64, memory: &impl Memory) -> Vec<u8> {
        if length > self.buffers {
            return Vec::new();
        }
        let taken = length.checked_next_multiple_of(8).unwrap_or(u64::MAX);
        self.buffers -= taken.min(self.buffers);
        memory.read(address, length).to_vec()
    }

    /// The numbers of an array, in an object before it.
    fn descriptors(&mut self, objects: &[Placed], num_fds: u64, parent: u64, at: u64) -> Vec<u32> {
        let buffer = usize::try_from(parent).ok().and_then(|parent| objects.get(parent));
        let Some(Placed { object: Object::Ptr { data, .. }, .. }) = buffer else { return Vec::new() };
        let Some(numbers) = usize::try_from(at).ok().and_then(|at| data.get(at..)) else { return Vec::new() };
        let most = usize::try_from(num_fds).unwrap_or(usize::MAX).min(self.descriptors);
        let numbers: Vec<u32> =
            numbers.as_chunks::<4>().0.iter().take(most).map(|number| u32::from_le_bytes(*number)).collect();
        self.descriptors -= numbers.len();
        numbers
    }
}

/// The payload that a receiver finds in its mapping: `data_size` bytes at `data`, objects as `offsets` says.
pub fn payload_at(
    memory: &impl Memory,
    data: u64,
    data_size: u64,
    offsets: u64,
    offsets_size: u64,
) -> Payload {
    payload_of(&Header { data, data_size, offsets, offsets_size, ..Header::default() }, u64::MAX, memory)
}

/// A mapping holds no more.
const MAPPING_MAX: usize = 4 << 20;

/// What a receiver finds in its mapping from `delivered.buffer` on: data, offsets array and buffers.
///
/// ```text
/// buffer                 offsets               extra
/// +----------------------+---------------------+-----------------+-----------------+
/// | data, objects in it  | a word an object    | bytes of a PTR  | bytes of a PTR  |
/// +----------------------+---------------------+-----------------+-----------------+
///                        each part begins at a multiple of 8
/// ```
pub fn lay_out(delivered: &Delivered) -> Vec<u8> {
    let Payload { bytes, objects, .. } = &delivered.payload;
    let mut out = bytes.clone();
    for Placed { offset, object } in objects {
        let mut form = Vec::new();
        put_object(object, &mut form);
        overwrite(&mut out, *offset, &form);
    }
    out.resize(out.len().next_multiple_of(8), 0);
    objects.iter().for_each(|placed| out.extend_from_slice(&placed.offset.to_le_bytes()));
    for Placed { object, .. } in objects {
        if let Object::Ptr { buffer, data, .. } = object {
            let at = buffer.wrapping_sub(delivered.buffer);
            // A buffer stands behind the payload, within what one mapping can hold.
            if let Ok(end) = usize::try_from(at.saturating_add(data.len() as u64))
                && end <= MAPPING_MAX
            {
                out.resize(out.len().max(end), 0);
                overwrite(&mut out, at, data);
            }
        }
    }
    out
}

/// Puts `with` at `at`, as far as there is room.
pub(super) fn overwrite(bytes: &mut [u8], at: u64, with: &[u8]) {
    let place = usize::try_from(at).ok().and_then(|at| bytes.get_mut(at..));
    for (byte, new) in place.into_iter().flatten().zip(with) {
        *byte = *new;
    }
}
