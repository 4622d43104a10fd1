//! What does the first touch of a page cost?
//!
//! A region is made beside the clock. Then, on it, the region is mapped, got ready where the way says so, and
//! a word is written into each 4 KiB. So a way that populates pays on the clock too: it saves faults, and
//! what a fault does besides faulting (find a page, clear it, charge it) stays. Figures are per 4 KiB.
//!
//! The kernel counts a page that it brings in for a populate as a fault (`mm_account_fault` in mm/memory.c),
//! so the number of faults does not fall; the time does.
//!
//! Nothing here changes settings of the machine: huge pages are measured where it has some to give.

use std::ffi::CStr;
use std::fs;
use std::hint::black_box;
use std::os::fd::{AsFd, OwnedFd};

use fd_shm::Region;
use sysv_shm::{Key, OwnedSegment, Segment};

use super::Group;
use crate::Failure;
use crate::clock::{Clock, Subject};
use crate::environment::chosen;
use crate::floor::memory::RawMemory;
use crate::floor::{memfd, system_v};
use crate::measure::Entry;
use crate::memory::RawSegment;
use crate::question::Question;

/// Two huge pages, or 1024 others.
const SIZE: usize = 4 << 20;

/// A page, as the figures count them.
pub(crate) const PAGE: usize = 4 << 10;

/// A huge page of the common size.
const HUGE: usize = 2 << 20;

/// The name of a memfd, for who looks into /proc.
const NAME: &CStr = c"touched";

/// All ways.
pub(super) fn group() -> Result<Group, Failure> {
    let entry = |make: fn(&'static str, u64, Work) -> Entry, subject, work| make(subject, SIZE as u64, work);
    let (floor, ours, model) = (Entry::floor, Entry::ours, Entry::model);
    let mut group = Group::from(vec![
        entry(floor, "System V", touch_of(segment, |segment| touch(&system_v::attach(segment.0, SIZE)?))),
        entry(
            ours,
            "System V",
            touch_of(our_segment, |segment| {
                let memory = segment.attach::<()>()?;
                touch_by(|at, word| Ok(memory.copy_in(at, word)?))
            }),
        ),
        entry(floor, "memfd", touch_of(sealed, |fd| touch(&memfd::map_new(fd.as_fd(), SIZE)?))),
        entry(
            ours,
            "memfd",
            touch_of(our_region, |region| {
                let memory = region.map::<()>()?;
                touch_by(|at, word| Ok(memory.copy_in(at, word)?))
            }),
        ),
        entry(
            model,
            "mmap, anonymous and shared",
            touch_of(|| Ok(()), |()| touch(&memfd::map_anonymous(SIZE)?)),
        ),
        entry(
            model,
            "memfd, MAP_POPULATE",
            touch_of(sealed, |fd| touch(&memfd::map_with(fd.as_fd(), SIZE, libc::MAP_POPULATE)?)),
        ),
        entry(
            model,
            "memfd, MADV_POPULATE_WRITE",
            touch_of(sealed, |fd| advised(&memfd::map_new(fd.as_fd(), SIZE)?, libc::MADV_POPULATE_WRITE)),
        ),
        // The pages are there from before, so what is left is to map them: one at a fault, since it is writes
        // that fault (`do_fault_around` in mm/memory.c is for reads).
        entry(
            model,
            "memfd, pages that stand",
            touch_of(standing, |fd| touch(&memfd::map_new(fd.as_fd(), SIZE)?)),
        ),
    ]);
    transparent(&mut group);
    reserved(&mut group);
    Ok(group)
}

/// Huge pages that the kernel makes when it is asked to, out of free memory.
fn transparent(group: &mut Group) {
    let subject = "memfd, MADV_HUGEPAGE";
    let mode = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/shmem_enabled").unwrap_or_default();
    if !matches!(chosen(&mode).as_str(), "always" | "within_size" | "advise" | "force") {
        let reason = format!("/sys/kernel/mm/transparent_hugepage/shmem_enabled says {}", chosen(&mode));
        return group.lacks(Question::FirstTouch, subject, reason);
    }
    let work = touch_of(sealed, |fd| advised(&memfd::map_new(fd.as_fd(), SIZE)?, libc::MADV_HUGEPAGE));
    group.entries.push(Entry::model(subject, SIZE as u64, work));
}

/// Huge pages that somebody has set aside.
fn reserved(group: &mut Group) {
    let (file, segment) = ("memfd, MFD_HUGETLB", "System V, SHM_HUGETLB");
    let free = fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages").ok();
    let free: usize = free.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    if free < SIZE / HUGE {
        let reason = format!("{free} huge pages are free, {} are needed (vm.nr_hugepages)", SIZE / HUGE);
        group.lacks(Question::FirstTouch, file, reason.clone());
        return group.lacks(Question::FirstTouch, segment, reason);
    }
    let work = touch_of(|| memfd::create_huge(NAME, SIZE), |fd| touch(&memfd::map_new(fd.as_fd(), SIZE)?));
    group.entries.push(Entry::model(file, SIZE as u64, work));
    let work = touch_of(
        || Ok(RawSegment(system_v::create_huge(SIZE)?)),
        |segment| touch(&system_v::attach(segment.0, SIZE)?),
    );
    group.entries.push(Entry::model(segment, SIZE as u64, work));
}

/// How a region is made, and how it is mapped and touched.
struct Touch<M, T>(M, T);

/// Both, with their types found from each other.
fn touch_of<R, M, T>(make: M, touch: T) -> Work
where
    R: 'static,
    M: FnMut() -> Result<R, Failure> + 'static,
    T: FnMut(&R) -> Result<(), Failure> + 'static,
{
    Box::new(Touch(make, touch))
}

/// One of the ways.
type Work = Box<dyn Subject>;

impl<R, M, T> Subject for Touch<M, T>
where
    M: FnMut() -> Result<R, Failure>,
    T: FnMut(&R) -> Result<(), Failure>,
{
    fn run(&mut self, count: u64, clock: &mut Clock) -> Result<(), Failure> {
        for _ in 0..count {
            let region = clock.beside(&mut self.0)?;
            (self.1)(&region)?;
            clock.finish(1);
            clock.beside(|| {
                drop(region);
                Ok(())
            })?;
        }
        Ok(())
    }
}

fn segment() -> Result<RawSegment, Failure> {
    Ok(RawSegment(system_v::create(None, SIZE)?))
}

fn sealed() -> Result<OwnedFd, Failure> {
    memfd::create(NAME, SIZE)
}

fn our_region() -> Result<Region, Failure> {
    Ok(Region::create("touched", SIZE)?)
}

fn our_segment() -> Result<OwnedSegment, Failure> {
    Ok(Segment::create(Key::PRIVATE, SIZE)?.remove_on_drop())
}

/// A memfd whose pages have been touched through another mapping.
fn standing() -> Result<OwnedFd, Failure> {
    let fd = memfd::create(NAME, SIZE)?;
    touch(&memfd::map_new(fd.as_fd(), SIZE)?)?;
    Ok(fd)
}

fn advised(memory: &RawMemory, advice: i32) -> Result<(), Failure> {
    memory.advise(advice)?;
    touch(memory)
}

fn touch(memory: &RawMemory) -> Result<(), Failure> {
    touch_by(|at, word| {
        memory.write(at, word);
        Ok(())
    })
}

/// Writes a word into each page, whose length the compiler is not told: of eight bytes it would make one
/// instruction for the raw side, where both are to call memcpy. The unmapping, when the mapping is dropped
/// behind it, is on the clock too.
fn touch_by(mut write: impl FnMut(usize, &[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    (0..SIZE).step_by(PAGE).try_for_each(|at| write(at, black_box(&at.to_ne_bytes()[..])))
}
