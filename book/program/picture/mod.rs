//! What programs here did, as drawings.

pub mod choice;
pub mod conversation;
mod drawing;
pub mod holders;
pub mod layers;
pub mod lifetime;
pub mod payers;
pub mod permitted;
pub mod players;
pub mod ranges;
pub mod rendezvous;
pub mod sequence;
pub mod tables;
pub mod translation;
pub mod turns;
pub mod ways;
