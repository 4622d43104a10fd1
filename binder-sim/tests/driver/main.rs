//! The driver in its world: scripts, and what each process saw.

mod calls;
mod cost;
mod full_table;
mod observed;
mod random;
mod stage;
mod story;
