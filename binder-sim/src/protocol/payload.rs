//! The data of a transaction: bytes, and the objects among them.

use super::{Object, Placed};
use alloc::vec::Vec;
use core::fmt;

/// The data of a transaction: bytes, and the objects among them in the order of the offsets array.
///
/// An object is only an object when it is listed: bytes that merely look like one are copied as they are. The
/// sizes are what the sender says. Where `bytes` or `objects` are fewer, the sender's memory ends before them.
///
/// # Examples
/// ```
/// use binder_sim::protocol::{Object, Payload};
///
/// let payload = Payload::objects([Object::fd(7), Object::handle(1)]);
/// assert_eq!((payload.data_size, payload.offsets_size), (48, 16));
/// assert_eq!(payload.to_string(), "48 bytes [FD 7, HANDLE 1]");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payload {
    /// All data, objects' places included, as far as it can be read; no more than `data_size`.
    pub bytes: Vec<u8>,
    /// The objects at the offsets, as far as those can be read. Nothing is assumed of the offsets.
    pub objects: Vec<Placed>,
    /// How many bytes there are said to be.
    pub data_size: u64,
    /// How many bytes the offsets array is said to take: 8 an object, if all is well.
    pub offsets_size: u64,
    /// The sender's memory ends before the offsets array does, if only by a part of an entry.
    pub offsets_cut: bool,
}

impl Payload {
    /// Nothing at all: no data, no objects.
    pub const fn new() -> Payload {
        Payload { bytes: Vec::new(), objects: Vec::new(), data_size: 0, offsets_size: 0, offsets_cut: false }
    }

    /// Plain bytes.
    pub fn bytes(bytes: &[u8]) -> Payload {
        Payload::placed(bytes.to_vec(), Vec::new())
    }

    /// `objects` one after the other, from the start.
    pub fn objects(objects: impl IntoIterator<Item = Object>) -> Payload {
        let mut end = 0;
        let place = |object: Object| {
            let offset = end as u64;
            end += object.wire_size();
            Placed { offset, object }
        };
        let objects: Vec<Placed> = objects.into_iter().map(place).collect();
        Payload::placed(alloc::vec![0; end], objects)
    }

    /// `bytes` with `objects` among them: sizes as they are.
    pub fn placed(bytes: Vec<u8>, objects: Vec<Placed>) -> Payload {
        let (data_size, offsets_size) = (bytes.len() as u64, (objects.len() * size_of::<u64>()) as u64);
        Payload { bytes, objects, data_size, offsets_size, offsets_cut: false }
    }

    /// Three descriptors or three hundred as one array: a buffer that holds the numbers, and the array in it.
    ///
    /// The driver takes offset 0 for "no buffer", so eight bytes stand before the buffer.
    pub fn fd_array(buffer: u64, fds: &[u32]) -> Payload {
        let numbers: Vec<u8> = fds.iter().flat_map(|fd| fd.to_le_bytes()).collect();
        let mut payload = Payload::objects([Object::ptr(buffer, &numbers), Object::fd_array(0, fds)]);
        payload.bytes.extend([0; 8]);
        payload.data_size += 8;
        payload.objects.iter_mut().for_each(|placed| placed.offset += 8);
        payload
    }

    /// The bytes that its buffers take behind the payload, each rounded up to 8: what
    /// `BC_TRANSACTION_SG` has to say.
    pub fn buffers_size(&self) -> u64 {
        let size = |placed: &Placed| match placed.object {
            Object::Ptr { length, .. } => length.checked_next_multiple_of(8).unwrap_or(u64::MAX),
            _ => 0,
        };
        self.objects.iter().map(size).fold(0, u64::saturating_add)
    }

    /// The descriptor numbers in it, in order.
    pub fn descriptors(&self) -> impl Iterator<Item = u32> {
        self.objects.iter().flat_map(|placed| placed.object.descriptors()).copied()
    }
}

impl fmt::Display for Payload {
    /// `8 bytes` or `24 bytes [FD 5]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.data_size)?;
        for (n, placed) in self.objects.iter().enumerate() {
            write!(f, "{}{}", if n == 0 { " [" } else { ", " }, placed.object)?;
        }
        if self.objects.is_empty() { Ok(()) } else { f.write_str("]") }
    }
}
