//! Benchmarks that compare ways in which processes share memory, and hold this workspace's libraries
//! against raw calls.
//!
//! # Layout
//!
//! * [`Question`], [`Row`], [`Report`]: what a run finds; [`Environment`]: where; [`table`]: as text;
//! * [`prepare`] and the files in `questions/`: the subjects, each of them two halves in two processes;
//! * [`SecondProcess`]: the other half, this program started again; [`Place`]: CPUs and namespace;
//! * [`measure()`]: subjects in turns, laps of a [`Clock`], medians and percentiles;
//! * `memory.rs`: the four memories that ping-pong and the ring run on; `floor/`: the raw system calls;
//! * `criterion_frame.rs`: the same subjects under criterion.
//!
//! What a second process writes is never reached through a plain reference here either: raw memory goes
//! through atomics and libc's memcpy, ours through our libraries.

mod clock;
mod criterion_frame;
mod environment;
mod failure;
mod floor;
mod measure;
mod memory;
mod orders;
mod parts;
mod payload;
mod place;
mod questions;
mod report;
mod second_process;
mod series;
mod spin;
pub mod table;

pub use clock::{Clock, Subject};
pub use criterion_frame::criterion_main;
pub use environment::Environment;
pub use failure::Failure;
pub use measure::{Effort, Entry, measure};
pub use place::Place;
pub use questions::prepare;
pub use report::{Question, Report, Role, Row, Unit, ratio};
pub use second_process::{SecondProcess, become_if_asked};
