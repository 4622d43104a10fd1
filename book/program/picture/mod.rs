//! What programs here did, as drawings.

mod drawing;
pub mod lifetime;
pub mod rendezvous;
pub mod sequence;
pub mod translation;
