#![no_std]
#![doc = include_str!("../README.md")]
//!
//! # Layout
//! In reading order:
//! * [`protocol`] - what processes and driver say to each other: objects, `BC_` and `BR_`.
//! * [`wire`] - their bytes, as the kernel has them.
//! * [`driver`] - the driver, generic over what a file is: nodes, handles, buffers, transactions, translation.
//! * [`fd_table`] - a process's table of descriptors, as a value.
//! * [`world`] - processes with names, tables and actors around the driver: the in-memory backend.
//! * [`script`] - who does what, as data; and what each of them saw.
//! * [`parcel`], [`service`] - what programs say inside a payload, and a service manager on handle 0.
//! * [`client`] - the same calls on a real `/dev/binder` (feature `live`).
//! * [`trace`] - what happened, step by step, with the kernel function it stands for.
//! * [`story`] - the article's story as a script, run in both schemes.
//! * [`errno`], [`error`] - numbers, and the one error of the crate.
//!
//! The pure part is `no_std` with `alloc`; the feature `json` (on by default) adds [`trace::Trace::to_json`].

extern crate alloc;
#[cfg(feature = "live")]
extern crate std;

pub mod protocol;

pub mod wire;

pub mod driver;

pub mod fd_table;

pub mod world;

pub mod script;

#[cfg(feature = "live")]
pub mod client;

pub mod parcel;

pub mod service;

pub mod trace;

pub mod story;

pub mod errno;

pub mod error;
