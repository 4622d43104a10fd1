//! The report: what a run found, as it is printed and as it is written.

use serde::{Deserialize, Serialize};

use crate::Environment;

/// The six questions, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// What does it cost to make a region, fill it, and destroy it?
    SetUp,
    /// What does it cost to enter a region that stands?
    Joining,
    /// What does it cost until another process has a region and has read it?
    HandOver,
    /// How fast do bytes get into shared memory, and out of it?
    BulkCopy,
    /// How long does word take to go there and back?
    PingPong,
    /// How many bytes a second can one process write and another read?
    Throughput,
}

impl Question {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::SetUp, Self::Joining, Self::HandOver, Self::BulkCopy, Self::PingPong, Self::Throughput];

    /// The heading in the table.
    pub fn title(self) -> &'static str {
        match self {
            Self::SetUp => "Set-up",
            Self::Joining => "Joining",
            Self::HandOver => "Hand-over",
            Self::BulkCopy => "Bulk copy",
            Self::PingPong => "Ping-pong",
            Self::Throughput => "Throughput",
        }
    }

    /// What one operation does: the first sentence under the heading.
    pub fn work(self) -> &'static str {
        match self {
            Self::SetUp => "Create a region, map it, copy data into all of it, unmap it, destroy it.",
            Self::Joining => {
                "Enter a region that another process holds, look at every page, leave (by descriptor: with a dup)."
            }
            Self::HandOver => {
                "Give another process a filled region; it maps it, sums every byte, unmaps it, answers with the sum."
            }
            Self::BulkCopy => {
                "Copy private bytes into pages that stand, or out of them, again and again; the floor is memcpy."
            }
            Self::PingPong => {
                "A word goes to the other process, and one comes back; the next is sent after that."
            }
            Self::Throughput => {
                "One process writes messages, another reads and sums every byte; the two ends of a ring spin."
            }
        }
    }

    /// How to read the figures: the second sentence.
    pub fn reading(self) -> &'static str {
        match self {
            Self::SetUp => {
                "Fresh pages are the price, not the calls: 256 of them separate 1 MiB from 4 KiB, in every way alike."
            }
            Self::Joining => {
                "A fault brings in one page of a System V segment, but up to 16 of a memfd: that is the gap at 1 MiB."
            }
            Self::HandOver => {
                "No data travels: size costs page faults and reading. ipc-channel sums in place, the others copy out first."
            }
            Self::BulkCopy => {
                "A sound copy must not be slower than memcpy: the compiler is kept from looking, not the processor."
            }
            Self::PingPong => {
                "The way of waiting decides, not the kind of memory: compare spinning with all that sleep."
            }
            Self::Throughput => {
                "Per message the kernel is dear; with large ones, memory speed and the number of copies remain."
            }
        }
    }

    /// The unit of `median`, `p99` and `floor`.
    pub fn unit(self) -> Unit {
        match self {
            Self::BulkCopy | Self::Throughput => Unit::BytesPerSecond,
            _ => Unit::Nanoseconds,
        }
    }
}

/// What a row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The same work as a row of ours, in raw system calls.
    Floor,
    /// This workspace's library.
    Ours,
    /// A way that is compared, without a library of ours.
    Model,
    /// Somebody else's library.
    Peer,
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
    /// The size in bytes; 0 where there is none.
    pub size: u64,
    /// The unit of the figures.
    pub unit: Unit,
    /// The median over batches of the median within a batch.
    pub median: f64,
    /// The 99th percentile of all laps (for throughput: the 1st, so that it is always the bad end).
    pub p99: f64,
    /// The median of the raw system calls that this row is held against, where there are some.
    pub floor: Option<f64>,
    /// How many times worse than the floor: above 1 is always worse.
    pub ratio: Option<f64>,
}

impl Row {
    /// Sets `floor` and `ratio` from the median of the floor's row.
    pub(crate) fn hold_against(&mut self, floor: f64) {
        self.floor = Some(floor);
        self.ratio = Some(ratio(self.unit, self.median, floor));
    }
}

/// How many times worse `figure` is than `floor`.
pub fn ratio(unit: Unit, figure: f64, floor: f64) -> f64 {
    match unit {
        Unit::Nanoseconds => figure / floor,
        Unit::BytesPerSecond => floor / figure,
    }
}

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where it ran.
    pub environment: Environment,
    /// What it found.
    pub rows: Vec<Row>,
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
        ] {
            assert_eq!(ratio(unit, figure, floor), expected, "{unit:?} {figure} {floor}");
        }
    }
}
