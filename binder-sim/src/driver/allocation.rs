//! The buffers of received transactions, in the mapping of the process that receives.

use super::node::NodeId;
use super::range_alloc::RangeAlloc;
use super::transaction::TransactionId;
use crate::errno::Errno;
use crate::protocol::Payload;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The most of a mapping that is used, however large it is.
const MAPPING_MAX: usize = 4 << 20;

/// A reference that a buffer holds for one of the objects in it, until it is freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldObject {
    /// On a handle of the receiver.
    Handle {
        /// The handle.
        handle: u32,
        /// Whether it counts as strong.
        strong: bool,
    },
    /// On a node that came home to its owner.
    Node {
        /// The node.
        node: NodeId,
        /// Whether it counts as strong.
        strong: bool,
    },
}

/// The buffer of one transaction, from `binder_alloc_new_buf` to `binder_free_buf`.
#[derive(Debug)]
pub(crate) struct Buffer {
    /// The bytes taken.
    size: usize,
    /// Whether they count against the one-way half.
    pub(crate) is_async: bool,
    /// The called node, of which the buffer holds a strong count; none for a reply.
    pub(crate) target_node: Option<NodeId>,
    /// The transaction that the buffer belongs to, as long as there is one.
    pub(crate) transaction: Option<TransactionId>,
    /// The references it holds for its objects.
    pub(crate) objects: Vec<HeldObject>,
    /// Whether the receiver has been told of it, and so may free it.
    pub(crate) allow_user_free: bool,
}

/// The mapping of one process.
///
/// # Invariants
/// Each buffer is one taken range, at `base` plus its offset; `async_free` is half of the mapping less the
/// sizes of the one-way buffers.
#[derive(Debug)]
pub(crate) struct Allocation {
    /// Where the process mapped the device.
    base: u64,
    /// Which parts are taken.
    ranges: RangeAlloc,
    /// What one-way calls may still take.
    async_free: usize,
    /// Half of the mapping: what they may take at all.
    async_size: usize,
    /// The buffers, by offset.
    buffers: BTreeMap<usize, Buffer>,
}

/// `len` rounded up to 8, if that can be said.
fn align8(len: usize) -> Option<usize> {
    len.checked_next_multiple_of(8)
}

impl Allocation {
    /// A mapping of `size` bytes at `base`.
    pub(crate) fn new(base: u64, size: usize) -> Allocation {
        let size = size.min(MAPPING_MAX);
        Allocation {
            base,
            ranges: RangeAlloc::new(size),
            async_free: size / 2,
            async_size: size / 2,
            buffers: BTreeMap::new(),
        }
    }

    /// `binder_alloc_new_buf`: room for `payload`; says at which address.
    ///
    /// # Errors
    /// `ENOSPC`: no free piece is large enough, or one-way calls have taken their half.
    pub(crate) fn new_buf(&mut self, payload: &Payload, is_async: bool) -> Result<u64, Errno> {
        let part = |size: u64| usize::try_from(size).ok().and_then(align8).ok_or(Errno::EINVAL);
        let (data, offsets) = (part(payload.data_size)?, part(payload.offsets_size)?);
        let size = data.checked_add(offsets).ok_or(Errno::EINVAL)?.max(8);
        if is_async && size > self.async_free {
            return Err(Errno::ENOSPC);
        }
        let offset = self.ranges.alloc(size).ok_or(Errno::ENOSPC)?;
        if is_async {
            // INVARIANT: given back in `free_buf`.
            self.async_free -= size;
        }
        let (objects, target_node, transaction) = (Vec::new(), None, None);
        let buffer = Buffer { size, is_async, target_node, transaction, objects, allow_user_free: false };
        self.buffers.insert(offset, buffer);
        Ok(self.base + offset as u64)
    }

    /// The buffer at `address`.
    pub(crate) fn buffer_mut(&mut self, address: u64) -> Option<&mut Buffer> {
        let offset = usize::try_from(address.checked_sub(self.base)?).ok()?;
        self.buffers.get_mut(&offset)
    }

    /// `binder_alloc_free_buf`: takes the buffer at `address` away and gives its room back.
    pub(crate) fn free_buf(&mut self, address: u64) -> Option<Buffer> {
        let offset = usize::try_from(address.checked_sub(self.base)?).ok()?;
        let buffer = self.buffers.remove(&offset)?;
        self.ranges.free(offset);
        if buffer.is_async {
            // INVARIANT: pairs with `new_buf`.
            self.async_free += buffer.size;
        }
        Some(buffer)
    }

    /// The buffers that are out.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = &Buffer> {
        self.buffers.values()
    }

    /// The bytes that nobody has.
    pub(crate) fn free_bytes(&self) -> usize {
        self.ranges.free_bytes()
    }

    /// Whether the invariants hold; if not, which does not.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        self.ranges.check()?;
        let one_way: usize = self.buffers.values().filter(|b| b.is_async).map(|b| b.size).sum();
        if one_way + self.async_free != self.async_size {
            return Err("the one-way half does not add up");
        }
        Ok(())
    }
}
