//! Two runs side by side: what changed, and what is only noise.

use std::fmt::{self, Display};

use crate::table::{figure, size};
use crate::{Environment, Range, Report, Role, Row, Unit};

/// Prints what the second run has found otherwise than the first.
///
/// A row has changed when the ranges in which both runs expected another one do not touch, and the figures
/// are further apart than runs of the same program are found to be. Ratios are compared where there are some,
/// since both sides of a ratio see the same machine; times otherwise, and they need more to count.
#[derive(Debug)]
pub struct Comparison<'a>(pub &'a Report, pub &'a Report);

/// Below this a ratio has not changed.
const RATIO: f64 = 1.05;

/// Below this a time has not changed.
const TIME: f64 = 1.15;

/// What became of a row.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// Worse by this factor.
    Worse(f64),
    /// Better by this factor.
    Better(f64),
    /// No more than noise.
    Same,
}

impl Display for Comparison<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "WHAT CHANGED BETWEEN TWO RUNS\n")?;
        environments(f, &self.0.environment, &self.1.environment)?;
        let pairs: Vec<_> = self
            .0
            .rows
            .iter()
            .filter_map(|before| {
                self.1.rows.iter().find(|after| before.is(after)).map(|after| (before, after))
            })
            .collect();
        let mut same = 0;
        for (before, after) in &pairs {
            match verdict(before, after) {
                Verdict::Same => same += 1,
                Verdict::Worse(factor) => line(f, "worse", factor, before, after)?,
                Verdict::Better(factor) => line(f, "better", factor, before, after)?,
            }
        }
        let (gone, new) = (only_in(self.0, self.1), only_in(self.1, self.0));
        for (word, rows, other) in [("gone", &gone, self.1), ("new", &new, self.0)] {
            let mut lines: Vec<_> = rows.iter().map(|row| named(row, other)).collect();
            lines.dedup();
            lines.iter().try_for_each(|line| writeln!(f, "  {word:<13} {line}"))?;
        }
        let (gone, new) = (gone.len(), new.len());
        writeln!(f, "\n  {same} of {} rows are the same but for noise; {gone} gone, {new} new", pairs.len())
    }
}

/// The rows of one run that the other does not have, those of a question behind each other.
fn only_in<'a>(one: &'a Report, other: &Report) -> Vec<&'a Row> {
    let mut rows: Vec<_> =
        one.rows.iter().filter(|row| !other.rows.iter().any(|same| same.is(row))).collect();
    rows.sort_by_key(|row| row.question);
    rows
}

/// Which row it is; or only its question, where the other run has nothing of it.
fn named(row: &Row, other: &Report) -> String {
    let title = row.question.title();
    if other.rows.iter().any(|other| other.question == row.question) {
        format!("{title:<11} {:<30} {:>8}  {}", row.subject, size(row), row.role.name())
    } else {
        format!("{title:<11} every way")
    }
}

/// Whether a row has changed, by its ratio where it has one.
fn verdict(before: &Row, after: &Row) -> Verdict {
    let ratios = before.ratio.zip(after.ratio).filter(|_| before.role != Role::Floor);
    let ranges = before.ratio_range.zip(after.ratio_range);
    let (factor, ranges, least) = match ratios.zip(ranges) {
        Some(((before, after), ranges)) => (after / before, ranges, RATIO),
        None => {
            let factor = match before.unit {
                Unit::Nanoseconds => after.median / before.median,
                Unit::BytesPerSecond | Unit::PerSecond => before.median / after.median,
            };
            (factor, (before.range, after.range), TIME)
        }
    };
    match factor {
        _ if touch(ranges.0, ranges.1) => Verdict::Same,
        worse if worse > least => Verdict::Worse(worse),
        better if better < 1.0 / least => Verdict::Better(1.0 / better),
        _ => Verdict::Same,
    }
}

fn touch(one: Range, other: Range) -> bool {
    one.low <= other.high && other.low <= one.high
}

fn line(f: &mut fmt::Formatter<'_>, word: &str, factor: f64, before: &Row, after: &Row) -> fmt::Result {
    let shown = |row: &Row| match row.ratio.filter(|_| row.role != Role::Floor) {
        Some(ratio) => format!("{ratio:.2} of the floor"),
        None => figure(row.unit, row.median),
    };
    writeln!(
        f,
        "  {word:<6} {factor:>5.2}x  {:<11} {:<30} {:>8}  {:<7}  {} -> {}",
        before.question.title(),
        before.subject,
        size(before),
        before.role.name(),
        shown(before),
        shown(after),
    )
}

/// Two machines are two machines: what differs is said before any figure.
fn environments(f: &mut fmt::Formatter<'_>, before: &Environment, after: &Environment) -> fmt::Result {
    let differ = |name: &str, before: &dyn Display, after: &dyn Display| {
        let (before, after) = (before.to_string(), after.to_string());
        (before != after).then(|| format!("  {name}: {before} -> {after}"))
    };
    let lines = [
        differ("kernel", &before.kernel, &after.kernel),
        differ("processor", &before.cpu, &after.cpu),
        differ("CPUs", &before.cpus, &after.cpus),
        differ("pinned", &before.pinned, &after.pinned),
        differ("huge pages for shared memory", &before.thp_shmem, &after.thp_shmem),
        differ("load", &before.load, &after.load),
    ];
    let lines: Vec<_> = lines.into_iter().flatten().collect();
    lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
    if lines.is_empty() { Ok(()) } else { writeln!(f) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Question;

    #[test]
    fn only_what_is_beyond_noise_has_changed() {
        let time = |median, low, high| Row {
            range: Range { low, high },
            ..Row::of(Question::SetUp, "way", Role::Model, 8, median)
        };
        let before = time(100.0, 95.0, 105.0);
        for (after, expected) in [
            (time(100.0, 95.0, 105.0), Verdict::Same),
            (time(150.0, 104.0, 160.0), Verdict::Same), // the ranges touch
            (time(110.0, 108.0, 112.0), Verdict::Same), // they do not, but it is little
            (time(150.0, 140.0, 160.0), Verdict::Worse(1.5)),
            (time(50.0, 40.0, 60.0), Verdict::Better(2.0)),
        ] {
            assert_eq!(verdict(&before, &after), expected, "{after:?}");
        }
        let ratio = |ratio| Row {
            role: Role::Ours,
            floor: Some(100.0),
            ratio: Some(ratio),
            ratio_range: Some(Range { low: ratio - 0.02, high: ratio + 0.02 }),
            ..time(100.0 * ratio, 1.0, 1000.0)
        };
        assert_eq!(verdict(&ratio(1.0), &ratio(1.04)), Verdict::Same);
        assert_eq!(verdict(&ratio(1.0), &ratio(1.25)), Verdict::Worse(1.25));
        // The same ratio on a machine twice as slow is the same.
        let slower = Row { median: 200.0, floor: Some(200.0), ..ratio(1.0) };
        assert_eq!(verdict(&ratio(1.0), &slower), Verdict::Same);
    }

    #[test]
    fn what_one_run_has_alone_is_named() {
        let (mut before, mut after) = (crate::report::empty(), crate::report::empty());
        let row = |subject, role, size| Row::of(Question::HandOver, subject, role, size, 100.0);
        before.rows = vec![row("stays", Role::Ours, 8), row("goes", Role::Ours, 8)];
        after.rows = vec![row("stays", Role::Ours, 8), row("comes", Role::Checked, 8)];
        after.rows.extend([row("comes", Role::Floor, 8), row("comes", Role::Checked, 16)]);
        let unasked = |subject| Row::of(Question::SetUp, subject, Role::Ours, 8, 100.0);
        after.rows.extend([unasked("one way"), unasked("another")]);
        let text = Comparison(&before, &after).to_string();
        let lines = |word: &str| text.lines().filter(|line| line.trim_start().starts_with(word)).count();
        assert_eq!((lines("gone "), lines("new ")), (1, 4), "{text}");
        assert!(text.contains("Set-up      every way\n"), "{text}");
        assert!(text.contains("1 of 1 rows are the same but for noise; 1 gone, 5 new"), "{text}");
    }

    #[test]
    fn more_bytes_in_a_second_are_better() {
        let speed = |median: f64| Row {
            range: Range { low: median * 0.99, high: median * 1.01 },
            ..Row::of(Question::Throughput, "way", Role::Model, 8, median)
        };
        assert_eq!(verdict(&speed(100.0), &speed(200.0)), Verdict::Better(2.0));
        assert_eq!(verdict(&speed(200.0), &speed(100.0)), Verdict::Worse(2.0));
    }
}
