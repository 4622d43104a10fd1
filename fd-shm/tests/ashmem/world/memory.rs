//! The memory of the simulated world: the pages behind a region, and mappings of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use fd_shm::ashmem::{Errno, PAGE, Prot, Unpinned};

use crate::answer;
use crate::script::Whence;

pub(super) const PAGE_BYTES: u64 = PAGE as u64;

/// The memory behind a region: the file that the driver makes, which mappings keep even when the region is
/// gone.
#[derive(Default, Clone)]
pub(super) struct Pages {
    /// Pages that have memory, with their bytes that are not 0.
    present: BTreeMap<u64, BTreeMap<u64, u8>>,
}

/// A mapping.
#[derive(Clone)]
pub(super) struct Mapping {
    pub(super) memory: Memory,
    /// Rounded up to pages.
    pub(super) len: u64,
    /// Where in the file it begins.
    pub(super) at: u64,
    pub(super) prot: Prot,
    /// What `mprotect` may give it.
    pub(super) may: Prot,
    /// The region's name when it was backed.
    pub(super) name: Vec<u8>,
}

#[derive(Clone)]
pub(super) enum Memory {
    /// The region's own pages, and its size.
    Shared(Rc<RefCell<Pages>>, u64),
    /// Zeros of its own, which only carry the region's name.
    Private(Pages),
}

impl Pages {
    /// Touches a byte, which gives its page memory.
    pub(super) fn byte(&mut self, at: u64) -> &mut u8 {
        self.present.entry(at / PAGE_BYTES).or_default().entry(at).or_default()
    }

    pub(super) fn take(&mut self, range: Unpinned) {
        for page in range.first..range.end {
            self.present.remove(&page.into());
        }
    }

    /// Bytes that are not 0 in a part of the file.
    pub(super) fn set_in(&self, part: std::ops::Range<u64>) -> Vec<(u64, u8)> {
        let bytes = self.present.values().flatten().map(|(at, value)| (*at, *value));
        bytes.filter(|(at, value)| part.contains(at) && *value != 0).collect()
    }

    /// `SEEK_DATA` and `SEEK_HOLE` of a file of this size.
    pub(super) fn seek(&self, whence: Whence, offset: i64, size: u64) -> Result<u64, Errno> {
        let offset = u64::try_from(offset).ok().filter(|offset| *offset < size).ok_or(Errno::ENXIO)?;
        let wanted = |page: &u64| self.present.contains_key(page) == (whence == Whence::Data);
        let pages = offset / PAGE_BYTES..size.div_ceil(PAGE_BYTES);
        match pages.into_iter().find(wanted).map(|page| (page * PAGE_BYTES).max(offset)) {
            Some(found) => Ok(found),
            None if whence == Whence::Hole => Ok(size),
            None => Err(Errno::ENXIO),
        }
    }
}

impl Mapping {
    /// Whether the byte can be touched: the signal if it cannot.
    pub(super) fn check(&self, at: u64, allowed: bool) -> Result<(), &'static str> {
        if !allowed {
            return Err(answer::SIGSEGV);
        }
        match self.memory {
            // The driver checks the length of a mapping, and not where in the file it lies.
            Memory::Shared(_, size) if self.at + at >= size.next_multiple_of(PAGE_BYTES) => {
                Err(answer::SIGBUS)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn byte<T>(&mut self, at: u64, touch: impl FnOnce(&mut u8) -> T) -> T {
        match &mut self.memory {
            Memory::Shared(pages, _) => touch(pages.borrow_mut().byte(self.at + at)),
            Memory::Private(pages) => touch(pages.byte(at)),
        }
    }
}
