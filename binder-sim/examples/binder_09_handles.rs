//! A node and its handles: who has which number for it, and how the owner learns that it is held.
//!
//! Run it: `cargo run --example binder_09_handles`
//!
//! What to look for: the broker loses the first handle, because it gives the buffer back without having acquired
//! what came in it; the number is free again at once. Handles are numbers of one process, like descriptors: what is
//! 2 to the broker is 1 to the client. And at home a handle turns back into the owner's own pointer.

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
type Stage = stage::Stage;

// ANCHOR: send
/// Sends an object to the broker, which acquires handles before it gives the buffer back, or does not.
fn send(stage: &mut Stage, [from, broker]: [Pid; 2], object: Object, acquires: bool) -> Result<()> {
    let call = TransactionData::new(0, 1, Payload::objects([object])).flags(TransactionFlags::ONE_WAY);
    stage.write(from, vec![Command::Transaction(call)])?;
    let came = stage.read(broker)?;
    let call = came.iter().find_map(Return::delivered).ok_or("the call has come")?;
    let mut write = vec![];
    if let (true, Object::Handle { handle, .. }) = (acquires, &call.payload.objects[0].object) {
        write.push(Command::Acquire(*handle));
    }
    write.push(Command::FreeBuffer(call.buffer));
    stage.write(broker, write)?;
    settle(stage, from)?;
    println!("  the broker holds  {}", handles(stage, broker));
    Ok(())
}

/// The owner reads what the driver says of its nodes, and says that it has counted.
fn settle(stage: &mut Stage, owner: Pid) -> Result<()> {
    let came = stage.read(owner)?;
    stage.write(owner, came.iter().filter_map(counted).collect())?;
    Ok(())
}

fn counted(read: &Return) -> Option<Command> {
    match *read {
        Return::IncRefs { ptr, cookie } => Some(Command::IncRefsDone { ptr, cookie }),
        Return::Acquire { ptr, cookie } => Some(Command::AcquireDone { ptr, cookie }),
        _ => None,
    }
}

/// The handles of a process, with their strong counts.
fn handles(stage: &Stage, process: Pid) -> String {
    let open = stage.world.open_of(process);
    let handles = open.map(|open| stage.world.driver().handles(open)).unwrap_or_default();
    let handles: Vec<_> =
        handles.iter().map(|(n, strong, ..)| format!("handle {n}, {strong} strong")).collect();
    if handles.is_empty() { "nothing".into() } else { handles.join("; ") }
}
// ANCHOR_END: send

// ANCHOR: ask
/// A client asks the broker, which replies with this object.
fn ask(stage: &mut Stage, [client, broker]: [Pid; 2], object: Object) -> Result<()> {
    stage.write(client, vec![Command::Transaction(TransactionData::new(0, 2, Payload::new()))])?;
    let came = stage.read(broker)?;
    let call = came.iter().find_map(Return::delivered).ok_or("the call has come")?;
    let reply = TransactionData::new(0, 0, Payload::objects([object]));
    stage.write(broker, vec![Command::FreeBuffer(call.buffer), Command::Reply(reply)])?;
    stage.read(broker)?;
    let came = stage.read(client)?;
    let reply = came.iter().find_map(Return::delivered).ok_or("the reply has come")?;
    stage.write(client, vec![Command::FreeBuffer(reply.buffer)])?;
    Ok(())
}
// ANCHOR_END: ask

// ANCHOR: main
fn main() -> Result<()> {
    let mut stage = Stage::new(Translation::Deferred);
    let [owner, broker] = [stage.process("owner", || ())?, stage.process("broker", || ())?];
    let client = stage.process("client", || ())?;
    stage.world.set_context_manager(broker, ObjectFlags::NONE)?;
    let [first, second] = [0xa, 0xb].map(|ptr| Object::binder(ptr, ObjectFlags::NONE));

    println!("The owner sends its node 0xa; the broker gives the buffer back and keeps nothing:");
    send(&mut stage, [owner, broker], first.clone(), false)?;
    println!("\nThe same node again; this time the broker acquires it:");
    send(&mut stage, [owner, broker], first.clone(), true)?;
    println!("\nIts node 0xb, then 0xa once more: one handle a node, however often it comes:");
    send(&mut stage, [owner, broker], second, true)?;
    send(&mut stage, [owner, broker], first, true)?;
    println!("\nThe client asks for what is 2 to the broker:");
    ask(&mut stage, [client, broker], Object::handle(2))?;
    println!("\nThe owner asks for the same:");
    ask(&mut stage, [owner, broker], Object::handle(2))?;
    println!("\nThe broker lets 0xa go, as often as it had acquired it:");
    stage.write(broker, vec![Command::Release(1), Command::Release(1)])?;
    settle(&mut stage, owner)?;
    println!("  the broker holds  {}", handles(&stage, broker));
    stage.world.check()?;
    Ok(())
}
// ANCHOR_END: main
