//! Transactions of the simulated driver as drawings.

mod drawing;
pub mod sequence;
pub mod translation;
