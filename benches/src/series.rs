//! The batches of one subject in one round, and what figures come to.

use hdrhistogram::Histogram;

use crate::Failure;
use crate::clock::Clock;
use crate::usage::Usage;

/// Laps are counted in picoseconds, so that three digits of a spinning round trip stay.
const PER_NANOSECOND: f64 = 1000.0;

/// Nothing here takes an hour; longer is counted as an hour.
const LONGEST: u64 = 3_600_000_000_000_000;

/// The batches of one subject.
///
/// # Invariants
///
/// `medians` has one entry for each batch, and each batch had a lap.
#[derive(Debug)]
pub(crate) struct Series {
    /// Every lap, in picoseconds per operation: for the tails.
    laps: Histogram<u64>,
    /// The median of each batch, in nanoseconds per operation.
    medians: Vec<f64>,
    /// What all batches have used up, in both processes.
    usage: Usage,
    /// Operations in all batches.
    operations: u64,
}

impl Series {
    /// No batch yet.
    pub(crate) fn new() -> Result<Self, Failure> {
        let laps = Histogram::new_with_bounds(1, LONGEST, 3).map_err(Failure::step("a histogram"))?;
        Ok(Self { laps, medians: Vec::new(), usage: Usage::default(), operations: 0 })
    }

    /// Adds a batch of `operations`, for which this process has used up `usage`.
    pub(crate) fn add(&mut self, clock: &Clock, operations: u64, usage: Usage) -> Result<(), Failure> {
        for lap in clock.laps() {
            // A lap beyond all bounds lands on the last one.
            #[allow(clippy::cast_possible_truncation)] // a float cast saturates; no time is negative
            let picoseconds = (lap * PER_NANOSECOND) as u64;
            self.laps.saturating_record(picoseconds);
        }
        let median = median(clock.laps()).ok_or_else(|| Failure::new("a batch without a lap"))?;
        // INVARIANT: one entry for this batch, which had a lap.
        self.medians.push(median);
        self.usage += usage + clock.elsewhere();
        self.operations += operations;
        Ok(())
    }

    /// Adds the laps and costs of another round; what batches it had is asked there.
    pub(crate) fn absorb(&mut self, other: &Self) -> Result<(), Failure> {
        self.laps.add(&other.laps).map_err(Failure::step("joining two histograms"))?;
        // INVARIANT: an entry for each batch of both.
        self.medians.extend(&other.medians);
        self.usage += other.usage;
        self.operations += other.operations;
        Ok(())
    }

    /// The median of each batch, in the order of the turns.
    pub(crate) fn medians(&self) -> &[f64] {
        &self.medians
    }

    /// The lap that so many in a thousand do not exceed.
    pub(crate) fn quantile(&self, per_mille: f64) -> f64 {
        self.laps.value_at_quantile(per_mille / 1000.0) as f64 / PER_NANOSECOND
    }

    /// A cost of one operation; the other side has done one operation more in each batch, which is left out.
    pub(crate) fn per_operation(&self, cost: impl Fn(Usage) -> i64) -> f64 {
        (cost(self.usage) as f64 / self.operations.max(1) as f64).max(0.0)
    }
}

/// The middle of some figures; of an even number, the mean of the two in the middle.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let above = sorted.get(sorted.len() / 2).copied()?;
    match sorted.len() % 2 {
        0 => sorted.get(sorted.len() / 2 - 1).map(|below| f64::midpoint(*below, above)),
        _ => Some(above),
    }
}

/// Where the true median lies in 95 of 100 cases: between two of the figures themselves, whatever their
/// distribution (the ranks are those of a binomial distribution, by its normal approximation).
pub(crate) fn median_interval(figures: &[f64]) -> Option<(f64, f64)> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half_width = 0.98 * (sorted.len() as f64).sqrt();
    #[allow(clippy::cast_possible_truncation)] // a float cast saturates, and a rank below zero is the first
    let rank = |at: f64| at as usize;
    let low = rank((sorted.len() as f64 / 2.0 - half_width).floor());
    let high = rank((sorted.len() as f64 / 2.0 + half_width).ceil()).min(sorted.len().checked_sub(1)?);
    sorted.get(low).copied().zip(sorted.get(high).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        for (figures, expected) in [
            (&[][..], None),
            (&[3.0], Some(3.0)),
            (&[3.0, 1.0], Some(2.0)),
            (&[9.0, 1.0, 2.0], Some(2.0)),
            (&[9.0, 1.0, 2.0, 4.0], Some(3.0)),
        ] {
            assert_eq!(median(figures), expected, "{figures:?}");
        }
    }

    #[test]
    fn the_interval_holds_the_median_and_narrows_with_their_number() {
        assert_eq!(median_interval(&[]), None);
        assert_eq!(median_interval(&[5.0]), Some((5.0, 5.0)));
        let figures = |count: u32| (1..=count).map(f64::from).collect::<Vec<_>>();
        // Of five figures even the outermost two are no more than that.
        assert_eq!(median_interval(&figures(5)), Some((1.0, 5.0)));
        assert_eq!(median_interval(&figures(50)), Some((19.0, 33.0)));
        // One disturbed batch in fifty moves nothing.
        let mut disturbed = figures(50);
        disturbed.push(1e9);
        assert!(median_interval(&disturbed).is_some_and(|(low, high)| low >= 18.0 && high <= 35.0));
    }

    #[test]
    fn percentiles_are_those_of_all_laps() {
        let mut clock = Clock::new(1);
        clock.start();
        (0..1000).for_each(|_| clock.tick());
        let mut series = Series::new().expect("a histogram");
        series.add(&clock, 1000, Usage { cpu: 2000, switches: 1000, faults: 0 }).expect("laps");
        assert!(series.quantile(990.0) <= series.quantile(999.0));
        assert_eq!(series.per_operation(|usage| usage.cpu), 2.0);
        assert_eq!(series.per_operation(|usage| usage.switches), 1.0);
        assert!(series.add(&Clock::new(1), 1, Usage::default()).is_err(), "a batch without a lap is none");
    }
}
