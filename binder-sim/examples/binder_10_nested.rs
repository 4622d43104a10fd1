//! A nested call: while the client waits for the server, the server calls the client back.
//!
//! Run it: `cargo run --example binder_10_nested`
//!
//! What to look for: the client has one thread, and it waits for a reply. The call back goes to that very thread, in
//! the middle of its wait; any other would leave a process with one thread hanging. Then everything unwinds in the
//! reverse order.

use std::error::Error;

use binder_sim::driver::Translation;
use binder_sim::protocol::{
    Command, Object, ObjectFlags, Payload, Return, TransactionData, TransactionFlags,
};

#[path = "support/stage.rs"]
#[allow(unreachable_pub, dead_code)] // one file for several programs
mod stage;

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Stage = stage::Stage;

fn call(handle: u32, payload: Payload) -> Command {
    Command::Transaction(TransactionData::new(handle, 1, payload))
}

fn reply() -> Command {
    Command::Reply(TransactionData::new(0, 0, Payload::bytes(b"done")).flags(TransactionFlags::NONE))
}

// ANCHOR: main
fn main() -> Result<()> {
    let mut stage = Stage::new(Translation::Deferred);
    let [client, server] = [stage.process("client", || ())?, stage.process("server", || ())?];
    stage.world.set_context_manager(server, ObjectFlags::NONE)?;

    println!("The client calls, and gives a node of its own to be called back on:");
    let listener = Object::binder(0xc, ObjectFlags::NONE);
    stage.call(client, vec![call(0, Payload::objects([listener]))])?;
    let came = stage.read(server)?;
    let Object::Handle { handle, .. } = delivered(&came)?.payload.objects[0].object else {
        return Err("a handle was sent".into());
    };
    println!("\nThe server calls it back, and waits in its turn:");
    stage.call(server, vec![call(handle, Payload::bytes(b"how far?"))])?;
    println!("\nThe thread that waits for the reply reads a call:");
    let came = stage.resume(client);
    let back = delivered(&came)?.buffer;
    let counted = vec![
        Command::IncRefsDone { ptr: 0xc, cookie: 0xc },
        Command::AcquireDone { ptr: 0xc, cookie: 0xc },
        Command::FreeBuffer(back),
        reply(),
    ];
    stage.write(client, counted)?;
    println!("\nThe server has its reply, and answers the first call:");
    let came = stage.resume(server);
    let progress = delivered(&came)?.buffer;
    stage.write(server, vec![Command::FreeBuffer(progress), reply()])?;
    stage.read(server)?;
    println!("\nAnd the client has what it waited for from the start:");
    stage.read(client)?;
    stage.world.check()?;
    Ok(())
}

fn delivered(came: &[Return]) -> Result<&binder_sim::protocol::Delivered> {
    Ok(came.iter().find_map(Return::delivered).ok_or("nothing was delivered")?)
}
// ANCHOR_END: main
