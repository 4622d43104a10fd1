//! The laps of one subject over a run, and what they come to.

use hdrhistogram::Histogram;

use crate::Failure;

/// Laps are counted in picoseconds, so that three digits of a spinning round trip stay.
const PER_NANOSECOND: f64 = 1000.0;

/// Nothing here takes an hour; longer is counted as an hour.
const LONGEST: u64 = 3_600_000_000_000_000;

/// The laps of one subject.
///
/// # Invariants
///
/// `medians` has one entry for each batch that had a lap.
#[derive(Debug)]
pub(crate) struct Series {
    /// Every lap, in picoseconds per operation: for the tails.
    laps: Histogram<u64>,
    /// The median of each batch, in nanoseconds per operation.
    medians: Vec<f64>,
}

impl Series {
    /// No laps yet.
    pub(crate) fn new() -> Result<Self, Failure> {
        let laps = Histogram::new_with_bounds(1, LONGEST, 3).map_err(Failure::step("a histogram"))?;
        Ok(Self { laps, medians: Vec::new() })
    }

    /// Adds the laps of one batch, in nanoseconds per operation.
    pub(crate) fn add(&mut self, batch: &[f64]) {
        for lap in batch {
            // A lap beyond all bounds lands on the last one.
            #[allow(clippy::cast_possible_truncation)] // a float cast saturates; no time is negative
            let picoseconds = (lap * PER_NANOSECOND) as u64;
            self.laps.saturating_record(picoseconds);
        }
        // INVARIANT: one entry for this batch, if it had a lap.
        self.medians.extend(median(batch));
    }

    /// The median over batches of their medians: a batch that was disturbed counts once, however many laps
    /// it lost.
    pub(crate) fn median(&self) -> Option<f64> {
        median(&self.medians)
    }

    /// The lap that 99 of 100 do not exceed, and never less than the median.
    pub(crate) fn p99(&self) -> Option<f64> {
        let p99 = self.laps.value_at_quantile(0.99) as f64 / PER_NANOSECOND;
        self.median().map(|median| p99.max(median))
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
    fn percentiles_are_those_of_all_laps_and_the_median_that_of_batches() {
        let check = |batches: &[&[f64]], expected: Option<(f64, f64)>| {
            let mut series = Series::new().expect("a histogram");
            batches.iter().for_each(|batch| series.add(batch));
            let found = series.median().zip(series.p99());
            let close = |(a, b): (f64, f64)| (a / b - 1.0).abs() < 0.002; // three digits
            let same = match (found, expected) {
                (Some(found), Some(expected)) => close((found.0, expected.0)) && close((found.1, expected.1)),
                (found, expected) => found.is_none() && expected.is_none(),
            };
            assert!(same, "{found:?} where {expected:?} was expected");
        };
        check(&[], None);
        check(&[&[]], None);
        check(&[&[100.0]], Some((100.0, 100.0)));
        // One disturbed batch with many laps moves neither the median nor its own weight.
        check(&[&[10.0], &[10.0], &[90.0; 20]], Some((10.0, 90.0)));
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        check(&[&hundred], Some((50.5, 99.0)));
        check(&[&[1e30]], Some((1e30, LONGEST as f64 / PER_NANOSECOND)).map(|(m, _)| (m, m)));
    }
}
