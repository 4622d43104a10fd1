//! What is measured (an operation, many times) and how its time is taken (laps of a clock).

use std::time::{Duration, Instant};

use crate::Failure;
use crate::usage::Usage;

/// Something that can be measured: one operation, which can be repeated.
pub trait Subject {
    /// Does the operation `count` times.
    ///
    /// Whatever prepares the repetitions comes before `clock.start()`. After each operation comes
    /// `clock.tick()`; a subject whose operations overlap (a stream of messages) calls
    /// `clock.finish(count)` once instead.
    ///
    /// # Errors
    ///
    /// When the work cannot be done, or was done wrongly (a sum that does not match).
    fn run(&mut self, count: u64, clock: &mut Clock) -> Result<(), Failure>;
}

impl Subject for Box<dyn Subject> {
    fn run(&mut self, count: u64, clock: &mut Clock) -> Result<(), Failure> {
        (**self).run(count, clock)
    }
}

/// A clock that is read once every `per_lap` operations.
///
/// Reading it costs tens of nanoseconds, as much as a spinning round trip: short operations share a lap,
/// and long ones have one each, so that their tails can be seen.
#[derive(Debug)]
pub struct Clock {
    /// Operations between two readings.
    per_lap: u64,
    /// Operations since the last reading.
    in_lap: u64,
    /// The last reading.
    last: Instant,
    /// Nanoseconds per operation, one entry a lap.
    laps: Vec<f64>,
    /// The time of all laps.
    total: Duration,
    /// What other processes have used up for the operations, less what this one has used up beside them.
    elsewhere: Usage,
}

impl Clock {
    /// A clock that is read every `per_lap` operations.
    pub fn new(per_lap: u64) -> Self {
        Self {
            per_lap,
            in_lap: 0,
            last: Instant::now(),
            laps: Vec::new(),
            total: Duration::ZERO,
            elsewhere: Usage::default(),
        }
    }

    /// Begins the first lap.
    #[inline]
    pub fn start(&mut self) {
        self.in_lap = 0;
        self.last = Instant::now();
    }

    /// An operation is over.
    #[inline]
    pub fn tick(&mut self) {
        self.in_lap += 1;
        if self.in_lap == self.per_lap {
            self.finish(self.per_lap);
        }
    }

    /// A lap of `operations` is over, and the next begins.
    pub fn finish(&mut self, operations: u64) {
        let now = Instant::now();
        let time = now - self.last;
        self.laps.push(nanoseconds(time) / operations as f64);
        self.total += time;
        self.in_lap = 0;
        self.last = now;
    }

    /// Another process has used this up for the operations.
    pub(crate) fn add_usage(&mut self, of_another: Usage) {
        self.elsewhere += of_another;
    }

    /// Does something that belongs to no lap, and whose costs are nobody's; the next lap begins behind it.
    pub(crate) fn beside<T>(&mut self, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        let before = Usage::now()?;
        let done = work()?;
        self.elsewhere += before - Usage::now()?;
        self.start();
        Ok(done)
    }

    /// What was used up elsewhere.
    pub(crate) fn elsewhere(&self) -> Usage {
        self.elsewhere
    }

    /// Nanoseconds per operation, one entry a lap.
    pub(crate) fn laps(&self) -> &[f64] {
        &self.laps
    }

    /// The time of all laps.
    pub fn total(&self) -> Duration {
        self.total
    }
}

/// A duration as a number.
pub(crate) fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// A subject that needs no second process: a closure that does the operation once.
pub(crate) struct Alone<F>(pub(crate) F);

impl<F: FnMut() -> Result<(), Failure>> Subject for Alone<F> {
    fn run(&mut self, count: u64, clock: &mut Clock) -> Result<(), Failure> {
        clock.start();
        for _ in 0..count {
            (self.0)()?;
            clock.tick();
        }
        Ok(())
    }
}
