//! The buffers of received transactions, in the mapping of the process that receives (`binder_alloc.c`).

use super::node::NodeId;
use super::profile::SpamCount;
use super::range_alloc::{BlockId, RangeAlloc};
use super::transaction::TransactionId;
use crate::errno::Errno;
use alloc::vec::Vec;

/// The most of a mapping that is used, however large it is.
const MAPPING_MAX: usize = 4 << 20;

/// How many one-way buffers of one sender are not yet suspicious.
const SPAM_BUFFERS: usize = 50;

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

/// The sizes of a buffer's parts, as the sender says them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// The data.
    pub(crate) data: u64,
    /// The offsets array.
    pub(crate) offsets: u64,
    /// The buffers behind it, and the security context.
    pub(crate) extra: u64,
}

/// The buffer of one transaction, from `binder_alloc_new_buf` to `binder_free_buf`.
#[derive(Debug)]
pub(crate) struct Buffer {
    /// Whether it counts against the one-way half.
    pub(crate) is_async: bool,
    /// Who sent it, for the count of what one sender has in the one-way half.
    pub(crate) pid: u32,
    /// The called node, of which the buffer holds a strong count; none for a reply.
    pub(crate) target_node: Option<NodeId>,
    /// The transaction that the buffer belongs to, as long as there is one.
    pub(crate) transaction: Option<TransactionId>,
    /// The references it holds for its objects.
    pub(crate) objects: Vec<HeldObject>,
    /// The numbers of descriptors that came in arrays: closed when the buffer is freed.
    pub(crate) arrays: Vec<u32>,
    /// Whether the receiver has been told of it, and so may free it.
    pub(crate) allow_user_free: bool,
    /// Its transaction went unread with the thread that was to read it. The kernel does not free such a buffer
    /// before its process ends.
    pub(crate) is_lost: bool,
}

/// A buffer that was just taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewBuffer {
    /// The buffer.
    pub(crate) id: BlockId,
    /// Where it stands in the mapping.
    pub(crate) address: u64,
    /// Whether its sender seems to fill the one-way half on purpose.
    pub(crate) is_spam: bool,
}

/// The mapping of one process.
///
/// # Invariants
/// Each buffer is one taken block; `async_free` is half of the mapping less the sizes of the one-way buffers.
#[derive(Debug)]
pub(crate) struct Allocation {
    /// Where the process mapped the device.
    base: u64,
    /// Which parts are taken, and by which buffers.
    ranges: RangeAlloc<Buffer>,
    /// The bytes that are used.
    size: usize,
    /// What one-way calls may still take.
    async_free: usize,
    /// A sender has been suspected since the one-way half was last in order.
    spam_detected: bool,
    /// Whether the mapping is still there: without it nothing new is received.
    is_mapped: bool,
}

/// `len` rounded up to 8, as the kernel's `ALIGN` does it: what does not fit becomes 0.
pub(crate) fn align8(len: u64) -> u64 {
    len.wrapping_add(7) & !7
}

impl Sizes {
    /// All parts, each rounded up to 8; `EINVAL` if that cannot be said.
    fn total(self) -> Result<u64, Errno> {
        let Sizes { data, offsets, extra } = self;
        let first = align8(data).wrapping_add(align8(offsets));
        let total = first.wrapping_add(align8(extra));
        if first < data || first < offsets || total < first || total < extra {
            return Err(Errno::EINVAL);
        }
        // An empty buffer has an address of its own, too.
        Ok(total.max(8))
    }
}

impl Allocation {
    /// A mapping of `size` bytes at `base`.
    pub(crate) fn new(base: u64, size: usize) -> Allocation {
        let size = size.min(MAPPING_MAX);
        Allocation {
            base,
            ranges: RangeAlloc::new(u32::try_from(size).unwrap_or(0)),
            size,
            async_free: size / 2,
            spam_detected: false,
            is_mapped: true,
        }
    }

    /// `binder_alloc_vma_close`: the process unmapped it. What was received stays until it is freed.
    pub(crate) fn unmap(&mut self) {
        self.is_mapped = false;
    }

    /// Whether something new can be received.
    pub(crate) fn is_mapped(&self) -> bool {
        self.is_mapped
    }

    /// `binder_alloc_new_buf`: room for a transaction of the process `pid`.
    ///
    /// # Errors
    /// `ESRCH`: unmapped. `EINVAL`: the sizes cannot be added up. `ENOSPC`: no free piece is large enough, or
    /// one-way calls have taken their half.
    pub(crate) fn new_buf(
        &mut self,
        sizes: Sizes,
        is_async: bool,
        pid: u32,
        spam: Option<SpamCount>,
    ) -> Result<NewBuffer, Errno> {
        if !self.is_mapped {
            return Err(Errno::ESRCH);
        }
        let size = usize::try_from(sizes.total()?).unwrap_or(usize::MAX);
        if is_async && size > self.async_free {
            return Err(Errno::ENOSPC);
        }
        let room = u32::try_from(size).map_err(|_| Errno::ENOSPC)?;
        let buffer = Buffer {
            is_async,
            pid,
            target_node: None,
            transaction: None,
            objects: Vec::new(),
            arrays: Vec::new(),
            allow_user_free: false,
            is_lost: false,
        };
        let id = self.ranges.alloc(room, buffer).ok_or(Errno::ENOSPC)?;
        let before = self.ranges.mark(id, pid);
        let mut is_spam = false;
        if is_async {
            // INVARIANT: given back in `free_buf`.
            self.async_free -= size;
            // The newest is counted, or what the block's last user left: there the sender is noted afterwards.
            is_spam = spam.is_some_and(|count| {
                let counts = count == SpamCount::WithNewest || before == pid;
                self.is_spam(pid, if counts { 0 } else { size })
            });
        }
        Ok(NewBuffer { id, address: self.base + u64::from(self.ranges.place(id).0), is_spam })
    }

    /// `debug_low_async_space_locked`: the one-way half is nearly full, and much of it is of `pid`; said once.
    /// The newest buffer does not count if `without` says its size.
    fn is_spam(&mut self, pid: u32, without: usize) -> bool {
        if self.async_free >= self.size / 10 {
            self.spam_detected = false;
            return false;
        }
        let all = self.ranges.iter().filter(|(_, buffer)| buffer.is_async && buffer.pid == pid);
        let (buffers, bytes) =
            all.fold((0, 0), |(buffers, bytes), (size, _)| (buffers + 1, bytes + size as usize));
        let buffers = buffers - usize::from(without > 0);
        let suspect = buffers > SPAM_BUFFERS || bytes - without > self.size / 4;
        suspect && !core::mem::replace(&mut self.spam_detected, true)
    }

    /// The buffer at `address`.
    pub(crate) fn find(&self, address: u64) -> Option<BlockId> {
        self.ranges.find(u32::try_from(address.checked_sub(self.base)?).ok()?)
    }

    /// A buffer that is out.
    pub(crate) fn buffer_mut(&mut self, id: BlockId) -> Option<&mut Buffer> {
        self.ranges.get_mut(id)
    }

    /// Where a buffer stands.
    pub(crate) fn address(&self, id: BlockId) -> u64 {
        self.base + u64::from(self.ranges.place(id).0)
    }

    /// `binder_alloc_free_buf`: takes a buffer away and gives its room back.
    pub(crate) fn free_buf(&mut self, id: BlockId) -> Option<Buffer> {
        let size = self.ranges.place(id).1 as usize;
        let buffer = self.ranges.free(id)?;
        if buffer.is_async {
            // INVARIANT: pairs with `new_buf`.
            self.async_free += size;
        }
        Some(buffer)
    }

    /// The buffers that are out.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = &Buffer> {
        self.ranges.iter().map(|(_, buffer)| buffer)
    }

    /// The bytes that nobody has.
    pub(crate) fn free_bytes(&self) -> usize {
        self.ranges.free_bytes() as usize
    }

    /// Whether the invariants hold; if not, which does not.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        self.ranges.check()?;
        let one_way: usize =
            self.ranges.iter().filter(|(_, b)| b.is_async).map(|(size, _)| size as usize).sum();
        if one_way + self.async_free != self.size / 2 {
            return Err("the one-way half does not add up");
        }
        Ok(())
    }
}
