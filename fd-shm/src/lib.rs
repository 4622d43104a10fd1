//! Shared memory by descriptor.

mod copy;
mod shareable;

pub use shareable::{ReadOnly, Shareable};
