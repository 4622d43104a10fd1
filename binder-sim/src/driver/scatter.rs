//! Buffers behind a payload (`BINDER_TYPE_PTR`), and descriptors in them (`BINDER_TYPE_FDA`).
//!
//! A sender names bytes by their address in its own memory. They are copied behind the payload, and the pointers
//! to them that stand in other such buffers are rewritten. The sender has to name buffers and what is in them in
//! the order in which they stand: so each place is rewritten once, and the driver never looks back.

use crate::errno::Errno;
use crate::protocol::{Object, Payload, Placed};
use alloc::vec::Vec;

/// The bytes of a pointer.
const POINTER: u64 = 8;

/// A place in a buffer that is not copied from the sender.
#[derive(Debug, Clone, Copy)]
struct Fixup {
    /// Its address in the receiver's mapping.
    address: u64,
    /// The pointer that is written there; none leaves room for this many bytes of descriptors.
    value: Result<u64, u64>,
}

/// The area behind a payload, while the payload is translated.
#[derive(Debug)]
pub(crate) struct Scatter {
    /// The address of what is free.
    free: u64,
    /// Where the area ends.
    end: u64,
    /// The size that was asked for: has to be a multiple of 8.
    extra: u64,
    /// The buffer that was named last, or in which something was; and where in it the next fixup may stand.
    last: Option<(usize, u64)>,
    /// The address that each buffer has in the sender's memory: by its place in the list of objects.
    origins: Vec<(usize, u64)>,
    /// The places that are not copied.
    fixups: Vec<Fixup>,
}

impl Scatter {
    /// An area of `extra` bytes at `start`, of which the last `context` are for the security context.
    pub(crate) fn new(start: u64, extra: u64, context: u64) -> Scatter {
        // What does not add up has been refused before, by the allocator.
        let end = (start + extra).saturating_sub(context);
        Scatter { free: start, end, extra, last: None, origins: Vec::new(), fixups: Vec::new() }
    }

    /// Where the area ends, and the security context begins.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Whether the area's size can be accepted.
    pub(crate) fn is_aligned(&self) -> bool {
        self.extra.is_multiple_of(8)
    }

    /// A buffer, the `index`-th of `objects`: gets its place, and the pointer to it its new value.
    pub(crate) fn translate_ptr(&mut self, objects: &mut [Placed], index: usize) -> Result<(), Errno> {
        let Object::Ptr { flags, buffer, length, parent, parent_offset, .. } = &mut objects[index].object
        else {
            // Not reached: whoever calls has looked.
            return Err(Errno::EINVAL);
        };
        if *length > self.end.saturating_sub(self.free) {
            return Err(Errno::EINVAL);
        }
        let address = self.free;
        self.origins.push((index, core::mem::replace(buffer, address)));
        self.free += length.next_multiple_of(8);
        if *flags & Object::HAS_PARENT != 0 {
            let (parent, offset) = (*parent, *parent_offset);
            let (_, at, room) = self.parent(objects, index, parent, offset)?;
            if room < POINTER || offset > room - POINTER {
                return Err(Errno::EINVAL);
            }
            self.fixups.push(Fixup { address: at + offset, value: Ok(address) });
        }
        self.last = Some((index, 0));
        Ok(())
    }

    /// Descriptors in a buffer, the `index`-th of `objects`: finds their place. Says where, if there are any.
    pub(crate) fn translate_fd_array(
        &mut self,
        objects: &[Placed],
        index: usize,
    ) -> Result<Option<u64>, Errno> {
        let Object::FdArray { num_fds, parent, parent_offset, .. } = objects[index].object else {
            // Not reached: whoever calls has looked.
            return Err(Errno::EINVAL);
        };
        let (at, address, room) = self.parent(objects, index, parent, parent_offset)?;
        let size = num_fds.wrapping_mul(4);
        let min = parent_offset.wrapping_add(size);
        if num_fds == 0 {
            self.last = Some((at, min));
            return Ok(None);
        }
        if num_fds >= u64::MAX / 4 || size > room || parent_offset > room - size {
            return Err(Errno::EINVAL);
        }
        let origin = self.origins.iter().find(|(place, _)| *place == at).map_or(0, |&(_, origin)| origin);
        let address = address + parent_offset;
        if !address.is_multiple_of(4) || !origin.wrapping_add(parent_offset).is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        self.fixups.push(Fixup { address, value: Err(size) });
        self.last = Some((at, min));
        Ok(Some(address))
    }

    /// `binder_validate_ptr`, `binder_validate_fixup`: the buffer that the `index`-th object stands in: its
    /// place in the list, its address and length. It has to be the last buffer, or one that this one stands in,
    /// and the place behind the last one in it.
    fn parent(
        &self,
        objects: &[Placed],
        index: usize,
        parent: u64,
        offset: u64,
    ) -> Result<(usize, u64, u64), Errno> {
        let parent = usize::try_from(parent).ok().filter(|&parent| parent < index).ok_or(Errno::EINVAL)?;
        let Object::Ptr { buffer, length, .. } = objects[parent].object else { return Err(Errno::EINVAL) };
        let (mut at, mut min) = self.last.ok_or(Errno::EINVAL)?;
        if objects[at].offset == 0 {
            // The driver notes the last buffer by its offset, and takes 0 for "none".
            return Err(Errno::EINVAL);
        }
        while at != parent {
            match objects[at].object {
                Object::Ptr { flags, parent, parent_offset, .. } if flags & Object::HAS_PARENT != 0 => {
                    min = parent_offset.wrapping_add(POINTER);
                    at = usize::try_from(parent).unwrap_or(usize::MAX);
                }
                _ => return Err(Errno::EINVAL),
            }
        }
        if offset < min { Err(Errno::EINVAL) } else { Ok((parent, buffer, length)) }
    }

    /// `binder_do_deferred_txn_copies`: the buffers as the receiver sees them, but for the descriptors' numbers.
    ///
    /// # Errors
    /// `EINVAL`: bytes that are to be copied cannot be read, or a pointer stands where none can be written.
    pub(crate) fn copy(&mut self, payload: &mut Payload) -> Result<(), Errno> {
        if self.origins.is_empty() {
            return Ok(());
        }
        self.fixups.sort_by_key(|fixup| fixup.address);
        let mut fixups = self.fixups.drain(..).peekable();
        for placed in &mut payload.objects {
            let Object::Ptr { buffer, length, data, .. } = &mut placed.object else { continue };
            let (start, readable) = (*buffer, data.len() as u64);
            let mut copied = 0;
            let is_there =
                |from: u64, to: u64| if from < to && readable < to { Err(Errno::EINVAL) } else { Ok(()) };
            data.resize(usize::try_from(*length).map_err(|_| Errno::EINVAL)?, 0);
            while let Some(fixup) = fixups.next_if(|fixup| fixup.address < start + *length) {
                let at = fixup.address - start;
                is_there(copied, at)?;
                copied = at + fixup.value.map_or_else(|room| room, |_| POINTER);
                if let Ok(pointer) = fixup.value {
                    if !at.is_multiple_of(4) {
                        return Err(Errno::EINVAL);
                    }
                    write(data, at, &pointer.to_le_bytes());
                }
            }
            is_there(copied, *length)?;
        }
        Ok(())
    }
}

/// Gives each descriptor of `payload` its number, in the objects and in the buffers; says which are in arrays.
pub(crate) fn number_descriptors(payload: &mut Payload, numbers: &[u32]) -> Vec<u32> {
    let (mut numbers, mut arrays) = (numbers.iter().copied(), Vec::new());
    for index in 0..payload.objects.len() {
        let (before, rest) = payload.objects.split_at_mut(index);
        match &mut rest[0].object {
            Object::Fd { fd, .. } => *fd = numbers.next().unwrap_or(0),
            Object::FdArray { parent, parent_offset, fds, .. } => {
                for fd in fds.iter_mut() {
                    *fd = numbers.next().unwrap_or(0);
                }
                let parent = usize::try_from(*parent).ok().and_then(|parent| before.get_mut(parent));
                // It is a buffer, or the array would have been refused.
                if let Some(Placed { object: Object::Ptr { data, .. }, .. }) = parent {
                    let bytes: Vec<u8> = fds.iter().flat_map(|fd| fd.to_le_bytes()).collect();
                    write(data, *parent_offset, &bytes);
                }
                arrays.extend(fds.iter());
            }
            _ => {}
        }
    }
    arrays
}

/// Overwrites a part of `data`.
fn write(data: &mut [u8], at: u64, bytes: &[u8]) {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    if let Some(place) = at.checked_add(bytes.len()).and_then(|end| data.get_mut(at..end)) {
        place.copy_from_slice(bytes);
    }
}
