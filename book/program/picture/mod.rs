//! What programs here did, as drawings.

mod drawing;
pub mod rendezvous;
pub mod sequence;
pub mod translation;
