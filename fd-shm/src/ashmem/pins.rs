//! The pins of a region that keeps them itself: the lock, what was read last, and every operation under it.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::time::{ClockId, clock_gettime};

use super::layout::Layout;
use super::ranges::{Change, Ranges, Unpinned};
use super::table::Table;
use crate::error::{Error, Kind, Meanings, Result};
use crate::lock::{SlotLock, reach};
use crate::seals::{self, Seals};

/// How long an operation waits for others. A peer that keeps the lock is told from one that works: a purge of
/// many gigabytes takes a second or two.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the slots of the lock are in the file: far behind any region.
const SLOTS: u64 = 1 << 62;

/// What is said of a region that nobody can write any more.
const SEALED: &str = "sealed against purging: no hole can be punched once writing is sealed";

/// What the kernel means when it punches no hole.
const PUNCH: Meanings = &[
    (Errno::EPERM, Kind::Sealed, SEALED),
    (Errno::EBADF, Kind::System, "the descriptor is open for reading only"),
];

/// One party to the pins of a region.
#[derive(Debug)]
pub(super) struct Pins {
    /// What the driver's mutex is, as this party has it.
    party: SlotLock,
    /// Where they are written.
    table: Table,
    /// What stood there when this party last looked.
    ranges: Ranges,
    /// Which state that was; none when it has to be read again.
    generation: Option<u32>,
    /// How the file is cut.
    layout: Layout,
}

impl Pins {
    /// Opens the pins of the region behind `fd`.
    pub(super) fn open(fd: BorrowedFd<'_>, layout: Layout) -> Result<Self> {
        // The table first: a sealed region is refused here, and needs no lock.
        let table = Table::map(fd, layout).map_err(|refused| {
            if refused.is_sealed() { refused.because(Kind::Sealed, SEALED) } else { refused }
        })?;
        let party = SlotLock::open(fd, SLOTS)?;
        Ok(Self { party, table, ranges: Ranges::new(), generation: None, layout })
    }

    /// Whether this is a child's copy of its parent's.
    pub(super) fn is_forked(&self) -> bool {
        self.party.is_forked()
    }

    /// Runs an operation under the lock, on what the table says now. Which call it is
    /// for, the caller adds to an error.
    pub(super) fn inside<R>(
        &mut self,
        fd: BorrowedFd<'_>,
        operation: impl FnOnce(&mut Inside<'_>) -> Result<R>,
    ) -> Result<R> {
        // Asked each time: what was mapped before the seal can still be written, but not purged.
        let seals = seals::get(fd)?;
        if seals.contains(Seals::WRITE) || seals.contains(Seals::FUTURE_WRITE) {
            return Err(Error::refused(String::new(), Kind::Sealed, SEALED));
        }
        let Self { party, table, ranges, generation, layout } = self;
        let locked = party.lock(&table.head().lock, PATIENCE)?;
        table.finish()?;
        let now = table.generation();
        if *generation != Some(now) {
            // Until it is read, what we have is not what is there.
            let caught_up = match generation.take() {
                Some(since) => table.catch_up(ranges, since)?,
                None => false,
            };
            if !caught_up {
                *ranges = table.read()?;
            }
            *generation = Some(now);
        }
        let mut inside = Inside { table, ranges, generation, layout: *layout, fd };
        if locked.owner_died() {
            inside.purge_again()?;
        }
        operation(&mut inside)
    }
}

/// The lock is held, and `ranges` is what the table says.
pub(super) struct Inside<'a> {
    /// Where changes are written.
    table: &'a Table,
    /// What it says.
    ranges: &'a mut Ranges,
    /// Which state of it.
    generation: &'a mut Option<u32>,
    /// How the file is cut.
    layout: Layout,
    /// The file.
    fd: BorrowedFd<'a>,
}

impl Inside<'_> {
    /// `ASHMEM_PIN`.
    pub(super) fn pin(&mut self, first: u32, end: u32) -> Result<bool> {
        let (purged, change) = self.ranges.pin(first, end, now());
        self.write(&change)?;
        Ok(purged)
    }

    /// `ASHMEM_UNPIN`.
    pub(super) fn unpin(&mut self, first: u32, end: u32) -> Result<()> {
        let change = self.ranges.unpin(first, end, now());
        self.write(&change)
    }

    /// `ASHMEM_GET_PIN_STATUS`, and more.
    pub(super) fn ranges(&self) -> &Ranges {
        self.ranges
    }

    /// Marks a range as purged, and then takes its memory: killed in between, the purge is not forgotten.
    pub(super) fn purge(&mut self, range: Unpinned) -> Result<Unpinned> {
        let Some(marked) = self.ranges.mark(range.first, true) else { return Ok(range) };
        self.write(&Change::of_one(marked))?;
        reach("marked as purged, its memory is there");
        if let Err(refused) = self.punch(&marked) {
            if let Some(range) = self.ranges.mark(range.first, false) {
                self.write(&Change::of_one(range))?;
            }
            return Err(refused);
        }
        reach("its memory is gone");
        Ok(marked)
    }

    /// After a death: the one who died may have marked a range and not yet taken its memory. What is unpinned
    /// may be taken at any time, so all that is marked is taken again.
    fn purge_again(&mut self) -> Result<()> {
        let marked: Vec<_> = self.ranges.iter().filter(|range| range.purged).copied().collect();
        marked.iter().try_for_each(|range| self.punch(range))
    }

    /// Writes a change down.
    fn write(&mut self, change: &Change) -> Result<()> {
        if !change.is_none() {
            *self.generation = None; // until it is written, what we have is not what is there
            self.table.write(change)?;
            *self.generation = Some(self.table.generation());
        }
        Ok(())
    }

    /// `fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)`: the memory of a
    /// range goes back to the system.
    fn punch(&self, range: &Unpinned) -> Result<()> {
        let page = self.layout.page() as u64;
        let (from, len) = (u64::from(range.first) * page, u64::from(range.pages()) * page);
        if len == 0 {
            return Ok(()); // the kernel refuses a hole of nothing
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(self.fd, flags, from, len).map_err(|e| {
            let fd = self.fd.as_raw_fd();
            let call = format!("fallocate({fd}, PUNCH_HOLE | KEEP_SIZE, {from}, {len})");
            Error::system(call, e.raw_os_error(), PUNCH)
        })
    }
}

/// `clock_gettime(CLOCK_MONOTONIC)`, in nanoseconds: the age of what is unpinned now, comparable
/// between regions and processes.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}
