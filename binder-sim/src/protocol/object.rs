//! The objects inside a payload: what the driver rewrites on the way.

use super::ObjectFlags;
use alloc::vec::Vec;
use core::fmt;

/// An object in a payload: something that means one thing to the sender and must mean the same to the receiver.
///
/// What stands in the bytes *under* an object is its wire form, and means nothing here. The same is true of the
/// bytes of a buffer under the descriptors of an array in it: [`FdArray::fds`](Object::FdArray) says what they
/// are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
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
    },
    /// `BINDER_TYPE_FDA`: descriptors that stand one after the other in a buffer, their parent.
    FdArray {
        /// The word behind the type: passes through untouched.
        pad: u32,
        /// How many there are said to be.
        num_fds: u64,
        /// Which entry of the offsets array is the buffer.
        parent: u64,
        /// Where in the buffer the first number stands.
        parent_offset: u64,
        /// The numbers that stand there, as far as they can be read; no more than `num_fds`.
        fds: Vec<u32>,
    },
    /// `BINDER_TYPE_PTR`: bytes elsewhere in the sender's memory, which are to follow the payload.
    Ptr {
        /// Flags; see [`Object::HAS_PARENT`].
        flags: u32,
        /// Where the bytes are in the memory of the process that names them.
        buffer: u64,
        /// How many there are said to be.
        length: u64,
        /// With [`HAS_PARENT`](Object::HAS_PARENT): which entry of the offsets array is the buffer that points here.
        parent: u64,
        /// Where in that buffer the pointer stands.
        parent_offset: u64,
        /// The bytes, as far as they can be read; no more than `length`.
        data: Vec<u8>,
    },
    /// A type word that is none of the driver's, or none at all because the data ends before it.
    Unknown {
        /// The word.
        kind: u32,
    },
}

impl Object {
    /// `BINDER_BUFFER_FLAG_HAS_PARENT`: a pointer to the buffer stands in another buffer, and is to be rewritten.
    pub const HAS_PARENT: u32 = 1;

    /// The bytes that a binder, a handle or a descriptor takes in a payload; the other two take more.
    pub const SIZE: usize = 24;

    /// The bytes that the largest object takes.
    pub const SIZE_MAX: usize = 40;

    /// An fd object for the number `fd`.
    pub fn fd(fd: u32) -> Object {
        Object::Fd { fd, cookie: 0, pad_flags: 0 }
    }

    /// A strong reference to the caller's own node `ptr`, which accepts descriptors or not.
    pub fn binder(ptr: u64, flags: ObjectFlags) -> Object {
        Object::Binder { ptr, cookie: ptr, flags, strong: true }
    }

    /// A strong reference to somebody else's node, by the caller's handle.
    pub fn handle(handle: u32) -> Object {
        Object::Handle { handle, flags: ObjectFlags::NONE, strong: true }
    }

    /// A buffer of the caller's at `buffer` that holds `data`.
    pub fn ptr(buffer: u64, data: &[u8]) -> Object {
        let (length, data) = (data.len() as u64, data.to_vec());
        Object::Ptr { flags: 0, buffer, length, parent: 0, parent_offset: 0, data }
    }

    /// The numbers `fds` at the start of the buffer that is the `parent`-th object.
    pub fn fd_array(parent: u64, fds: &[u32]) -> Object {
        Object::FdArray { pad: 0, num_fds: fds.len() as u64, parent, parent_offset: 0, fds: fds.to_vec() }
    }

    /// The bytes that it takes in a payload; those of a type word alone for one that is unknown.
    pub fn wire_size(&self) -> usize {
        match self {
            Object::Binder { .. } | Object::Handle { .. } | Object::Fd { .. } => Object::SIZE,
            Object::FdArray { .. } => 32,
            Object::Ptr { .. } => Object::SIZE_MAX,
            Object::Unknown { .. } => 4,
        }
    }

    /// The descriptor numbers in it, in order.
    pub fn descriptors(&self) -> &[u32] {
        match self {
            Object::Fd { fd, .. } => core::slice::from_ref(fd),
            Object::FdArray { fds, .. } => fds,
            _ => &[],
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weak = |strong: bool| if strong { "" } else { "WEAK_" };
        match self {
            Object::Binder { ptr, strong, .. } => write!(f, "{}BINDER {ptr:#x}", weak(*strong)),
            Object::Handle { handle, strong, .. } => write!(f, "{}HANDLE {handle}", weak(*strong)),
            Object::Fd { fd, .. } => write!(f, "FD {fd}"),
            Object::FdArray { parent, fds, .. } => {
                write!(f, "FDA of object {parent}:")?;
                fds.iter().try_for_each(|fd| write!(f, " {fd}"))
            }
            Object::Ptr { flags, length, parent, .. } => {
                write!(f, "PTR {length} bytes")?;
                if flags & Object::HAS_PARENT == 0 { Ok(()) } else { write!(f, " of object {parent}") }
            }
            Object::Unknown { kind } => write!(f, "type {kind:#x}"),
        }
    }
}

/// An object and where it stands in the payload's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Bytes from the start of the data; one entry of the offsets array. Any number can stand there.
    pub offset: u64,
    /// What stands there.
    pub object: Object,
}
