//! The driver's state machine for one region: what every ioctl answers, and what it changes.
//!
//! ```text
//!  open -> NEW --SET_SIZE n > 0--> SIZED --first successful mmap--> BACKED
//!          no size                 may be set again                 name and size are frozen, pins count
//! ```
//!
//! Pure: no system call, no clock, no memory of its own. It says what may be mapped and which pages may be
//! taken; whoever holds the pages acts on it.

use nix::errno::Errno;

use super::prot::Prot;
use super::ranges::{Ranges, Unpinned};

/// The page of the machines on which the driver was watched. This machine's may be larger: a
/// [`Region`](super::Region) asks.
pub const PAGE: usize = 4096;

/// `ASHMEM_NAME_LEN`: the room for a name, with its zero byte.
const NAME_LEN: usize = 256;

/// `ASHMEM_NAME_DEF`: the name of a region without one.
const NO_NAME: &[u8] = b"dev/ashmem";

/// What `ASHMEM_PIN` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "if it was purged, what the memory held is gone"]
pub enum Pin {
    /// `ASHMEM_NOT_PURGED`: the memory is as it was left.
    NotPurged = 0,
    /// `ASHMEM_WAS_PURGED`: a range that was pinned had lost its memory, and reads as zeros.
    WasPurged = 1,
}

impl Pin {
    /// Whether memory was lost.
    #[must_use]
    pub const fn was_purged(self) -> bool {
        matches!(self, Self::WasPurged)
    }
}

impl From<bool> for Pin {
    fn from(purged: bool) -> Self {
        if purged { Self::WasPurged } else { Self::NotPurged }
    }
}

/// What `ASHMEM_GET_PIN_STATUS` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PinStatus {
    /// `ASHMEM_IS_UNPINNED`: at least one page may be taken, or has been.
    Unpinned = 0,
    /// `ASHMEM_IS_PINNED`: all of it stays.
    Pinned = 1,
}

/// From where `lseek` counts. (`SEEK_DATA` and `SEEK_HOLE` depend on which pages have memory, so they are the
/// backing file's to answer.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whence {
    /// `SEEK_SET`: the beginning.
    Set,
    /// `SEEK_CUR`: where the offset is.
    Current,
    /// `SEEK_END`: the size, not rounded.
    End,
}

/// One ashmem region as the driver keeps it.
///
/// A region belongs to one *open file* of `/dev/ashmem`: opening the device again gives another, empty one,
/// and a descriptor that was duplicated or handed over means the same one. So this is what all holders share.
/// Each method is a call of theirs, checks in the driver's order, and answers with the driver's errno.
///
/// Time is the caller's: `age` is any number that grows. Ages of several areas can be compared, which is how
/// one order of purging goes through all of them: [`oldest`](Self::oldest) of each, then
/// [`evict_one`](Self::evict_one) of the area with the lowest.
///
/// # Examples
///
/// A range that was purged is reported once, even if the page asked for kept its content:
///
/// ```
/// use fd_shm::ashmem::{Area, PAGE, Pin, Prot};
///
/// let mut area = Area::new();
/// area.set_size(16 * PAGE)?;
/// area.mmap(16 * PAGE, Prot::READ | Prot::WRITE)?;
///
/// let page = |number: u32| number * 4096;
/// area.unpin(page(0), page(1), 1)?;
/// assert_eq!(area.purge_all().len(), 1);
/// area.unpin(page(0), page(4), 2)?; // merged with the purged range, whose flag the whole inherits
/// assert_eq!(area.pin(page(3), page(1), 3)?, Pin::WasPurged);
/// assert_eq!(area.pin(page(3), page(1), 4)?, Pin::NotPurged);
/// # Ok::<(), fd_shm::ashmem::Errno>(())
/// ```
///
/// # Invariants
///
/// Ranges are unpinned only once the region is backed, and lie within its pages.
///
/// # References
///
/// `drivers/staging/android/ashmem.c`, `uapi/ashmem.h` (Linux 3.3 to 5.17).
#[derive(Debug, Clone)]
pub struct Area {
    /// As it was set, without the driver's prefix and without a zero byte.
    name: Vec<u8>,
    /// As it was set, not rounded.
    size: usize,
    /// What mappings may ask for.
    mask: Prot,
    /// The memory exists: somebody has mapped it.
    backed: bool,
    /// Where `read` goes on.
    position: u64,
    /// What is unpinned.
    ranges: Ranges,
}

impl Default for Area {
    fn default() -> Self {
        Self::new()
    }
}

impl Area {
    /// `open("/dev/ashmem")` - a region without name and size, from which everything may be asked.
    #[must_use]
    pub const fn new() -> Self {
        Self { name: Vec::new(), size: 0, mask: Prot::ALL, backed: false, position: 0, ranges: Ranges::new() }
    }

    /// `ASHMEM_SET_NAME` - up to the first zero byte, and no more than 255 bytes.
    ///
    /// # Errors
    ///
    /// EINVAL once the region is backed.
    pub fn set_name(&mut self, name: &[u8]) -> Result<(), Errno> {
        if self.backed {
            return Err(Errno::EINVAL);
        }
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        self.name = name[..end.min(NAME_LEN - 1)].to_vec();
        Ok(())
    }

    /// `ASHMEM_GET_NAME` - the name, or `dev/ashmem` when there is none.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        if self.name.is_empty() { NO_NAME } else { &self.name }
    }

    /// `ASHMEM_SET_SIZE` - any size, 0 as well, until the region is backed.
    ///
    /// # Errors
    ///
    /// EINVAL once the region is backed.
    pub fn set_size(&mut self, size: usize) -> Result<(), Errno> {
        if self.backed {
            return Err(Errno::EINVAL);
        }
        self.size = size;
        Ok(())
    }

    /// `ASHMEM_GET_SIZE` - the size as it was set.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// `ASHMEM_SET_PROT_MASK` - what later mappings may ask for; what is mapped already keeps its rights.
    ///
    /// # Errors
    ///
    /// EINVAL for anything that is not in the present mask: it only ever shrinks.
    pub fn set_prot_mask(&mut self, mask: Prot) -> Result<(), Errno> {
        if !self.mask.contains(mask) {
            return Err(Errno::EINVAL);
        }
        self.mask = mask;
        Ok(())
    }

    /// `ASHMEM_SET_PROT_MASK` by a process with the personality READ_IMPLIES_EXEC: PROT_READ brings PROT_EXEC
    /// with it, after the check, so that a mask can gain it back.
    ///
    /// # Errors
    ///
    /// Those of [`set_prot_mask`](Self::set_prot_mask).
    pub fn set_prot_mask_read_implies_exec(&mut self, mask: Prot) -> Result<(), Errno> {
        self.set_prot_mask(mask)?;
        if mask.contains(Prot::READ) {
            self.mask = mask | Prot::EXEC;
        }
        Ok(())
    }

    /// `ASHMEM_GET_PROT_MASK` - what later mappings may ask for.
    #[must_use]
    pub const fn prot_mask(&self) -> Prot {
        self.mask
    }

    /// `mmap(len, prot, MAP_SHARED or MAP_PRIVATE)` - whether it succeeds; the first that does backs the
    /// region. Answers what `mprotect` may ever give to the new mapping (EACCES for more).
    ///
    /// The offset is not an operand, because the driver does not look at it: a mapping that begins or ends
    /// behind the region is made, and touching it there is SIGBUS. A private mapping shows none of the
    /// region: it is anonymous zeros. It backs the region all the same.
    ///
    /// # Errors
    ///
    /// * EINVAL for a length of 0, a region without size, a length above the size rounded up to pages;
    /// * EPERM for a protection that is not in the mask;
    /// * ENOMEM for a length that cannot be rounded up.
    pub fn mmap(&mut self, len: usize, prot: Prot) -> Result<Prot, Errno> {
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        let pages = len.checked_next_multiple_of(PAGE).ok_or(Errno::ENOMEM)?;
        if self.size == 0 || pages > self.rounded() {
            return Err(Errno::EINVAL);
        }
        if !self.mask.contains(prot & Prot::ALL) {
            return Err(Errno::EPERM);
        }
        self.backed = true;
        Ok(self.mask)
    }

    /// `read(len)` - from which bytes of the memory it reads, and how many; the offset that all holders share
    /// moves on.
    ///
    /// # Errors
    ///
    /// EBADF for a region that has a size and is not backed; without a size there is nothing to read.
    pub fn read(&mut self, len: usize) -> Result<std::ops::Range<u64>, Errno> {
        if self.size == 0 {
            return Ok(0..0);
        }
        if !self.backed {
            return Err(Errno::EBADF);
        }
        let from = self.position;
        let left = (self.size as u64).saturating_sub(from);
        self.position += left.min(len as u64);
        Ok(from..self.position)
    }

    /// `write`, `pwrite`, `ftruncate` - what a region never does.
    ///
    /// # Errors
    ///
    /// EINVAL, always.
    pub const fn write(&self) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// `lseek(offset, whence)` - moves the offset that all holders share.
    ///
    /// # Errors
    ///
    /// EINVAL for a region without size, or an offset below 0; EBADF for one that is not backed.
    pub fn lseek(&mut self, offset: i64, whence: Whence) -> Result<u64, Errno> {
        if self.size == 0 {
            return Err(Errno::EINVAL);
        }
        if !self.backed {
            return Err(Errno::EBADF);
        }
        let from = match whence {
            Whence::Set => 0,
            Whence::Current => self.position,
            Whence::End => self.size as u64,
        };
        let to = from.checked_add_signed(offset).filter(|to| i64::try_from(*to).is_ok());
        self.position = to.ok_or(Errno::EINVAL)?;
        Ok(self.position)
    }

    /// `ASHMEM_PIN` - the pages stay from now on; says whether a range that it met had been purged.
    ///
    /// The flag is the range's, not the page's: a page that kept its content can report a purge, and what is
    /// left of the range keeps the flag. Pins are not counted.
    ///
    /// # Errors
    ///
    /// EINVAL for a region that is not backed, an offset or length that is no multiple of a page, and a range
    /// that ends behind the region or beyond 32 bits. A length of 0 means "to the end".
    pub fn pin(&mut self, offset: u32, len: u32, age: u64) -> Result<Pin, Errno> {
        let (first, end) = self.interval(offset, len)?;
        Ok(self.ranges.pin(first, end, age).0.into())
    }

    /// `ASHMEM_UNPIN` - the pages may be taken from now on.
    ///
    /// Ranges that it overlaps are merged with it, and the whole counts as unpinned now. What it only touches
    /// stays apart. If it lies in one range, nothing changes, the age neither. If one that is merged had been
    /// purged, the whole is marked, and *none of it* is purged again before it has been pinned.
    ///
    /// One oddity of the driver's is kept: at the end of the region, "to the end" is an empty range, which is
    /// unpinned like others. The driver keeps one for each such call; here they are one, which nobody can
    /// tell.
    ///
    /// A length has 32 bits. So in a region of more than 4 GiB "to the end" can be empty elsewhere, and from 0
    /// in one of just 4 GiB it is nothing here. (No driver was asked about a region so large.)
    ///
    /// # Errors
    ///
    /// Those of [`pin`](Self::pin).
    pub fn unpin(&mut self, offset: u32, len: u32, age: u64) -> Result<(), Errno> {
        let (first, end) = self.interval(offset, len)?;
        self.ranges.unpin(first, end, age);
        Ok(())
    }

    /// `ASHMEM_GET_PIN_STATUS` - whether all of the pages stay, or any may be taken.
    ///
    /// # Errors
    ///
    /// Those of [`pin`](Self::pin).
    pub fn pin_status(&self, offset: u32, len: u32) -> Result<PinStatus, Errno> {
        let (first, end) = self.interval(offset, len)?;
        Ok(if self.ranges.is_unpinned(first, end) { PinStatus::Unpinned } else { PinStatus::Pinned })
    }

    /// The range that is purged next: of those that still have their memory, the one unpinned first.
    #[must_use]
    pub fn oldest(&self) -> Option<Unpinned> {
        self.ranges.oldest()
    }

    /// One step of the driver's shrinker - marks [`oldest`](Self::oldest) as purged; the caller takes its
    /// memory.
    ///
    /// The real driver cannot be asked for so little: its shrinker takes 128 ranges
    /// at least, and a purge takes all.
    pub fn evict_one(&mut self) -> Option<Unpinned> {
        let oldest = self.ranges.oldest()?;
        self.ranges.mark(oldest.first, true)
    }

    /// This region's part of `ASHMEM_PURGE_ALL_CACHES` - marks every range that still has its memory as
    /// purged, oldest first; the caller takes the memory of each.
    ///
    /// The ioctl goes through all regions, answers how many pages those had, and is for CAP_SYS_ADMIN (EPERM
    /// for others): a matter of callers, of which a region knows nothing.
    pub fn purge_all(&mut self) -> Vec<Unpinned> {
        let ranges = self.ranges.by_age();
        ranges.iter().filter_map(|range| self.ranges.mark(range.first, true)).collect()
    }

    /// What is unpinned, by page. The driver shows this to nobody.
    #[must_use]
    pub fn unpinned(&self) -> impl DoubleEndedIterator<Item = &Unpinned> {
        self.ranges.iter()
    }

    /// The size rounded up to pages. A size that cannot be rounded wraps to 0, as the driver's does.
    fn rounded(&self) -> usize {
        self.size.checked_next_multiple_of(PAGE).unwrap_or(0)
    }

    /// The pages of a pin operation.
    fn interval(&self, offset: u32, len: u32) -> Result<(u32, u32), Errno> {
        if !self.backed {
            return Err(Errno::EINVAL);
        }
        interval(offset, len, self.rounded(), PAGE)
    }
}

/// Checks the operands of a pin operation on a region of `rounded` bytes: its pages, first and end.
///
/// # Errors
///
/// EINVAL, as for [`Area::pin`].
pub(super) fn interval(offset: u32, len: u32, rounded: usize, page: usize) -> Result<(u32, u32), Errno> {
    // The driver has 32 bits for a length, so "to the end" of a larger region is cut to what is left of them.
    #[allow(clippy::cast_possible_truncation)]
    let to_the_end = (rounded as u32).wrapping_sub(offset);
    let len = if len == 0 { to_the_end } else { len };
    let end = offset.checked_add(len).ok_or(Errno::EINVAL)?;
    let page = u32::try_from(page).map_err(|_| Errno::EINVAL)?;
    let misaligned = !offset.is_multiple_of(page) || !len.is_multiple_of(page);
    if misaligned || end as usize > rounded {
        return Err(Errno::EINVAL);
    }
    Ok((offset / page, end / page))
}
