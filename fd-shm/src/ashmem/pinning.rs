//! The pin operations of a region, whoever keeps its pins.

use std::os::fd::AsFd;
use std::sync::PoisonError;

use nix::errno::Errno;
use rustix::param::page_size;

use super::area::{Pin, PinStatus, interval};
use super::layout::Layout;
use super::pins::{Inside, Pins};
use super::ranges::Unpinned;
use super::region::{ASHMEM, Pinning, Region};
use crate::error::{Error, Result};
use crate::fixed::Keeper;

impl Region {
    /// `ASHMEM_PIN` - the pages stay from now on; says whether a range that this met had been purged.
    ///
    /// # Errors
    ///
    /// * EINVAL ([`is_invalid_input`](Error::is_invalid_input)) when offset or length is no multiple of a
    ///   page, and for a range that ends behind the region or beyond 32 bits. A length of 0 means "to the
    ///   end".
    /// * [`is_sealed`](Error::is_sealed) once writing is sealed: nothing is purged any more;
    /// * [`is_damaged`](Error::is_damaged) when a peer has written nonsense over the pins;
    /// * [`is_timed_out`](Error::is_timed_out) when a peer has kept the lock for 10 s;
    /// * EACCES when the descriptor is open for reading only; those of
    ///   [`Lock::open`](crate::lock::Lock::open), the first time.
    #[doc(alias = "ashmem_pin_region")]
    #[doc(alias = "ASHMEM_PIN")]
    pub fn pin(&self, offset: usize, len: usize) -> Result<Pin> {
        let call = || format!("pin({offset}, {len})");
        match self.fd.keeper() {
            Keeper::Nobody => Ok(Pin::NotPurged),
            Keeper::Driver => {
                let (offset, len) = narrow(&call, offset, len)?;
                self.driver(&call(), |device| device.pin(offset, len))
            }
            Keeper::Holders(layout) => {
                let (first, end) = pages(&call, offset, len, layout)?;
                self.inside(&call, layout, |inside| inside.pin(first, end)).map(Pin::from)
            }
        }
    }

    /// `ASHMEM_UNPIN` - the pages may be purged from now on. See [`Area::unpin`](super::Area::unpin) for how
    /// ranges merge.
    ///
    /// # Errors
    ///
    /// Those of [`pin`](Self::pin).
    #[doc(alias = "ashmem_unpin_region")]
    #[doc(alias = "ASHMEM_UNPIN")]
    pub fn unpin(&self, offset: usize, len: usize) -> Result<()> {
        let call = || format!("unpin({offset}, {len})");
        match self.fd.keeper() {
            Keeper::Nobody => Ok(()),
            Keeper::Driver => {
                let (offset, len) = narrow(&call, offset, len)?;
                self.driver(&call(), |device| device.unpin(offset, len))
            }
            Keeper::Holders(layout) => {
                let (first, end) = pages(&call, offset, len, layout)?;
                self.inside(&call, layout, |inside| inside.unpin(first, end))
            }
        }
    }

    /// `ASHMEM_GET_PIN_STATUS` - whether all of the pages stay, or any may be purged.
    ///
    /// # Errors
    ///
    /// Those of [`pin`](Self::pin).
    #[doc(alias = "ASHMEM_GET_PIN_STATUS")]
    pub fn pin_status(&self, offset: usize, len: usize) -> Result<PinStatus> {
        let call = || format!("pin_status({offset}, {len})");
        match self.fd.keeper() {
            Keeper::Nobody => Ok(PinStatus::Pinned),
            Keeper::Driver => {
                let (offset, len) = narrow(&call, offset, len)?;
                self.driver(&call(), |device| device.pin_status(offset, len))
            }
            Keeper::Holders(layout) => {
                let (first, end) = pages(&call, offset, len, layout)?;
                let unpinned =
                    self.inside(&call, layout, |inside| Ok(inside.ranges().is_unpinned(first, end)))?;
                Ok(if unpinned { PinStatus::Unpinned } else { PinStatus::Pinned })
            }
        }
    }

    /// The unpinned ranges, by page. Of a region that keeps no pins there are none; the driver shows its own
    /// to nobody, and so neither does this.
    ///
    /// # Errors
    ///
    /// Those of [`pin`](Self::pin).
    pub fn unpinned(&self) -> Result<Vec<Unpinned>> {
        self.kept("unpinned()", Vec::new(), |inside| Ok(inside.ranges().iter().copied().collect()))
    }

    /// The range that is purged next: of those that still have their memory, the one unpinned first.
    ///
    /// # Errors
    ///
    /// Those of [`pin`](Self::pin).
    pub fn oldest(&self) -> Result<Option<Unpinned>> {
        self.kept("oldest()", None, |inside| Ok(inside.ranges().oldest()))
    }

    /// Purges the [`oldest`](Self::oldest) unpinned range: its memory goes back to the system, its pages read
    /// as zeros, and whoever pins one of them is told.
    ///
    /// # Errors
    ///
    /// Those of [`pin`](Self::pin).
    pub fn evict_one(&self) -> Result<Option<Unpinned>> {
        self.kept("evict_one()", None, |inside| {
            let oldest = inside.ranges().oldest();
            oldest.map(|range| inside.purge(range)).transpose()
        })
    }

    /// `ASHMEM_PURGE_ALL_CACHES`, for this region - purges every unpinned range that still has its memory,
    /// and says how many pages those had (touched or not).
    ///
    /// With the driver, this purges the unpinned ranges of *all* regions of the system.
    ///
    /// # Errors
    ///
    /// Those of [`pin`](Self::pin); with the driver, EPERM without CAP_SYS_ADMIN.
    #[doc(alias = "ASHMEM_PURGE_ALL_CACHES")]
    pub fn purge_all(&self) -> Result<usize> {
        if self.pinning() == Pinning::Driver {
            return self.driver("purge_all()", |device| device.purge_all_caches());
        }
        self.kept("purge_all()", 0, |inside| {
            let ranges = inside.ranges().by_age();
            ranges.into_iter().map(|range| Ok(inside.purge(range)?.pages() as usize)).sum()
        })
    }

    /// An operation on the pins, or `without` for a region that keeps none itself.
    fn kept<R>(
        &self,
        call: &str,
        without: R,
        operation: impl FnOnce(&mut Inside<'_>) -> Result<R>,
    ) -> Result<R> {
        match self.fd.keeper() {
            Keeper::Holders(layout) => self.inside(&|| call.to_owned(), layout, operation),
            Keeper::Nobody | Keeper::Driver => Ok(without),
        }
    }

    /// Runs an operation under the region's lock.
    fn inside<R>(
        &self,
        call: &impl Fn() -> String,
        layout: Layout,
        operation: impl FnOnce(&mut Inside<'_>) -> Result<R>,
    ) -> Result<R> {
        // A thread that panicked inside has left nothing half done that the next operation would not see.
        let mut ours = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        if ours.as_ref().is_some_and(Pins::is_forked) {
            *ours = None; // our parent's
        }
        let pins = match &mut *ours {
            Some(pins) => pins,
            none => none.insert(Pins::open(self.as_fd(), layout)?),
        };
        pins.inside(self.as_fd(), operation).map_err(|refused| refused.of(|| format!("Region::{}", call())))
    }
}

/// The operands of a pin operation as the driver takes them: 32 bits each.
fn narrow(call: &impl Fn() -> String, offset: usize, len: usize) -> Result<(u32, u32)> {
    let both = u32::try_from(offset).and_then(|offset| u32::try_from(len).map(|len| (offset, len)));
    both.map_err(|_| Error::system(format!("Region::{}", call()), Errno::EINVAL as i32, ASHMEM))
}

/// The pages of a pin operation.
fn pages(call: &impl Fn() -> String, offset: usize, len: usize, layout: Layout) -> Result<(u32, u32)> {
    let (offset, len) = narrow(call, offset, len)?;
    interval(offset, len, layout.rounded(), page_size())
        .map_err(|errno| Error::system(format!("Region::{}", call()), errno as i32, ASHMEM))
}
