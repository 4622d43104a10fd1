//! The driver in its world: scripts, and what each process saw.

mod buffers;
mod calls;
mod cost;
mod death;
mod freeze;
mod full_table;
mod late;
mod observed;
mod opens;
mod random;
mod release;
mod rules;
mod security;
mod senseless;
mod stage;
mod story;
mod threads;
mod two;
