//! Measuring in turns: A B C, C B A, A B C ... so that what changes with time changes for all.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::clock::{Clock, Subject, nanoseconds};
use crate::report::Role;
use crate::series::Series;
use crate::usage::Usage;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// How often everything is prepared and measured anew: other processes, other addresses.
    pub rounds: usize,
    /// Batches of each subject in a round, at most.
    pub batches: usize,
    /// The time that a batch is meant to take.
    pub batch: Duration,
    /// The time that the turns of one group may take in a round; subjects with long operations then get fewer
    /// batches.
    pub group: Duration,
    /// The largest region and message.
    pub largest: u64,
    /// The largest number of things that stand beside one more.
    pub most: u64,
}

impl Effort {
    /// The run that figures are quoted from: some minutes.
    pub const FULL: Self = Self {
        rounds: 3,
        batches: 50,
        batch: Duration::from_millis(4),
        group: Duration::from_secs(8),
        largest: 64 << 20,
        most: 10_000,
    };

    /// The run that a reader makes: under a minute.
    pub const MINUTE: Self = Self {
        rounds: 2,
        batches: 12,
        batch: Duration::from_millis(2),
        group: Duration::from_millis(500),
        largest: 16 << 20,
        most: 1000,
    };

    /// A run that shows that everything works, and little more.
    pub const QUICK: Self = Self {
        rounds: 1,
        batches: 8,
        batch: Duration::from_millis(1),
        group: Duration::from_millis(100),
        largest: 1 << 20,
        most: 100,
    };
}

/// As many turns as even the longest operations get.
const FEWEST: usize = 5;

/// A lap is at least this long, so that reading the clock (some 30 ns) stays below three percent.
const SHORTEST_LAP: f64 = 1000.0;

/// A subject, ready to be measured, with the names under which it is reported.
pub struct Entry {
    /// The way in which it is done.
    pub subject: &'static str,
    /// What it stands for.
    pub role: Role,
    /// The size in bytes; 0 where there is none.
    pub size: u64,
    /// The subject whose floor of the same size it is held against.
    pub floor: Option<&'static str>,
    /// The work.
    pub work: Box<dyn Subject>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({:?}, {} bytes)", self.subject, self.role, self.size)
    }
}

impl Entry {
    /// Raw system calls: their own floor.
    pub(crate) fn floor(subject: &'static str, size: u64, work: impl Subject + 'static) -> Self {
        Self { subject, role: Role::Floor, size, floor: Some(subject), work: Box::new(work) }
    }

    /// Raw system calls that make the checks of our library besides; what they take more than the floor is
    /// what the checks cost.
    pub(crate) fn checked(subject: &'static str, size: u64, work: impl Subject + 'static) -> Self {
        Self { subject, role: Role::Checked, size, floor: Some(subject), work: Box::new(work) }
    }

    /// The same work with our library.
    pub(crate) fn ours(subject: &'static str, size: u64, work: impl Subject + 'static) -> Self {
        Self { subject, role: Role::Ours, size, floor: Some(subject), work: Box::new(work) }
    }

    /// A way without a library of ours.
    pub(crate) fn model(subject: &'static str, size: u64, work: impl Subject + 'static) -> Self {
        Self { subject, role: Role::Model, size, floor: None, work: Box::new(work) }
    }

    /// Somebody else's library, held against the raw calls that it stands on.
    pub(crate) fn peer(
        subject: &'static str,
        size: u64,
        floor: &'static str,
        work: impl Subject + 'static,
    ) -> Self {
        Self { subject, role: Role::Peer, size, floor: Some(floor), work: Box::new(work) }
    }
}

/// How often a subject repeats its operation in a batch, and how often the clock is read.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Operations in a batch, a multiple of `per_lap`.
    per_batch: u64,
    /// Operations between two readings of the clock.
    per_lap: u64,
}

/// Measures the entries in turns: a series for each, in their order.
///
/// # Errors
///
/// What a subject reports.
pub(crate) fn measure(entries: &mut [Entry], effort: Effort) -> Result<Vec<Series>, Failure> {
    let paces = find_paces(entries, effort)?;
    let mut series = entries.iter().map(|_| Series::new()).collect::<Result<Vec<_>, _>>()?;
    let begun = Instant::now();
    for turn in 0..effort.batches {
        if turn >= FEWEST && begun.elapsed() > effort.group {
            break;
        }
        let mut order: Vec<_> = entries.iter_mut().zip(&paces).zip(&mut series).collect();
        if turn % 2 == 1 {
            order.reverse();
        }
        for ((entry, pace), series) in order {
            let mut clock = Clock::new(pace.per_lap);
            let before = Usage::now()?;
            entry.work.run(pace.per_batch, &mut clock)?;
            series.add(&clock, pace.per_batch, Usage::now()? - before)?;
        }
    }
    Ok(series)
}

/// Warms each subject up, and finds how often it fits into a batch.
///
/// Subjects of one name and size get the same pace, whoever does the work: that of the first, which is the
/// floor.
fn find_paces(entries: &mut [Entry], effort: Effort) -> Result<Vec<Pace>, Failure> {
    let mut found: BTreeMap<(&str, u64), Pace> = BTreeMap::new();
    let mut paces = Vec::new();
    for entry in entries {
        let pace = find_pace(entry.work.as_mut(), effort.batch)?;
        paces.push(*found.entry((entry.subject, entry.size)).or_insert(pace));
    }
    Ok(paces)
}

/// Doubles the work until it fills a quarter of a batch.
///
/// The fastest of three goes counts: a disturbed one would make every batch of the run too short.
fn find_pace(work: &mut dyn Subject, batch: Duration) -> Result<Pace, Failure> {
    let mut count = 1;
    loop {
        let mut time = Duration::MAX;
        for _ in 0..3 {
            let mut clock = Clock::new(count);
            work.run(count, &mut clock)?;
            time = time.min(clock.total());
        }
        if time >= batch / 4 {
            return Ok(pace(nanoseconds(time) / count as f64, nanoseconds(batch)));
        }
        count *= 2;
    }
}

/// The pace for an operation of `time`, in a batch of `batch`: whole laps, at least one.
#[allow(clippy::cast_possible_truncation)] // a float cast saturates; no time is negative
fn pace(time: f64, batch: f64) -> Pace {
    let per_lap = (SHORTEST_LAP / time).ceil().max(1.0) as u64;
    let laps = (batch / time / per_lap as f64).round().max(1.0) as u64;
    Pace { per_batch: laps.saturating_mul(per_lap), per_lap }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    #[test]
    fn a_batch_is_whole_laps() {
        for (time, batch, per_batch, per_lap) in
            [(100.0, 5e6, 50_000, 10), (300.0, 5e6, 16_668, 4), (10_000.0, 5e6, 500, 1), (9e6, 5e6, 1, 1)]
        {
            let pace = pace(time, batch);
            assert_eq!((pace.per_batch, pace.per_lap), (per_batch, per_lap), "{time} ns in {batch} ns");
        }
    }

    /// A subject that writes its letter down instead of working.
    struct Letter(char, Rc<RefCell<String>>);

    impl Subject for Letter {
        fn run(&mut self, count: u64, clock: &mut Clock) -> Result<(), Failure> {
            self.1.borrow_mut().push(self.0);
            clock.start();
            std::thread::sleep(Duration::from_micros(300)); // the work of this subject: to take time
            clock.finish(count);
            Ok(())
        }
    }

    #[test]
    fn subjects_take_turns() {
        let written = Rc::new(RefCell::new(String::new()));
        let letter = |letter| Letter(letter, Rc::clone(&written));
        let mut entries = [
            Entry::floor("way", 8, letter('A')),
            Entry::ours("way", 8, letter('B')),
            Entry::model("other", 8, letter('C')),
        ];
        let effort = Effort { batches: 4, ..Effort::QUICK };
        let series = measure(&mut entries, effort).expect("measured");
        assert!(written.borrow().ends_with("ABCCBAABCCBA"), "{}", written.borrow());
        assert_eq!(series.iter().map(|series| series.medians().len()).collect::<Vec<_>>(), [4; 3]);
        // Long operations end the turns early, but not before there are a few.
        written.borrow_mut().clear();
        let effort = Effort { batches: 1000, group: Duration::ZERO, ..effort };
        let series = measure(&mut entries, effort).expect("measured");
        assert_eq!(series.first().map(|series| series.medians().len()), Some(FEWEST));
    }
}
