//! Looking at shared memory from outside: which regions there are, who has them, and what keeps each
//! alive.
//!
//! In reading order: `maps` (a line of `/proc/PID/maps`), `devices` (which file systems are the
//! kernel's own), `process` (one process), `regions` (what several have in common), `facts` (what is
//! told of a region by whoever holds it), `print`.

pub(crate) mod maps;

pub(crate) mod devices;

pub(crate) mod process;

pub(crate) mod regions;

pub(crate) mod facts;

pub(crate) mod print;
