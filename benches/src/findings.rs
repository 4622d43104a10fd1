//! From the series of all rounds to the rows of the report.

use crate::Failure;
use crate::measure::{Effort, measure};
use crate::question::Question;
use crate::questions::Group;
use crate::report::{Missing, NOISY, Range, Role, Row, Unit, ratio};
use crate::series::{Series, median, median_interval};

/// What the rounds of one question have found so far.
#[derive(Debug)]
pub struct Findings {
    /// The question.
    question: Question,
    /// One entry a subject, in the order of their first appearance.
    found: Vec<Finding>,
    /// What could not be measured.
    missing: Vec<Missing>,
}

/// One subject over the rounds.
#[derive(Debug)]
struct Finding {
    subject: &'static str,
    role: Role,
    size: u64,
    floor: Option<&'static str>,
    /// One entry a round.
    rounds: Vec<Series>,
}

impl Findings {
    /// Nothing yet.
    pub fn new(question: Question) -> Self {
        Self { question, found: Vec::new(), missing: Vec::new() }
    }

    /// Measures a group in turns, as part of one more round.
    ///
    /// # Errors
    ///
    /// What a subject reports.
    pub fn add(&mut self, mut group: Group, effort: Effort) -> Result<(), Failure> {
        for missing in group.missing {
            if !self.missing.contains(&missing) {
                self.missing.push(missing);
            }
        }
        let measured = measure(&mut group.entries, effort)?;
        for (entry, series) in group.entries.iter().zip(measured) {
            let key = (entry.subject, entry.role, entry.size);
            match self.found.iter_mut().find(|known| (known.subject, known.role, known.size) == key) {
                Some(known) => known.rounds.push(series),
                None => self.found.push(Finding {
                    subject: entry.subject,
                    role: entry.role,
                    size: entry.size,
                    floor: entry.floor,
                    rounds: vec![series],
                }),
            }
        }
        Ok(())
    }

    /// The rows, each held against its floor of the same size.
    ///
    /// # Errors
    ///
    /// When a subject has no batch.
    pub fn rows(&self) -> Result<Vec<Row>, Failure> {
        self.found.iter().map(|finding| self.row(finding)).collect()
    }

    /// What could not be measured, and why.
    pub fn into_missing(self) -> Vec<Missing> {
        self.missing
    }

    /// What the finding is held against, in the role of a floor or of a checked one.
    fn floor_of(&self, finding: &Finding, role: Role) -> Option<Held> {
        let is_it = |other: &&Finding| {
            other.role == role && Some(other.subject) == finding.floor && other.size == finding.size
        };
        self.found.iter().find(is_it).and_then(|floor| Held::new(finding, floor))
    }

    fn row(&self, finding: &Finding) -> Result<Row, Failure> {
        let nothing =
            || Failure::new(format!("{} ({}): nothing was measured", finding.subject, finding.size));
        let unit = self.question.unit();
        // One operation of the first touch is a region; its figures are those of a page.
        let parts = self.question.parts(finding.size) as f64;
        let figure = |time: f64| match unit {
            Unit::Nanoseconds => time / parts,
            Unit::BytesPerSecond => finding.size as f64 * 1e9 / time,
            Unit::PerSecond => 1e9 / time,
        };
        let mut all = Series::new()?;
        finding.rounds.iter().try_for_each(|round| all.absorb(round))?;
        let time = median(all.medians()).ok_or_else(nothing)?;
        let spread = median_interval(all.medians()).ok_or_else(nothing)?;
        let range = figures_between(spread, finding.medians()).map(figure);
        let held = self.floor_of(finding, Role::Floor);
        let checked = self.floor_of(finding, Role::Checked).filter(|_| finding.role == Role::Ours);
        let (floor, found) = (held.as_ref().map(|held| figure(held.floor)), held.as_ref());
        let ratio = floor.map(|floor| ratio(unit, figure(time), floor));
        let ratio_range = found.map(|held| held.range);
        Ok(Row {
            question: self.question,
            subject: finding.subject.to_owned(),
            role: finding.role,
            size: finding.size,
            unit,
            median: figure(time),
            range,
            p99: figure(all.quantile(990.0).max(time)),
            p999: figure(all.quantile(999.0).max(time)),
            floor,
            ratio,
            best: found.map(|held| held.best),
            checked: checked.as_ref().map(|held| time / held.floor),
            checked_best: checked.map(|held| held.best),
            ratio_range,
            cpu: all.per_operation(|usage| usage.cpu) / parts,
            switches: all.per_operation(|usage| usage.switches) / parts,
            faults: all.per_operation(|usage| usage.faults) / parts,
            batches: all.medians().len(),
            noisy: ratio_range.filter(|_| finding.role != Role::Floor).unwrap_or(range).factor() > NOISY,
        })
    }
}

impl Finding {
    /// The median of each round.
    fn medians(&self) -> Vec<f64> {
        self.rounds.iter().filter_map(|round| median(round.medians())).collect()
    }
}

/// A subject held against its floor.
#[derive(Debug)]
struct Held {
    /// The floor's median, as a time.
    floor: f64,
    /// The least ratio of a round.
    best: f64,
    /// Where the ratio of another run is expected.
    range: Range,
}

impl Held {
    /// Times are compared, so a ratio here is above 1 where the subject is worse, whatever the unit.
    fn new(finding: &Finding, floor: &Finding) -> Option<Self> {
        let rounds: Vec<f64> =
            finding.medians().iter().zip(floor.medians()).map(|(ours, floor)| ours / floor).collect();
        let turns: Vec<f64> = finding
            .rounds
            .iter()
            .zip(&floor.rounds)
            .flat_map(|(ours, floor)| {
                ours.medians().iter().zip(floor.medians()).map(|(ours, floor)| ours / floor)
            })
            .collect();
        let all: Vec<f64> = floor.rounds.iter().flat_map(Series::medians).copied().collect();
        Some(Self {
            floor: median(&all)?,
            best: rounds.iter().copied().min_by(f64::total_cmp)?,
            range: figures_between(median_interval(&turns)?, rounds),
        })
    }
}

/// The least range that holds the interval and all figures.
fn figures_between(interval: (f64, f64), figures: Vec<f64>) -> Range {
    let low = figures.iter().copied().fold(interval.0, f64::min);
    let high = figures.into_iter().fold(interval.1, f64::max);
    Range { low, high }
}

impl Range {
    /// The range of another measure of the same thing, which may run the other way.
    fn map(self, figure: impl Fn(f64) -> f64) -> Self {
        let (one, other) = (figure(self.low), figure(self.high));
        Self { low: one.min(other), high: one.max(other) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Subject};
    use crate::measure::Entry;

    /// Work that takes as long as it says, by its own account.
    struct Takes(u32);

    impl Subject for Takes {
        fn run(&mut self, count: u64, clock: &mut Clock) -> Result<(), Failure> {
            clock.start();
            std::thread::sleep(std::time::Duration::from_micros(self.0.into())); // the work itself
            clock.finish(count);
            Ok(())
        }
    }

    #[test]
    fn rows_are_held_against_their_floor_and_know_what_is_noise() {
        let mut findings = Findings::new(Question::SetUp);
        let effort = Effort { batches: 6, batch: std::time::Duration::from_micros(100), ..Effort::QUICK };
        for _ in 0..2 {
            let entries = vec![
                Entry::floor("way", 8, Takes(400)),
                Entry::checked("way", 8, Takes(800)),
                Entry::ours("way", 8, Takes(1200)),
                Entry::model("other", 8, Takes(400)),
            ];
            findings.add(Group::from(entries), effort).expect("measured");
        }
        let rows = findings.rows().expect("rows");
        let [floor, checked, ours, other] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!((floor.ratio, other.ratio, ours.floor), (Some(1.0), None, Some(floor.median)));
        assert_eq!([floor.batches, ours.batches, other.batches], [12; 3], "two rounds of six");
        let range = ours.ratio_range.expect("it has a floor");
        assert!(range.low <= ours.best.expect("it has a floor"), "{ours:?}");
        assert!(range.low > 1.2, "three times the work shows: {ours:?}");
        // The price of the checks is a ratio of its own, and what is left of ours is held against them too.
        assert_eq!((checked.floor, checked.checked, floor.checked), (Some(floor.median), None, None));
        assert_eq!(ours.checked, Some(ours.median / checked.median));
        assert!(ours.checked_best.is_some_and(|best| ours.best.is_some_and(|bare| best < bare)), "{ours:?}");
    }
}
