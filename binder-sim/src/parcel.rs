//! Parcels: values that are written one after the other, and read in the same order.
//!
//! A payload is bytes to the driver. What they mean is a matter between two programs, and this is the little that
//! the ones here have agreed on: a number takes four bytes, a text its length and its bytes up to a multiple of
//! four, and an object its place. A reader takes nothing for granted: the bytes come from somebody else.

use crate::protocol::{Object, Payload, Placed};
use alloc::vec::Vec;

/// Everything in a parcel begins at a multiple of this; of objects, the driver insists on it.
const ALIGNMENT: usize = 4;

/// A payload being written.
///
/// # Examples
/// ```
/// use binder_sim::parcel::{Parcel, Reader};
/// use binder_sim::protocol::Object;
///
/// let payload = Parcel::new().text("frames").object(Object::fd(7)).number(10_000).payload();
/// assert_eq!(payload.to_string(), "40 bytes [FD 7]");
///
/// let mut reader = Reader::new(&payload);
/// assert_eq!(reader.text(), Some("frames"));
/// assert_eq!(reader.object(), Some(&Object::fd(7)));
/// assert_eq!(reader.number(), Some(10_000));
/// assert_eq!(reader.number(), None, "nothing is left");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Parcel {
    /// What has been written.
    bytes: Vec<u8>,
    /// The objects in it.
    objects: Vec<Placed>,
}

impl Parcel {
    /// Nothing yet.
    pub fn new() -> Parcel {
        Parcel::default()
    }

    /// One more number.
    #[must_use]
    pub fn number(mut self, number: i32) -> Parcel {
        self.bytes.extend(number.to_le_bytes());
        self
    }

    /// One more text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Parcel {
        // A text that is longer cannot be sent either: no transaction has room for it.
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.bytes.extend(len.to_le_bytes());
        self.bytes.extend(text.as_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        self
    }

    /// One more object.
    #[must_use]
    pub fn object(mut self, object: Object) -> Parcel {
        let (offset, size) = (self.bytes.len(), object.wire_size().next_multiple_of(ALIGNMENT));
        self.bytes.resize(offset + size, 0);
        self.objects.push(Placed { offset: offset as u64, object });
        self
    }

    /// What has been written, to be sent.
    pub fn payload(self) -> Payload {
        Payload::placed(self.bytes, self.objects)
    }
}

/// A payload being read. Each question answers `None` when the payload says something else, or ends.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    /// What is read.
    payload: &'a Payload,
    /// Where the next value begins.
    at: usize,
}

impl<'a> Reader<'a> {
    /// From the start.
    pub fn new(payload: &'a Payload) -> Reader<'a> {
        Reader { payload, at: 0 }
    }

    /// The next number.
    pub fn number(&mut self) -> Option<i32> {
        self.take(4)?.try_into().ok().map(i32::from_le_bytes)
    }

    /// The next text.
    pub fn text(&mut self) -> Option<&'a str> {
        let len = usize::try_from(self.number()?).ok()?;
        core::str::from_utf8(self.take(len)?).ok()
    }

    /// The next object, if one stands right here.
    ///
    /// Only what is listed in the offsets is an object: bytes that look like one have not been translated.
    pub fn object(&mut self) -> Option<&'a Object> {
        let at = self.at as u64;
        let placed = self.payload.objects.iter().find(|placed| placed.offset == at)?;
        self.take(placed.object.wire_size())?;
        Some(&placed.object)
    }

    /// The next `len` bytes, and on to where the next value begins.
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let taken = self.payload.bytes.get(self.at..end)?;
        self.at = end.checked_next_multiple_of(ALIGNMENT)?;
        Some(taken)
    }
}
