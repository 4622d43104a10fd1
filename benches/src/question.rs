//! The questions: their names, and what is said of each.

use serde::{Deserialize, Serialize};

use crate::Unit;
use crate::questions::first_touch;

/// The questions, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// What does it cost to make a region, fill it, and destroy it?
    SetUp,
    /// What does it cost to enter a region that stands?
    Joining,
    /// What does the first touch of a page cost?
    FirstTouch,
    /// What does it cost until another process has a region and has read it?
    HandOver,
    /// How fast do bytes get into shared memory, and out of it?
    BulkCopy,
    /// How long does a word take to go there and back?
    PingPong,
    /// How many bytes a second can one process write and another read?
    Throughput,
    /// What does one more cost, where many stand already?
    Scale,
    /// How many transactions a second does the simulated driver carry out?
    Simulator,
}

/// What the size of a row counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// Bytes of a region or message.
    Bytes,
    /// How many of the kind stand already.
    Things,
}

impl Question {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::SetUp,
        Self::Joining,
        Self::FirstTouch,
        Self::HandOver,
        Self::BulkCopy,
        Self::PingPong,
        Self::Throughput,
        Self::Scale,
        Self::Simulator,
    ];

    /// The heading in the table.
    pub fn title(self) -> &'static str {
        match self {
            Self::SetUp => "Set-up",
            Self::Joining => "Joining",
            Self::FirstTouch => "First touch",
            Self::HandOver => "Hand-over",
            Self::BulkCopy => "Bulk copy",
            Self::PingPong => "Ping-pong",
            Self::Throughput => "Throughput",
            Self::Scale => "Scale",
            Self::Simulator => "Simulator",
        }
    }

    /// What one operation does: the first sentence under the heading.
    pub fn work(self) -> &'static str {
        match self {
            Self::SetUp => "Create a region, map it, copy data into all of it, unmap it, destroy it.",
            Self::Joining => {
                "Enter a region that another process holds, look at every page, leave (by descriptor: with a dup)."
            }
            Self::FirstTouch => {
                "Map a region of 4 MiB that stands, write a word into each 4 KiB, unmap; getting it ready is in the time."
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
            Self::Scale => "Make one more and take it away, where as many stand already as the row says.",
            Self::Simulator => {
                "A call with descriptors and its empty reply, through the simulated driver, in memory."
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
            Self::FirstTouch => {
                "Per 4 KiB. Populating saves the way into the kernel and not the pages; only huge pages save work."
            }
            Self::HandOver => {
                "No data travels: size costs page faults and reading, and a copy first where it is not read in place."
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
            Self::Scale => "Flat means that one can have many. A row ends where the machine's limit does.",
            Self::Simulator => {
                "No process is woken and no page mapped, so nothing of this is held against the other rows."
            }
        }
    }

    /// The unit of `median`, `p99` and `floor`.
    pub fn unit(self) -> Unit {
        match self {
            Self::BulkCopy | Self::Throughput => Unit::BytesPerSecond,
            Self::Simulator => Unit::PerSecond,
            _ => Unit::Nanoseconds,
        }
    }

    /// Into how many parts, of which each is a figure, an operation on so many bytes is divided.
    pub(crate) fn parts(self, size: u64) -> u64 {
        match self {
            Self::FirstTouch => size / first_touch::PAGE as u64,
            _ => 1,
        }
    }

    /// What the sizes of its rows count.
    pub fn counts(self) -> Counts {
        match self {
            Self::Scale | Self::Simulator => Counts::Things,
            _ => Counts::Bytes,
        }
    }
}
