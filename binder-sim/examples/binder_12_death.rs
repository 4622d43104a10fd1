//! A server dies: who is told, and what its handles are worth afterwards.
//!
//! Run it: `cargo run --example binder_12_death`
//!
//! What to look for: a caller that waits is told by its call. A client that only holds a handle is told because it
//! asked to be. One that did neither learns it from its next call. And the handle stays a number of its own, for
//! a dead node, until it is let go.

use std::error::Error;

use binder_sim::driver::{Read, Translation};
use binder_sim::protocol::{Command, Delivered, Object, ObjectFlags, Payload, Return, TransactionData};
use binder_sim::service::{self, ServiceManager, add_service, get_service};
use binder_sim::world::Pid;

#[path = "support/stage.rs"]
#[allow(unreachable_pub, dead_code)] // one file for several programs
mod stage;

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Stage = stage::Stage;

fn call(handle: u32) -> Command {
    Command::Transaction(TransactionData::new(handle, 1, Payload::new()))
}

// ANCHOR: main
fn main() -> Result<()> {
    let mut stage = Stage::new(Translation::Deferred);
    let manager = stage.process("manager", || ())?;
    let server = stage.process("server", || ())?;
    let clients =
        [stage.process("first", || ())?, stage.process("second", || ())?, stage.process("third", || ())?];
    stage.world.set_context_manager(manager, ObjectFlags::NONE)?;
    let mut list = ServiceManager::new();
    silently(
        &mut stage,
        server,
        add_service("clock", Object::binder(0xd, ObjectFlags::NONE)),
        (manager, &mut list),
    )?;
    let [first, second, third] = clients;
    let mut handles = Vec::new();
    for client in clients {
        handles.push(handle_of(&mut stage, client, (manager, &mut list))?);
    }

    println!("Three clients have a handle of the server's clock, and do different things with it:");
    stage.call(first, vec![call(handles[0])])?;
    stage.write(second, vec![Command::RequestDeathNotification { handle: handles[1], cookie: 0xdead }])?;
    stage.tell(third, "does nothing");
    stage.read(server)?;

    println!("\nThe server dies, with the call unanswered:");
    stage.world.exit(server)?;
    stage.resume(first);
    stage.read(second)?;
    stage.write(second, vec![Command::DeadBinderDone(0xdead)])?;
    stage.serve(manager, |read| list.answer(read))?;
    stage.read(third)?;

    println!("\nAfterwards:");
    stage.write(third, vec![call(handles[2])])?;
    stage.read(third)?;
    println!("  the third has           {}", held(&stage, third));
    stage.write(third, vec![Command::Release(handles[2])])?;
    println!("  the third has           {}", held(&stage, third));
    println!("  the manager knows       {} names", list.names().count());
    stage.world.check()?;
    Ok(())
}
// ANCHOR_END: main

/// The handles of a process.
fn held(stage: &Stage, process: Pid) -> String {
    let open = stage.world.open_of(process);
    let handles = open.map(|open| stage.world.driver().handles(open)).unwrap_or_default();
    let word = |alive: bool| if alive { "alive" } else { "dead" };
    let handles: Vec<_> = handles
        .iter()
        .map(|(n, .., alive)| format!("handle {n}, of a node that is {}", word(*alive)))
        .collect();
    if handles.is_empty() { "no handle".into() } else { handles.join("; ") }
}

/// Looks the clock up and keeps the handle: not a part of the story.
fn handle_of(stage: &mut Stage, client: Pid, manager: (Pid, &mut ServiceManager)) -> Result<u32> {
    let reply = silently(stage, client, get_service("clock"), manager)?;
    let Ok(&Object::Handle { handle, .. }) = service::found(&reply) else { return Err("no handle".into()) };
    let keep = vec![Command::Acquire(handle), Command::FreeBuffer(reply.buffer)];
    stage.world.write_read(client, keep, Read::NONE)?;
    Ok(handle)
}

/// A call of the manager: not a part of the story.
fn silently(
    stage: &mut Stage,
    caller: Pid,
    data: TransactionData,
    (manager, list): (Pid, &mut ServiceManager),
) -> Result<Delivered> {
    let world = &mut stage.world;
    world.write_read(caller, vec![Command::Transaction(data)], Read::NONE)?;
    world.serve(manager, |read| list.answer(read))?;
    loop {
        let came = world.write_read(caller, vec![], Read::NOW)?.ok_or("no wait")?;
        if came.error.is_some() {
            return Err("no reply".into());
        }
        world.write_read(caller, came.returns.iter().filter_map(counted).collect(), Read::NONE)?;
        if let Some(reply) = came.returns.iter().find_map(Return::delivered) {
            return Ok(reply.clone());
        }
    }
}

/// What the owner of a node answers when the driver counts it.
fn counted(read: &Return) -> Option<Command> {
    match *read {
        Return::IncRefs { ptr, cookie } => Some(Command::IncRefsDone { ptr, cookie }),
        Return::Acquire { ptr, cookie } => Some(Command::AcquireDone { ptr, cookie }),
        _ => None,
    }
}
