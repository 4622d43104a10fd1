//! The report: what a run found, as it is printed and as it is written.
//!
//! Its JSON is these structures, field by field: their documentation is the documentation of the schema.

use serde::{Deserialize, Serialize};

use crate::{Environment, Question};

/// What a row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The same work as a row of ours, in raw system calls.
    Floor,
    /// The floor with the checks that our library makes besides, in raw system calls too: where a receiver who
    /// believes nothing has something to ask first.
    Checked,
    /// This workspace's library.
    Ours,
    /// A way that is compared, without a library of ours.
    Model,
    /// Somebody else's library.
    Peer,
}

impl Role {
    /// The word in tables and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Checked => "checked",
            Self::Ours => "ours",
            Self::Model => "model",
            Self::Peer => "peer",
        }
    }
}

/// What the figures of a row count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Time for one operation: less is better.
    #[serde(rename = "ns")]
    Nanoseconds,
    /// Payload, counted once: more is better.
    #[serde(rename = "bytes/s")]
    BytesPerSecond,
    /// Operations in a second: more is better.
    #[serde(rename = "1/s")]
    PerSecond,
}

/// Between which two figures another one is expected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// The lesser.
    pub low: f64,
    /// The greater.
    pub high: f64,
}

/// How far apart the two ends of a range may lie before a row is called noisy.
pub const NOISY: f64 = 1.15;

impl Range {
    /// How many times greater the greater is.
    pub fn factor(self) -> f64 {
        self.high / self.low
    }
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The question it answers.
    pub question: Question,
    /// The way in which it was done; a row of ours has the name of its floor.
    pub subject: String,
    /// What the row stands for.
    pub role: Role,
    /// What [`Question::counts`] says: bytes, or how many stand already; 0 where there is none.
    pub size: u64,
    /// The unit of the figures.
    pub unit: Unit,
    /// The median over batches of the median within a batch.
    pub median: f64,
    /// Where the median of another run is expected: the rounds of this one, and the spread of its batches.
    pub range: Range,
    /// The 99th percentile of all laps (for throughput: the 1st, so that it is always the bad end).
    pub p99: f64,
    /// The 99.9th percentile (for throughput: the 0.1st).
    pub p999: f64,
    /// The median of the raw system calls that this row is held against, where there are some.
    pub floor: Option<f64>,
    /// How many times worse than the floor: above 1 is always worse.
    pub ratio: Option<f64>,
    /// The ratio of the round in which it was least.
    pub best: Option<f64>,
    /// The ratio to the raw calls that make the same checks, for a row of ours beside which there are such.
    #[serde(default)]
    pub checked: Option<f64>,
    /// That ratio in the round in which it was least.
    #[serde(default)]
    pub checked_best: Option<f64>,
    /// Where the ratio of another run is expected, from the batches of one turn held against each other.
    pub ratio_range: Option<Range>,
    /// CPU time of an operation in nanoseconds, both processes together, the kernel's work for them included.
    pub cpu: f64,
    /// Context switches of an operation, both processes together.
    pub switches: f64,
    /// Page faults of an operation, both processes together.
    pub faults: f64,
    /// Batches, over all rounds.
    pub batches: usize,
    /// Whether another run may differ by more than [`NOISY`]: in the ratio, or without one in the median.
    pub noisy: bool,
}

impl Row {
    /// Whether both stand for the same work, done by the same.
    pub fn is(&self, other: &Self) -> bool {
        self.is_of(other) && self.role == other.role
    }

    /// Whether both stand for the same work, whoever does it.
    pub fn is_of(&self, other: &Self) -> bool {
        (self.question, &self.subject, self.size) == (other.question, &other.subject, other.size)
    }
}

/// How many times worse `figure` is than `floor`.
pub fn ratio(unit: Unit, figure: f64, floor: f64) -> f64 {
    match unit {
        Unit::Nanoseconds => figure / floor,
        Unit::BytesPerSecond | Unit::PerSecond => floor / figure,
    }
}

/// Something that could not be measured here, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The question.
    pub question: Question,
    /// The subject.
    pub subject: String,
    /// What the machine does not give.
    pub reason: String,
}

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The number of this shape; it grows when a field changes its meaning.
    pub schema: u32,
    /// Where it ran.
    pub environment: Environment,
    /// What it found.
    pub rows: Vec<Row>,
    /// What it could not find.
    pub missing: Vec<Missing>,
}

/// The shape of a report written by this program.
pub const SCHEMA: u32 = 2;

impl Report {
    /// The row of this work.
    pub fn find(&self, question: Question, subject: &str, role: Role, size: u64) -> Option<&Row> {
        let is_it = |row: &&Row| {
            row.question == question && row.subject == subject && row.role == role && row.size == size
        };
        self.rows.iter().find(is_it)
    }
}

/// A report of nowhere, without rows: for tests.
#[cfg(test)]
pub(crate) fn empty() -> Report {
    let environment = Environment::default();
    Report { schema: SCHEMA, environment, rows: Vec::new(), missing: Vec::new() }
}

#[cfg(test)]
impl Row {
    /// A row without floor or tails: for tests.
    pub(crate) fn of(question: Question, subject: &str, role: Role, size: u64, median: f64) -> Self {
        Self {
            question,
            subject: subject.to_owned(),
            role,
            size,
            unit: question.unit(),
            median,
            range: Range { low: median, high: median },
            p99: median,
            p999: median,
            floor: None,
            ratio: None,
            best: None,
            checked: None,
            checked_best: None,
            ratio_range: None,
            cpu: median,
            switches: 0.0,
            faults: 0.0,
            batches: 1,
            noisy: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_one_is_always_worse() {
        for (unit, figure, floor, expected) in [
            (Unit::Nanoseconds, 150.0, 100.0, 1.5),
            (Unit::Nanoseconds, 100.0, 100.0, 1.0),
            (Unit::Nanoseconds, 50.0, 100.0, 0.5),
            (Unit::BytesPerSecond, 50.0, 100.0, 2.0),
            (Unit::BytesPerSecond, 100.0, 100.0, 1.0),
            (Unit::BytesPerSecond, 200.0, 100.0, 0.5),
            (Unit::PerSecond, 50.0, 100.0, 2.0),
        ] {
            assert_eq!(ratio(unit, figure, floor), expected, "{unit:?} {figure} {floor}");
        }
    }
}
