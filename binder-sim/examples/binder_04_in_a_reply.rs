//! A descriptor in a reply: the caller says beforehand whether it takes one.
//!
//! Run it: `cargo run --example binder_04_in_a_reply`
//!
//! What to look for: the permission is the call's flag, since a caller has no node to be asked for one. Without it
//! the *caller* reads the refusal. The server, whose reply it was, is told that all is well.

use std::error::Error;

use binder_sim::driver::Translation;
use binder_sim::protocol::{
    Command, Object, ObjectFlags, Payload, Return, TransactionData, TransactionFlags,
};
use binder_sim::world::Pid;

#[path = "support/stage.rs"]
#[allow(unreachable_pub, dead_code)] // one file for several programs
mod stage;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: ask
/// The client calls with these flags; the server replies with the memory under `fd`.
fn ask(stage: &mut stage::Stage, [client, server]: [Pid; 2], fd: u32, flags: TransactionFlags) -> Result<()> {
    stage
        .call(client, vec![Command::Transaction(TransactionData::new(0, 1, Payload::new()).flags(flags))])?;
    let came = stage.read(server)?;
    let call = came.iter().find_map(Return::delivered).ok_or("the call has come")?;
    let reply = TransactionData::new(0, 0, Payload::objects([Object::fd(fd)]));
    stage.write(server, vec![Command::FreeBuffer(call.buffer), Command::Reply(reply)])?;
    stage.read(server)?;
    let came = stage.resume(client);
    let reply = came.iter().find_map(Return::delivered);
    stage.write(client, reply.map(|reply| Command::FreeBuffer(reply.buffer)).into_iter().collect())?;
    for process in [client, server] {
        let error = stage.world.extended_error(process)?;
        stage.tell(process, &format!("asks for its extended error: {error}"));
    }
    println!("  the client has  {}", stage.table(client));
    Ok(())
}
// ANCHOR_END: ask

fn main() -> Result<()> {
    let mut stage = stage::Stage::new(Translation::Deferred);
    let both = [stage.process("client", || ())?, stage.process("server", || ())?];
    // The server's node takes no descriptors, and that does not matter here.
    stage.world.set_context_manager(both[1], ObjectFlags::NONE)?;
    let fd = stage.world.open(both[1], "memory", ())?;
    println!("With TF_ACCEPT_FDS in the call:");
    ask(&mut stage, both, fd, TransactionFlags::ACCEPT_FDS)?;
    println!("\nWithout:");
    ask(&mut stage, both, fd, TransactionFlags::NONE)
}
