//! Solution: keep what you found.

use binder_sim::protocol::{Command, Delivered, Object};
use binder_sim::service::found;

/// What a client writes after it has read the manager's reply: the handle in it, if there is one, is to stay; nothing
/// else is.
pub(crate) fn keep(reply: &Delivered) -> Vec<Command> {
    let mut commands = Vec::new();
    if let Ok(&Object::Handle { handle, .. }) = found(reply) {
        commands.push(Command::Acquire(handle));
    }
    commands.push(Command::FreeBuffer(reply.buffer));
    commands
}
