//! Builds, checks and serves the book.
//!
//! The book may only say what a program in this workspace does. This crate holds it to that: it runs every example,
//! compares what it prints with the text that the pages quote, makes every generated piece again and compares it too,
//! and only then renders the pages with mdBook.
//!
//! # Layout
//!
//! In reading order, which is the order of the work:
//!
//! * [`workspace`] - where things are.
//! * [`examples`] - building the examples and finding their programs.
//! * [`run`] - running one, alone and under the same conditions every time.
//! * [`normalise`] - taking out of its output what differs from run to run.
//! * [`recorded`] - comparing a text with the committed one, or rewriting the committed one.
//! * [`quoted`] - the three above, for every example.
//! * [`picture`] - transactions of the simulated driver as drawings.
//! * [`handover`] - the ways to hand a descriptor over as a table.
//! * [`descriptors`] - the pictures of the chapters on descriptors, from what their examples printed.
//! * [`layers`] - the four layers of chapter 2 as a picture, and what is shared after what as a table.
//! * [`binder`] - the pictures of the chapters on Binder, from traces and from what the examples printed.
//! * [`seeing`] - the chapter on looking from outside: its picture and its table, from what its examples printed.
//! * [`payers`] - the picture of the chapter on who pays, from what its example printed.
//! * [`differences`] - where a region answers otherwise than ashmem's driver, as a table.
//! * [`benchmarks`] - the recorded run of the benchmarks as tables and plots.
//! * [`generated`] - the files that programs here make: pictures and tables.
//! * [`pages`] - the rules for the pages: nothing missing, nothing unquoted, nothing dead.
//! * [`render`] - mdBook as a library.
//! * [`serve`] - the pages on a local port.
//!
//! `sys` holds the one system call that no crate wraps.

pub mod workspace;

pub mod examples;

pub mod run;

pub mod normalise;

pub mod recorded;

pub mod quoted;

pub mod picture;

pub mod handover;

pub mod which;

pub mod descriptors;

pub mod layers;

pub mod binder;

pub mod seeing;

pub mod payers;

pub mod differences;

pub mod benchmarks;

pub mod generated;

pub mod pages;

pub mod render;

pub mod serve;

mod sys;
