//! The objects inside a payload: what the driver rewrites on the way.

use super::ObjectFlags;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// The bytes that a flat object or an fd object takes in a payload.
pub const OBJECT_SIZE: usize = 24;

/// An object in a payload: something that means one thing to the sender and must mean the same to the receiver.
///
/// `L` stands beside the number of a [`Fd`](Object::Fd): see the [module](super).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object<L = ()> {
    /// `BINDER_TYPE_BINDER`, `BINDER_TYPE_WEAK_BINDER`: a node of the process that names it.
    Binder {
        /// The owner's name for the node.
        ptr: u64,
        /// The owner's second word, handed back with each call.
        cookie: u64,
        /// Flags; those of the first object of a node are the node's for life.
        flags: ObjectFlags,
        /// Whether the reference is strong.
        strong: bool,
    },
    /// `BINDER_TYPE_HANDLE`, `BINDER_TYPE_WEAK_HANDLE`: a node of somebody else, by the number it has here.
    Handle {
        /// The number in the table of the process that names it.
        handle: u32,
        /// Flags, passed through.
        flags: ObjectFlags,
        /// Whether the reference is strong.
        strong: bool,
    },
    /// `BINDER_TYPE_FD`: a descriptor, by the number it has here.
    Fd {
        /// The number in the table of the process that names it.
        fd: u32,
        /// Passes through untouched, unlike an object's.
        cookie: u64,
        /// `pad_flags`: passes through untouched.
        pad_flags: u32,
        /// What stands beside the number.
        file: L,
    },
    /// A type word that is none of the driver's.
    Unknown {
        /// The word.
        kind: u32,
    },
}

impl Object {
    /// An fd object for the number `fd`.
    pub fn fd(fd: u32) -> Object {
        Object::Fd { fd, cookie: 0, pad_flags: 0, file: () }
    }

    /// A strong reference to the caller's own node `ptr`, which accepts descriptors or not.
    pub fn binder(ptr: u64, flags: ObjectFlags) -> Object {
        Object::Binder { ptr, cookie: ptr, flags, strong: true }
    }

    /// A strong reference to somebody else's node, by the caller's handle.
    pub fn handle(handle: u32) -> Object {
        Object::Handle { handle, flags: ObjectFlags::NONE, strong: true }
    }
}

impl<L> Object<L> {
    /// The same object with `find(number, what stood beside it)` beside each descriptor number.
    pub fn map<M>(self, find: &mut impl FnMut(u32, L) -> M) -> Object<M> {
        match self {
            Object::Binder { ptr, cookie, flags, strong } => Object::Binder { ptr, cookie, flags, strong },
            Object::Handle { handle, flags, strong } => Object::Handle { handle, flags, strong },
            Object::Fd { fd, cookie, pad_flags, file } => {
                Object::Fd { fd, cookie, pad_flags, file: find(fd, file) }
            }
            Object::Unknown { kind } => Object::Unknown { kind },
        }
    }
}

impl<L> fmt::Display for Object<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weak = |strong: bool| if strong { "" } else { "WEAK_" };
        match self {
            Object::Binder { ptr, strong, .. } => write!(f, "{}BINDER {ptr:#x}", weak(*strong)),
            Object::Handle { handle, strong, .. } => write!(f, "{}HANDLE {handle}", weak(*strong)),
            Object::Fd { fd, .. } => write!(f, "FD {fd}"),
            Object::Unknown { kind } => write!(f, "type {kind:#x}"),
        }
    }
}

/// An object and where it stands in the payload's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed<L = ()> {
    /// Bytes from the start of the data; one entry of the offsets array.
    pub offset: usize,
    /// What stands there.
    pub object: Object<L>,
}

/// The data of a transaction: bytes, and the objects among them in the order of the offsets array.
///
/// The bytes *under* an object are those of its wire form and mean nothing here. An object is only an object
/// when it is listed: bytes that merely look like one are copied as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payload<L = ()> {
    /// All data, objects' places included.
    pub bytes: Vec<u8>,
    /// The objects. The driver checks the offsets; nothing is assumed of them.
    pub objects: Vec<Placed<L>>,
}

impl Payload {
    /// Nothing at all: no data, no objects.
    pub fn new() -> Payload {
        Payload { bytes: Vec::new(), objects: Vec::new() }
    }

    /// Plain bytes.
    pub fn bytes(bytes: &[u8]) -> Payload {
        Payload { bytes: bytes.to_vec(), objects: Vec::new() }
    }

    /// `objects` one after the other, from the start.
    pub fn objects(objects: impl IntoIterator<Item = Object>) -> Payload {
        let place = |(n, object)| Placed { offset: n * OBJECT_SIZE, object };
        let objects: Vec<Placed> = objects.into_iter().enumerate().map(place).collect();
        Payload { bytes: vec![0; objects.len() * OBJECT_SIZE], objects }
    }
}

impl<L> Payload<L> {
    /// The same payload with `find(number, what stood beside it)` beside each descriptor number.
    pub fn map<M>(self, find: &mut impl FnMut(u32, L) -> M) -> Payload<M> {
        let place = |p: Placed<L>| Placed { offset: p.offset, object: p.object.map(find) };
        Payload { bytes: self.bytes, objects: self.objects.into_iter().map(place).collect() }
    }

    /// The size of the offsets array, in bytes.
    pub fn offsets_size(&self) -> usize {
        self.objects.len() * size_of::<u64>()
    }
}

impl<L> fmt::Display for Payload<L> {
    /// `8 bytes` or `24 bytes [FD 5]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.len())?;
        for (n, placed) in self.objects.iter().enumerate() {
            write!(f, "{}{}", if n == 0 { " [" } else { ", " }, placed.object)?;
        }
        if self.objects.is_empty() { Ok(()) } else { f.write_str("]") }
    }
}
