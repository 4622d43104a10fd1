//! The receiver's table is full: three kinds of message, two schemes, six outcomes.
//!
//! Run it: `cargo run --example binder_05_table_full`
//!
//! What to look for: the classic scheme finds out while the sender is in its call, so the sender can be told. The
//! deferred one finds out while the receiver reads, when the sender has long been told that all is well: a call
//! fails after its completion, and a one-way message is lost without a word to anybody.

use std::error::Error;

use binder_sim::driver::{Read, Translation};
use binder_sim::errno::Errno;
use binder_sim::protocol::{
    Command, Object, ObjectFlags, Payload, Return, TransactionData, TransactionFlags,
};
use binder_sim::world::{Pid, World};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: outcome
/// Who read what, and what is left of it: files in flight, and numbers.
struct Outcome {
    sender: String,
    reason: Option<Errno>,
    receiver: String,
    left: usize,
}

/// What both read, and why the one who asked was refused.
fn outcome(translation: Translation, kind: &str) -> Result<Outcome> {
    let mut world: World = World::new(translation);
    let [client, server] = ["client", "server"].map(|name| world.spawn(name));
    for process in [client, server] {
        world.open_device(process)?;
        world.mmap(process, 128 << 10)?;
        world.write_read(process, vec![], Read::NONE)?;
        world.open(process, "memory", ())?; // under 1
        world.open(process, "pipe", ())?; // under 2
    }
    world.set_context_manager(server, ObjectFlags::ACCEPTS_FDS)?;
    let flags = if kind == "one-way" { TransactionFlags::ONE_WAY } else { TransactionFlags::ACCEPT_FDS };
    let two = Payload::objects([1, 2].map(Object::fd));
    let (asked, answered, full) = match kind {
        "reply" => (Payload::new(), two, client),
        _ => (two, Payload::new(), server),
    };
    let numbers = |world: &World| world.table(full).map_or(0, |table| table.len());
    let before = numbers(&world);
    world.set_limit(full, 4)?; // 0 to 2 are open: one number is free, and two are needed
    world.write_read(
        client,
        vec![Command::Transaction(TransactionData::new(0, 1, asked).flags(flags))],
        Read::NONE,
    )?;
    let mut server_read = read(&mut world, server)?;
    if kind == "reply" {
        world.write_read(server, vec![Command::Reply(TransactionData::new(0, 0, answered))], Read::NONE)?;
        server_read = read(&mut world, server)?;
    }
    let client_read = read(&mut world, client)?;
    let reason = world.extended_error(client)?.param;
    world.check()?;
    let left = world.in_flight() + numbers(&world) - before;
    let (sender, receiver) =
        if kind == "reply" { (server_read, client_read) } else { (client_read, server_read) };
    Ok(Outcome { sender, reason, receiver, left })
}

/// The names of what a process reads.
fn read(world: &mut World, process: Pid) -> Result<String> {
    let came = world.write_read(process, vec![], Read::NOW)?.ok_or("no wait")?;
    let names = came.returns.iter().filter(|read| **read != Return::Noop).map(Return::name);
    let names: Vec<_> = names.map(|name| name.trim_start_matches("BR_")).collect();
    Ok(if names.is_empty() { "nothing".into() } else { names.join(", ") })
}
// ANCHOR_END: outcome

// ANCHOR: main
fn main() -> Result<()> {
    println!("Two descriptors are sent to a process that has room for one more number.\n");
    println!("{:9} {:8} {:35} {:35} reason", "scheme", "sent as", "the sender reads", "the receiver reads");
    let mut left_of_all = 0;
    for translation in Translation::ALL {
        for kind in ["call", "one-way", "reply"] {
            let Outcome { sender, reason, receiver, left } = outcome(translation, kind)?;
            let reason = reason.map_or("-".into(), |errno| errno.to_string());
            println!("{:9} {kind:8} {sender:35} {receiver:35} {reason}", translation.to_string());
            left_of_all += left;
        }
    }
    println!("\nFiles in flight and numbers taken that are left of all six: {left_of_all}");
    Ok(())
}
// ANCHOR_END: main
