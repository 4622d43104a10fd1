//! Exercise: keep what you found.

use binder_sim::protocol::{Command, Delivered};

/// What a client writes after it has read the manager's reply: the handle in it, if there is one, is to stay; nothing
/// else is.
pub(crate) fn keep(reply: &Delivered) -> Vec<Command> {
    // HOLE: the handle goes with the buffer. Take this line out.
    vec![Command::FreeBuffer(reply.buffer)]
}
