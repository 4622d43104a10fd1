//! Benchmarks that compare ways in which processes share memory, and hold this workspace's libraries
//! against raw calls.
//!
//! # Layout
//!
//! * [`Question`], [`Row`], [`Report`]: what a run finds; [`Environment`]: where;
//! * [`table`], [`page()`], [`plot`]: a report as text, as a page, as pictures; [`sentences`]: what to take
//!   away; [`Comparison`]: what changed between two;
//! * [`prepare`] and the files in `questions/`: the subjects, each of them two halves in two processes;
//! * [`SecondProcess`]: the other half, this program started again; [`Place`]: CPUs and namespace;
//! * `measure.rs`: subjects in turns, laps of a [`Clock`], [`Usage`] of both processes; [`Findings`]:
//!   medians, percentiles, ratios, and how far to trust them;
//! * `memory.rs`: the four memories that ping-pong and the ring run on; `floor/`: the raw system calls;
//! * `benches/frame/mod.rs`: the same subjects under criterion.
//!
//! What a second process writes is never reached through a plain reference here either: raw memory goes
//! through atomics and libc's memcpy, ours through our libraries.

mod advice;
mod clock;
mod compare;
mod environment;
mod exchange;
mod failure;
mod findings;
mod floor;
mod measure;
mod memory;
mod orders;
mod page;
mod parts;
mod payload;
#[cfg(feature = "peers")]
mod peers;
mod place;
pub mod plot;
mod question;
mod questions;
mod report;
mod second_process;
mod series;
mod spin;
pub mod table;
mod usage;

pub use advice::{crossover, sentences};
pub use clock::{Clock, Subject};
pub use compare::Comparison;
pub use environment::Environment;
pub use failure::Failure;
pub use findings::Findings;
pub use measure::{Effort, Entry};
pub use page::{page, table as html_table};
pub use place::Place;
pub use question::{Counts, Question};
pub use questions::{Group, Preparation, prepare};
pub use report::{Missing, NOISY, Range, Report, Role, Row, SCHEMA, Unit, ratio};
pub use second_process::{SecondProcess, become_if_asked};
pub use usage::Usage;
