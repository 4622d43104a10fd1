//! What does it cost to enter a region that stands?
//!
//! The second process holds the region and has filled it, so its pages are there; entering maps them one by
//! one, at the first look at each. Here the two models differ most: a fault in a memfd's mapping brings in
//! the pages around it as well (`map_pages` in mm/shmem.c), one in a System V attachment does not
//! (`shm_vm_ops` in ipc/shm.c passes `fault` on, and has no `map_pages`), although the same file system holds
//! the pages of both. A descriptor is duplicated first, in place of one that arrives: how it arrives is the
//! next question.

use std::hint::black_box;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use fd_shm::{FixedFd, Region};
use sysv_shm::{Key, Segment, SegmentId};

use super::Group;
use crate::Failure;
use crate::clock::{Alone, Clock, Subject};
use crate::floor::memory::RawMemory;
use crate::floor::{memfd, system_v};
use crate::measure::Entry;
use crate::memory::{Invitation, RawSegment};
use crate::orders::PartName;
use crate::parts::{Given, Part};
use crate::payload::pattern;
use crate::place::Place;
use crate::question::Question;
use crate::second_process::SecondProcess;

/// Keys of this program, counted up from here; used in a private IPC namespace only.
const FIRST_KEY: i32 = 0x6265_0000;

/// The ways of one size.
pub(super) fn group(other: &Rc<SecondProcess>, place: Place, size: usize) -> Result<Group, Failure> {
    let mut group = Group::default();
    if place.private_ipc {
        group.entries.extend(by_key(other, size)?);
    } else {
        let reason = "no IPC namespace of one's own: a segment with a key would outlive a crash";
        group.lacks(Question::Joining, "System V, by key", reason);
    }
    group.entries.extend(by_id(other, size)?);
    group.entries.extend(by_descriptor(other, size)?);
    Ok(group)
}

/// `shmget` finds the segment by its key. It must stand under it for as long as the question, so that a
/// crash leaks it: only a namespace of our own makes that harmless.
///
/// It is entered twice: to look at every page, and to look at none, which leaves the calls alone. There the
/// raw side believes the size (`shmget`, `shmat`, `shmdt`), and ours asks for it once (`IPC_STAT`): an id can
/// mean a smaller segment by the time it is attached.
fn by_key(other: &Rc<SecondProcess>, size: usize) -> Result<Vec<Entry>, Failure> {
    let key = FIRST_KEY | i32::try_from(size.ilog2()).unwrap_or_default();
    let segment = Rc::new(RawSegment(system_v::create(Some(key), size)?));
    let held = Held::new(other, size, Invitation::received(Some(segment.0), None), Some(segment))?;
    let raw = move || look_raw(&system_v::join(system_v::find(key)?)?, size);
    let ours = move || {
        let joined = Segment::open(Key::new(key), size)?.attach::<()>()?;
        look(size, |at, word| Ok(joined.copy_out(at, word)?))
    };
    let looked_at = held.clone().entries("System V, by key", size, raw, ours);
    let raw = move || system_v::attach(system_v::find(key)?, size).map(drop);
    let ours = move || {
        Segment::open(Key::new(key), size)?.attach::<()>()?;
        Ok(())
    };
    let checked = move || system_v::join(system_v::find(key)?).map(drop);
    let untouched = held.checked_entries("System V, by key, untouched", size, raw, checked, ours);
    Ok(looked_at.into_iter().chain(untouched).collect())
}

/// `shmat` by a number that somebody has told us. Linux still lets us in after the removal, as long as the
/// segment is attached somewhere: so it is removed as soon as the second process holds it.
fn by_id(other: &Rc<SecondProcess>, size: usize) -> Result<[Entry; 2], Failure> {
    let segment = RawSegment(system_v::create(None, size)?);
    let id = segment.0;
    let held = Held::new(other, size, Invitation::received(Some(id), None), None)?;
    drop(segment);
    let raw = move || look_raw(&system_v::join(id)?, size);
    let ours = move || {
        let joined = Segment::from(SegmentId::new(id)).attach::<()>()?;
        look(size, |at, word| Ok(joined.copy_out(at, word)?))
    };
    Ok(held.entries("System V, by id", size, raw, ours))
}

/// `mmap` of a descriptor. Ours checks first that it is memory which can be read and cannot shrink; the raw
/// calls believe it.
fn by_descriptor(other: &Rc<SecondProcess>, size: usize) -> Result<Vec<Entry>, Failure> {
    let region: OwnedFd = Region::create("joining", size)?.into();
    let held = Held::new(other, size, Invitation::received(None, Some(memfd::duplicate(&region)?)), None)?;
    let region = Rc::new(region);
    let arrives = || {
        let region = Rc::clone(&region);
        move || memfd::duplicate(&*region)
    };
    let mapped = |map: fn(BorrowedFd<'_>) -> Result<RawMemory, Failure>| {
        let arrives = arrives();
        move || map(arrives()?.as_fd())
    };
    let (raw, checked, here) = (mapped(memfd::map), mapped(memfd::map_checked), arrives());
    let looked_at = held.clone().checked_entries(
        "memfd, by descriptor",
        size,
        move || look_raw(&raw()?, size),
        move || look_raw(&checked()?, size),
        move || {
            let joined = FixedFd::new(here()?)?.map::<()>()?;
            look(size, |at, word| Ok(joined.copy_out(at, word)?))
        },
    );
    let (raw, checked, here) = (mapped(memfd::map), mapped(memfd::map_checked), arrives());
    let untouched = held.checked_entries(
        "memfd, by fd, untouched",
        size,
        move || raw().map(drop),
        move || checked().map(drop),
        move || {
            FixedFd::new(here()?)?.map::<()>()?;
            Ok(())
        },
    );
    Ok(looked_at.into_iter().chain(untouched).collect())
}

/// A region that the second process holds for as long as this lives.
#[derive(Clone)]
struct Held {
    /// Who holds it.
    _other: Rc<SecondProcess>,
    /// What must not be removed before.
    _segment: Option<Rc<RawSegment>>,
}

impl Held {
    fn new(
        other: &Rc<SecondProcess>,
        size: usize,
        invitation: Invitation,
        segment: Option<Rc<RawSegment>>,
    ) -> Result<Self, Failure> {
        other.join(PartName::Hold, size, &invitation, &[])?;
        Ok(Self { _other: Rc::clone(other), _segment: segment })
    }

    /// The raw way and ours of entering the region.
    fn entries(
        self,
        subject: &'static str,
        size: usize,
        raw: impl FnMut() -> Result<(), Failure> + 'static,
        ours: impl FnMut() -> Result<(), Failure> + 'static,
    ) -> [Entry; 2] {
        let raw = Joiner { _held: self.clone(), join: Alone(raw) };
        let ours = Joiner { _held: self, join: Alone(ours) };
        [Entry::floor(subject, size as u64, raw), Entry::ours(subject, size as u64, ours)]
    }

    /// The same, and between them the raw way with our checks.
    fn checked_entries(
        self,
        subject: &'static str,
        size: usize,
        raw: impl FnMut() -> Result<(), Failure> + 'static,
        checked: impl FnMut() -> Result<(), Failure> + 'static,
        ours: impl FnMut() -> Result<(), Failure> + 'static,
    ) -> [Entry; 3] {
        let checked = Joiner { _held: self.clone(), join: Alone(checked) };
        let [floor, ours] = self.entries(subject, size, raw, ours);
        [floor, Entry::checked(subject, size as u64, checked), ours]
    }
}

/// Enters a region that is held.
struct Joiner<F> {
    /// Keeps it standing.
    _held: Held,
    /// Enters it, looks, leaves.
    join: Alone<F>,
}

impl<F: FnMut() -> Result<(), Failure>> Subject for Joiner<F> {
    fn run(&mut self, count: u64, clock: &mut Clock) -> Result<(), Failure> {
        self.join.run(count, clock)
    }
}

fn look_raw(memory: &RawMemory, size: usize) -> Result<(), Failure> {
    look(size, |at, word| {
        memory.read(at, word);
        Ok(())
    })
}

/// Reads a word of every page, whose length the compiler is not told: of eight bytes it would make one
/// instruction for the raw side, where both are to call memcpy. On some processors the difference is a fifth
/// of a fault, since the kernel leaves them to guess where the call returns to.
fn look(size: usize, mut read: impl FnMut(usize, &mut [u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut word = [0; 8];
    for at in (0..size).step_by(4096) {
        read(at, black_box(&mut word[..]))?;
        black_box(&word);
    }
    Ok(())
}

/// The second process: holds a region that it has filled.
struct Holder {
    /// Mapped until the question is over.
    _memory: RawMemory,
}

/// Maps the region and fills it.
pub(crate) fn hold_part(mut given: Given) -> Result<Box<dyn Part>, Failure> {
    let size = given.size();
    let memory = match given.invitation() {
        Invitation { id: Some(id), .. } => system_v::attach(id, size)?,
        Invitation { fd: Some(fd), .. } => memfd::map(fd.as_fd())?,
        _ => return Err(Failure::new("a region to hold was given without a way in")),
    };
    memory.write(0, &pattern(size));
    Ok(Box::new(Holder { _memory: memory }))
}

impl Part for Holder {
    fn run(&mut self, _: u64) -> Result<u64, Failure> {
        Ok(0)
    }
}
