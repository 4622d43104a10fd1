//! What the driver's shrinker does for all regions of a system, for those that one process has been given.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use super::memory_file::MemoryFile;
use super::pressure;
use super::ranges::Unpinned;
use super::region::{Pinning, Region};
use crate::error::{Error, Kind, Result};
use crate::fixed::stat;

/// Purges many regions, the range that was unpinned first before all others, whichever region it is in.
///
/// The driver has one list of all unpinned ranges, and the kernel calls it when memory is short. Here
/// somebody has to hold a descriptor of each region and do it: a service that hands caches out, or each
/// process for its own. Ages are the system's clock, so regions of different processes have one order.
///
/// # Examples
///
/// ```
/// use fd_shm::Region;
/// use fd_shm::ashmem::{Pinning, Shrinker};
///
/// let [old, new] = ["old", "new"].map(|name| Region::create_with(name, 8 << 12, Pinning::Kept));
/// let (old, new) = (old?, new?);
/// old.map::<()>()?.copy_in(0, &[7; 8 << 12])?;
/// old.unpin(0, 0)?;
/// new.unpin(0, 0)?;
///
/// let mut shrinker = Shrinker::new();
/// shrinker.add(&new)?;
/// shrinker.add(&old)?;
/// assert_eq!(shrinker.purgeable_pages(), 16);
///
/// let freed = shrinker.shrink(1);
/// assert_eq!((freed.pages(), freed.bytes()), (8, 8 << 12)); // a range goes as a whole
/// assert!(old.pin(0, 0)?.was_purged() && !new.pin(0, 0)?.was_purged());
/// # Ok::<(), fd_shm::Error>(())
/// ```
///
/// # References
///
/// `drivers/staging/android/ashmem.c` (`ashmem_shrink_scan`).
#[derive(Debug, Default)]
pub struct Shrinker {
    /// Handles of our own.
    regions: Vec<Region>,
}

/// What a shrinker has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Freed {
    /// Each range that it purged, in that order.
    pub purged: Vec<Purged>,
    /// The regions that it could not purge, by number, and why. The others were purged all the same.
    pub refused: Vec<(usize, Error)>,
}

/// One range that was purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Purged {
    /// The number of its region: the first that was added is 0.
    pub region: usize,
    /// The range.
    pub range: Unpinned,
    /// By how much the memory of the region's file fell: a page that was never touched had none.
    pub bytes: u64,
}

impl Freed {
    /// How many pages were purged, touched or not: what the driver counts.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.purged.iter().map(|purged| purged.range.pages() as usize).sum()
    }

    /// How much memory went back to the system.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.purged.iter().map(|purged| purged.bytes).sum()
    }
}

impl Shrinker {
    /// For no region yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { regions: Vec::new() }
    }

    /// Takes a region into its care: a descriptor of its own for it, and the number that says which it was.
    ///
    /// # Errors
    ///
    /// * [`is_invalid_input`](Error::is_invalid_input) for a region that does not keep pins in its file:
    ///   nobody can purge one without pins, and the kernel purges the driver's;
    /// * those of [`Region::try_clone`].
    pub fn add(&mut self, region: &Region) -> Result<usize> {
        if region.pinning() != Pinning::Kept {
            let text = "a region whose holders do not keep its pins is not theirs to purge";
            return Err(Error::refused(
                format!("Shrinker::add({})", region.as_fd().as_raw_fd()),
                Kind::InvalidInput,
                text,
            ));
        }
        self.regions.push(region.try_clone()?);
        Ok(self.regions.len() - 1)
    }

    /// Takes a [`MemoryFile`] into its care, which gives its descriptor to nobody else.
    ///
    /// # Errors
    ///
    /// Those of [`add`](Self::add).
    pub fn add_file(&mut self, file: &MemoryFile) -> Result<usize> {
        self.add(file.region())
    }

    /// How many pages could be purged now; what a region that refuses has is not counted.
    #[must_use]
    pub fn purgeable_pages(&self) -> usize {
        self.purgeable().map(|range| range.pages() as usize).sum()
    }

    /// The ranges that could be purged now.
    fn purgeable(&self) -> impl Iterator<Item = Unpinned> {
        let unpinned = self.regions.iter().flat_map(|region| region.unpinned().unwrap_or_default());
        unpinned.filter(|range| !range.purged)
    }

    /// Purges until `pages` pages are, or nothing is left: the range unpinned first, then the
    /// next. A range goes as a whole.
    pub fn shrink(&mut self, pages: usize) -> Freed {
        let mut freed = Freed::default();
        let regions = 0..self.regions.len();
        let mut oldest: Vec<_> = regions.map(|number| self.oldest(number, &mut freed)).collect();
        // No more than there are now: a peer could go on for ever with new ones.
        for _ in 0..self.purgeable().count() {
            let ages = oldest.iter().enumerate().filter_map(|(number, age)| age.map(|age| (age, number)));
            let Some((_, number)) = ages.min().filter(|_| freed.pages() < pages) else { break };
            oldest[number] = None;
            match evict_one(&self.regions[number]) {
                Ok(Some((range, bytes))) => {
                    freed.purged.push(Purged { region: number, range, bytes });
                    oldest[number] = self.oldest(number, &mut freed);
                }
                Ok(None) => {} // others have pinned or purged all of it meanwhile
                Err(refused) => freed.refused.push((number, refused)),
            }
        }
        freed
    }

    /// `ASHMEM_PURGE_ALL_CACHES` - purges whatever is unpinned.
    #[doc(alias = "ASHMEM_PURGE_ALL_CACHES")]
    pub fn purge_all(&mut self) -> Freed {
        self.shrink(usize::MAX)
    }

    /// Waits until `trigger` fires, and then purges `pages` pages; nothing when `timeout`
    /// passes or a signal comes first.
    ///
    /// The trigger is a [`PressureTrigger`](super::PressureTrigger), which fires once a window
    /// at most, or any other descriptor that can be polled, a pipe for instance: it fires by
    /// being readable, until it is read.
    ///
    /// # Errors
    ///
    /// [`is_gone`](Error::is_gone) when the trigger will never fire any more.
    pub fn shrink_under_pressure(
        &mut self,
        trigger: impl AsFd,
        timeout: Duration,
        pages: usize,
    ) -> Result<Option<Freed>> {
        Ok(pressure::wait(trigger.as_fd(), timeout)?.then(|| self.shrink(pages)))
    }

    /// The age of what would be purged next of a region. One that refuses is left out, and said.
    fn oldest(&self, number: usize, freed: &mut Freed) -> Option<u64> {
        match self.regions[number].oldest() {
            Ok(oldest) => oldest.map(|range| range.age),
            Err(refused) => {
                freed.refused.push((number, refused));
                None
            }
        }
    }
}

/// Purges one range: which, and by how much the memory of the file fell.
fn evict_one(region: &Region) -> Result<Option<(Unpinned, u64)>> {
    let before = memory(region)?;
    let Some(range) = region.evict_one()? else { return Ok(None) };
    // Others may touch the region meanwhile, and what they took is not what we freed.
    Ok(Some((range, before.saturating_sub(memory(region)?))))
}

/// `fstat(fd)`: how much memory the region's file has, in bytes.
fn memory(region: &Region) -> Result<u64> {
    #[allow(clippy::unnecessary_cast)] // signed on some machines, and never negative
    Ok(stat(region)?.st_blocks as u64 * 512)
}
