//! Which number a descriptor gets, and when that is decided.
//!
//! Run it: `cargo run --example binder_02_lowest_free`
//!
//! What to look for: the rule is the same everywhere, the lowest number that is free. But free *when*? The receiver
//! opens and closes files between the sender's call and its own read, and the schemes look at different tables.

use std::error::Error;

use binder_sim::driver::{Read, Translation};
use binder_sim::protocol::{
    Command, Object, ObjectFlags, Payload, Return, TransactionData, TransactionFlags,
};
use binder_sim::world::World;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: numbers
/// A receiver with holes at 4 and 6 is sent two descriptors, and opens and closes files before it reads. Gives the
/// numbers of what was sent, and of its own file.
fn numbers(translation: Translation, closes: Option<u32>, opens: bool) -> Result<(Vec<u32>, Option<u32>)> {
    let mut world: World = World::new(translation);
    let [sender, receiver] = ["sender", "receiver"].map(|name| world.spawn(name));
    for fd in [0, 1, 2, 5, 7] {
        world.open_at(receiver, fd, "something", ())?;
    }
    for process in [sender, receiver] {
        world.open_device(process)?; // of the receiver: under 3
        world.mmap(process, 128 << 10)?;
    }
    world.set_context_manager(receiver, ObjectFlags::ACCEPTS_FDS)?;
    let fds = [world.open(sender, "memory", ())?, world.open(sender, "pipe", ())?];
    let call = TransactionData::new(0, 1, Payload::objects(fds.map(Object::fd)));
    let call = Command::Transaction(call.flags(TransactionFlags::ONE_WAY));
    world.write_read(sender, vec![call], Read::NONE)?;

    closes.map_or(Ok(()), |fd| world.close(receiver, fd))?;
    let log = if opens { Some(world.open(receiver, "log", ())?) } else { None };

    let came = world.write_read(receiver, vec![], Read::NOW)?.ok_or("no wait")?;
    let call = came.returns.iter().find_map(Return::delivered).ok_or("the call has come")?;
    Ok((call.payload.descriptors().collect(), log))
}
// ANCHOR_END: numbers

// ANCHOR: main
fn main() -> Result<()> {
    println!("The receiver has 0 1 2 3, 5 and 7 open: 4 and 6 are free. It is sent two descriptors.\n");
    println!("{:32}  {:22}  {:22}", "", "classic", "deferred");
    println!(
        "{:32}  {:14}{:10}{:14}log gets",
        "before it reads, the receiver", "they get", "log gets", "they get"
    );
    for (what, closes, opens) in [
        ("does nothing", None, false),
        ("opens \"log\"", None, true),
        ("closes 1", Some(1), false),
        ("closes 1 and opens \"log\"", Some(1), true),
    ] {
        print!("{what:32}  ");
        for translation in Translation::ALL {
            let (got, log) = numbers(translation, closes, opens)?;
            let got: Vec<_> = got.iter().map(u32::to_string).collect();
            print!("{:14}{:10}", got.join(" and "), log.map_or("-".into(), |fd| fd.to_string()));
        }
        println!();
    }
    Ok(())
}
// ANCHOR_END: main
