//! What is known of a region's pins, written down in the region's own file, where any holder can write.
//!
//! A head, and a record for each unpinned range. All zeros are a region that was just made: everything is
//! pinned. An operation changes few records, so it writes few; and since its process can be killed at any
//! instruction, it first writes down what it is about to do:
//!
//! ```text
//!  1. the records that it will write, and which pages it is about     (nobody looks at them yet)
//!  2. pending = 1 + how many                                          (from here on it will be done, by whomever)
//!  3. the records that are gone, those that are new
//!  4. which records these were, generation + their number, pending = 0
//! ```
//!
//! Who comes next and finds it pending does 3 and 4 again. A handle that has read the records
//! keeps what they say. The generation tells it how many were written since, and if they are
//! few, which: it reads those alone.

use std::os::fd::BorrowedFd;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Relaxed, Release};

use super::layout::{Layout, RECORD, RECORDS};
use super::ranges::{Change, Ranges, Unpinned};
use crate::error::{Error, Kind, Result};
use crate::lock::{SlotWord, reach};
use crate::mapping::Mapping;

/// Where the tail of the mapping begins in what follows the data.
const TAIL: usize = 192;

/// How many records can be written until who has not looked meanwhile has to read all of them. A power of
/// two, so that places follow each other when the generation wraps.
pub(crate) const RECENT: u32 = 32;

/// The words before the records.
#[repr(C)]
pub(crate) struct Head {
    /// What the driver's mutex is.
    pub(crate) lock: SlotWord,
    /// How many records were ever written; wraps.
    pub(crate) generation: AtomicU32,
    /// How many records may be in use: one more than the largest.
    pub(crate) used: AtomicU32,
    /// A change is under way: one more than the number of records that it writes.
    pub(crate) pending: AtomicU32,
    /// Its pages: whatever met them is gone, unless it is among those records.
    pub(crate) first: AtomicU32,
    /// See `first`.
    pub(crate) end: AtomicU32,
    /// Where its records go.
    pub(crate) slots: [AtomicU32; 2],
    /// Which were written last: each at its number.
    pub(crate) recent: [AtomicU32; RECENT as usize],
}

/// The mapped table. Whoever reads or writes it has its lock, as far as peers are honest.
#[derive(Debug)]
pub(super) struct Table {
    /// What follows the data.
    mapping: Mapping<Head>,
    /// Where that is.
    layout: Layout,
}

impl Table {
    /// Maps the table of a region, whose file cannot shrink below its layout.
    pub(super) fn map(fd: BorrowedFd<'_>, layout: Layout) -> Result<Self> {
        let mapping = Mapping::of_part(fd, layout.rounded(), layout.records_len())?;
        Ok(Self { mapping, layout })
    }

    /// The words.
    pub(super) fn head(&self) -> &Head {
        &self.mapping
    }

    /// Which state of the records this is.
    pub(super) fn generation(&self) -> u32 {
        self.mapping.generation.load(Relaxed)
    }

    /// Reads every record, as untrusted input: each range in the region, none overlapping another.
    ///
    /// # Errors
    ///
    /// [`is_damaged`](Error::is_damaged) for anything that no operation leaves.
    pub(super) fn read(&self) -> Result<Ranges> {
        let used = self.mapping.used.load(Relaxed);
        if used > self.layout.records() {
            return Err(damaged(format!("{used} records, of at most {}", self.layout.records())));
        }
        let mut bytes = vec![0; used as usize * RECORD];
        self.mapping.copy_out(RECORDS - TAIL, &mut bytes)?;
        let mut ranges = Ranges::new();
        for (slot, record) in (0..).zip(bytes.chunks_exact(RECORD)) {
            if let Some(range) = decode(slot, record)
                && !(self.is_inside(&range) && ranges.restore(range))
            {
                return Err(damaged(format!("pages {} to {} cannot be unpinned", range.first, range.end)));
            }
        }
        Ok(ranges)
    }

    /// Reads what was written since a generation, into what was read then: whether that could be done, and
    /// else all of it has to be read again.
    pub(super) fn catch_up(&self, ranges: &mut Ranges, since: u32) -> Result<bool> {
        let written = self.generation().wrapping_sub(since);
        if written > RECENT {
            return Ok(false);
        }
        let places = (0..written).map(|place| since.wrapping_add(place) % RECENT);
        let mut slots: Vec<_> =
            places.map(|place| self.head().recent[place as usize].load(Relaxed)).collect();
        slots.sort_unstable();
        slots.dedup();
        // All of the old ones first, since the new ones may lie where they were.
        slots.iter().for_each(|slot| ranges.forget(*slot));
        for slot in slots {
            let mut record = [0; RECORD];
            if slot >= self.layout.records() {
                return Ok(false);
            }
            self.mapping.copy_out(at(slot), &mut record)?;
            if let Some(range) = decode(slot, &record)
                && !(self.is_inside(&range) && ranges.restore(range))
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes what an operation changed, so that it is done wholly even if this process is killed meanwhile.
    pub(super) fn write(&self, change: &Change) -> Result<()> {
        let head = self.head();
        let mut count = 0;
        for (place, range) in change.kept.iter().flatten().enumerate() {
            self.mapping.copy_in(place * RECORD, &encode(range))?;
            head.slots[place].store(range.slot, Relaxed);
            count += 1;
        }
        head.first.store(change.first, Relaxed);
        head.end.store(change.end, Relaxed);
        reach("the change is written down, not pending");
        // Release: what is pending is there. A killed process's stores are seen in the order of its program.
        head.pending.store(1 + count, Release);
        reach("the change is pending, no record is written");
        for slot in &change.gone {
            self.put(*slot, &[0; RECORD])?;
            reach("one of the records that are gone is cleared");
        }
        reach("what is gone is cleared, what is new is not written");
        for range in change.kept.iter().flatten() {
            self.keep(range)?;
        }
        reach("all is written, the change is pending");
        let kept = change.kept.iter().flatten().map(|range| &range.slot);
        let mut generation = self.generation();
        for slot in change.gone.iter().chain(kept) {
            head.recent[(generation % RECENT) as usize].store(*slot, Relaxed);
            generation = generation.wrapping_add(1);
        }
        self.done(generation);
        Ok(())
    }

    /// Does again what somebody was killed over, if anybody was.
    ///
    /// # Errors
    ///
    /// [`is_damaged`](Error::is_damaged) for a change that no operation makes.
    pub(super) fn finish(&self) -> Result<()> {
        let head = self.head();
        let kept = match head.pending.load(Relaxed) {
            0 => return Ok(()),
            pending @ 1..=3 => pending as usize - 1,
            pending => return Err(damaged(format!("{pending} changes under way"))),
        };
        let (first, end) = (head.first.load(Relaxed), head.end.load(Relaxed));
        let mut new = Vec::with_capacity(kept);
        for (place, slot) in head.slots.iter().take(kept).map(|slot| slot.load(Relaxed)).enumerate() {
            let mut record = [0; RECORD];
            self.mapping.copy_out(place * RECORD, &mut record)?;
            let range = decode(slot, &record).filter(|range| self.is_inside(range));
            new.push(range.ok_or_else(|| damaged("a change to no range".into()))?);
        }
        for slot in 0..head.used.load(Relaxed).min(self.layout.records()) {
            let mut record = [0; RECORD];
            self.mapping.copy_out(at(slot), &mut record)?;
            let is_new = new.iter().any(|range| range.slot == slot);
            if !is_new && decode(slot, &record).is_some_and(|range| range.meets(first, end)) {
                self.put(slot, &[0; RECORD])?;
            }
        }
        new.iter().try_for_each(|range| self.keep(range))?;
        // Which were written before the death, nobody knows: everybody reads all.
        self.done(self.generation().wrapping_add(RECENT + 1));
        Ok(())
    }

    /// Nothing is under way any more.
    fn done(&self, generation: u32) {
        let head = self.head();
        head.generation.store(generation, Release);
        head.pending.store(0, Release);
    }

    /// Writes the record of a range, and counts it as used.
    fn keep(&self, range: &Unpinned) -> Result<()> {
        let used = &self.head().used;
        used.store(used.load(Relaxed).max(range.slot + 1), Relaxed);
        self.put(range.slot, &encode(range))
    }

    /// Writes one record; a slot beyond the table is refused by the mapping.
    fn put(&self, slot: u32, record: &[u8; RECORD]) -> Result<()> {
        self.mapping.copy_in(at(slot), record)
    }

    /// Whether a range has its place in this region, and its record in this table.
    fn is_inside(&self, range: &Unpinned) -> bool {
        let pages = self.layout.records() - 1;
        let place = self.layout.empty_place();
        let empty = (range.first, range.end) == (place, place);
        (range.first < range.end || empty) && range.end <= pages && range.slot <= pages
    }
}

/// Where a record is in the tail.
const fn at(slot: u32) -> usize {
    RECORDS - TAIL + slot as usize * RECORD
}

/// First page, page after the last, age with the flag as its lowest bit; 0 in the second: no range.
fn encode(range: &Unpinned) -> [u8; RECORD] {
    let age = range.age << 1 | u64::from(range.purged);
    let mut record = [0; RECORD];
    record[..4].copy_from_slice(&range.first.to_ne_bytes());
    record[4..8].copy_from_slice(&range.end.to_ne_bytes());
    record[8..].copy_from_slice(&age.to_ne_bytes());
    record
}

/// The range that a record is about, if it is in use. Any bytes are some range: its place is checked apart.
fn decode(slot: u32, record: &[u8]) -> Option<Unpinned> {
    let (first, rest) = record.split_first_chunk()?;
    let (end, age) = rest.split_first_chunk()?;
    let (first, end) = (u32::from_ne_bytes(*first), u32::from_ne_bytes(*end));
    let age = u64::from_ne_bytes(age.try_into().ok()?);
    (end != 0).then_some(Unpinned { first, end, purged: age & 1 == 1, age: age >> 1, slot })
}

/// The error of a table that no honest process leaves; whose call it was, the caller adds.
fn damaged(what: String) -> Error {
    let text = format!("what the region says of its pins makes no sense ({what}): a peer wrote over it");
    Error::refused(String::new(), Kind::Damaged, text)
}
