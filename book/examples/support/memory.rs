//! Memory to be shared, of either kind: a memory file, or a System V segment.

use std::fs;
use std::sync::atomic::AtomicU8;

use fd_shm::{Mapping, Region};
use rustix::fs::fstat;
use rustix::param::page_size;
use sysv_shm::{Attachment, Key, OwnedSegment, Segment};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The memory, held by what stands for it.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // a program has two or three of them
pub(crate) enum Memory {
    /// A descriptor.
    File(Region),
    /// An id; the segment is removed with this value.
    Segment(OwnedSegment),
}

impl Memory {
    /// A new memory file.
    pub(crate) fn file(len: usize) -> Result<Self> {
        Ok(Self::File(Region::create("shown", len)?))
    }

    /// A new segment.
    pub(crate) fn segment(len: usize) -> Result<Self> {
        Ok(Self::Segment(Segment::create(Key::PRIVATE, len)?.remove_on_drop()))
    }

    /// Maps all of it: `mmap`, or `shmat`.
    pub(crate) fn map(&self) -> Result<Mapped> {
        Ok(match self {
            Self::File(region) => Mapped::File(region.map()?),
            Self::Segment(segment) => Mapped::Segment(segment.attach()?),
        })
    }

    /// The inode that /proc shows for its mappings.
    pub(crate) fn inode(&self) -> Result<u64> {
        Ok(match self {
            Self::File(region) => fstat(region)?.st_ino,
            Self::Segment(segment) => segment.id().to_string().parse()?,
        })
    }

    /// How many pages there are in memory for it, whoever has mapped them.
    pub(crate) fn pages(&self) -> Result<usize> {
        let bytes = match self {
            Self::File(region) => u64::try_from(fstat(region)?.st_blocks)? * 512,
            Self::Segment(segment) => {
                let (list, id) = (fs::read_to_string("/proc/sysvipc/shm")?, segment.id().to_string());
                let line = list.lines().find(|line| line.split_whitespace().nth(1) == Some(&id));
                line.and_then(|line| line.split_whitespace().nth(14)).ok_or("no such segment")?.parse()?
            }
        };
        Ok(usize::try_from(bytes)? / page_size())
    }
}

/// A mapping: its first byte, and every page by copies.
#[derive(Debug)]
pub(crate) enum Mapped {
    /// Of a file.
    File(Mapping<AtomicU8>),
    /// Of a segment.
    Segment(Attachment<AtomicU8>),
}

impl Mapped {
    /// Stores a byte somewhere in a page.
    pub(crate) fn store(&self, page: usize, value: u8) -> Result<()> {
        match self {
            Self::File(mapping) => mapping.copy_in(page * page_size(), &[value])?,
            Self::Segment(attachment) => attachment.copy_in(page * page_size(), &[value])?,
        }
        Ok(())
    }

    /// Loads it.
    pub(crate) fn load(&self, page: usize) -> Result<u8> {
        let mut byte = [0];
        match self {
            Self::File(mapping) => mapping.copy_out(page * page_size(), &mut byte)?,
            Self::Segment(attachment) => attachment.copy_out(page * page_size(), &mut byte)?,
        }
        Ok(byte[0])
    }

    /// Its first byte.
    pub(crate) fn first(&self) -> &AtomicU8 {
        match self {
            Self::File(mapping) => mapping,
            Self::Segment(attachment) => attachment,
        }
    }

    /// Where it begins.
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self.first()).addr()
    }
}
