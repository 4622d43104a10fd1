//! Throughput where nothing travels and nothing is copied.
//!
//! The writer makes the message in the ring's slot, and the reader sums it there, through atomics. A reader
//! that looks at a word twice would have to copy it first, since the writer may change it meanwhile; a sum
//! looks once.

use std::ops::Range;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use fd_shm::{HeadAndWords, Mapping, Region};

use super::throughput::{Reader, RingEnd, slots};
use crate::Failure;
use crate::clock::{Clock, Subject};
use crate::measure::Entry;
use crate::memory::{Head, Invitation, Model, RawMemfd, Words};
use crate::orders::PartName;
use crate::parts::{Given, Part};
use crate::payload::{expect_sum, sum_words};
use crate::second_process::SecondProcess;

/// The floor of all who share without copying.
pub(crate) const IN_PLACE: &str = "memfd, in place";

/// The ways of one size.
pub(super) fn entries(other: &Rc<SecondProcess>, size: usize) -> Result<[Entry; 2], Failure> {
    Ok([
        Entry::floor(IN_PLACE, size as u64, InPlace::<RawMemfd>::new(other, size)?),
        Entry::ours(IN_PLACE, size as u64, InPlace::<Mapping<Slots>>::new(other, size)?),
    ])
}

/// The counts of a ring, and behind them its slots as words.
type Slots = HeadAndWords<Head, AtomicU64>;

/// Memory whose slots are read and written where they lie.
trait InSlots: Words + Sized + 'static {
    /// Whether it is the floor.
    const RAW: bool;
    /// Makes one with room for `room` bytes of words.
    fn create(room: usize) -> Result<(Self, Invitation), Failure>;
    /// Maps the one that somebody else made.
    fn join(invitation: Invitation, room: usize) -> Result<Self, Failure>;
    /// The words of all slots.
    fn words(&self) -> &[AtomicU64];
}

impl InSlots for RawMemfd {
    const RAW: bool = true;

    fn create(room: usize) -> Result<(Self, Invitation), Failure> {
        let (memory, invitation) = <Self as Model>::create(room)?;
        Ok((memory.with_words(), invitation))
    }

    fn join(invitation: Invitation, room: usize) -> Result<Self, Failure> {
        Ok(<Self as Model>::join(invitation, room)?.with_words())
    }

    #[inline]
    fn words(&self) -> &[AtomicU64] {
        self.words()
    }
}

impl Words for Mapping<Slots> {
    #[inline]
    fn head(&self) -> &Head {
        &self.head
    }
}

impl InSlots for Mapping<Slots> {
    const RAW: bool = false;

    fn create(room: usize) -> Result<(Self, Invitation), Failure> {
        let region = Region::create("in place", size_of::<Head>() + room)?;
        Ok((region.map()?, Invitation::received(None, Some(region.into()))))
    }

    fn join(invitation: Invitation, _: usize) -> Result<Self, Failure> {
        let fd = invitation.fd.ok_or_else(|| Failure::new("words to read in place, without a descriptor"))?;
        Ok(Region::from_fd(fd)?.map()?)
    }

    #[inline]
    fn words(&self) -> &[AtomicU64] {
        &self.words
    }
}

/// Makes messages in the slots of a ring.
struct InPlace<M> {
    /// Where the reader is.
    other: Rc<SecondProcess>,
    /// The reader.
    part: usize,
    /// This end of the ring.
    end: RingEnd<M>,
    /// Messages made so far.
    made: u64,
}

impl<M: InSlots> InPlace<M> {
    fn new(other: &Rc<SecondProcess>, size: usize) -> Result<Self, Failure> {
        let (memory, invitation) = M::create(size * slots(size) as usize)?;
        let part = other.join(PartName::InPlace { raw: M::RAW }, size, &invitation, &[])?;
        Ok(Self { other: Rc::clone(other), part, end: RingEnd::new(memory, size), made: 0 })
    }
}

impl<M: InSlots> Subject for InPlace<M> {
    fn run(&mut self, count: u64, clock: &mut Clock) -> Result<(), Failure> {
        self.other.run(self.part, count)?;
        let mut written = 0_u64;
        clock.start();
        for _ in 0..count {
            self.made += 1;
            let made = self.made;
            self.end.write_by(|memory, slot| {
                for (at, word) in words(memory, slot).iter().enumerate() {
                    let value = made ^ at as u64;
                    // Relaxed: the ring's count, released behind them, carries them over.
                    word.store(value, Ordering::Relaxed);
                    written = written.wrapping_add(value);
                }
                Ok(())
            })?;
        }
        let found = self.other.answer(clock)?;
        clock.finish(count);
        expect_sum(found, written)
    }
}

/// The reading end of a ring whose messages stay where they are.
pub(crate) fn reader(raw: bool, given: Given) -> Result<Box<dyn Part>, Failure> {
    if raw { read_by::<RawMemfd>(given) } else { read_by::<Mapping<Slots>>(given) }
}

fn read_by<M: InSlots>(mut given: Given) -> Result<Box<dyn Part>, Failure> {
    let (size, invitation) = (given.size(), given.invitation());
    let mut end = RingEnd::new(M::join(invitation, size * slots(size) as usize)?, size);
    Ok(Box::new(Reader(move || end.read_by(|memory, slot| Ok(sum_words(words(memory, slot)))))))
}

/// The words of a slot.
fn words(memory: &impl InSlots, slot: Range<usize>) -> &[AtomicU64] {
    &memory.words()[slot.start / 8..slot.end / 8]
}
