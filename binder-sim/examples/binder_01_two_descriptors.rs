//! Two descriptors in one call, and the same descriptor twice.
//!
//! Run it: `cargo run --example binder_01_two_descriptors`
//!
//! What to look for: each object gets a number of its own, in the order of the objects. The same file sent twice
//! arrives under two numbers: the driver translates objects, and does not look whether it has met the file before.

use std::error::Error;

use binder_sim::driver::Translation;
use binder_sim::protocol::{
    Command, Object, ObjectFlags, Payload, Return, TransactionData, TransactionFlags,
};

#[path = "support/stage.rs"]
#[allow(unreachable_pub, dead_code)] // one file for several programs
mod stage;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: main
fn main() -> Result<()> {
    let mut stage = stage::Stage::new(Translation::Deferred);
    let [client, server] = [stage.process("client", || ())?, stage.process("server", || ())?];
    stage.world.set_context_manager(server, ObjectFlags::ACCEPTS_FDS)?;
    let memory = stage.world.open(client, "memory", ())?;
    let pipe = stage.world.open(client, "pipe", ())?;
    stage.world.open(server, "log", ())?;
    println!("the client has    {}", stage.table(client));
    println!("the server has    {}", stage.table(server));
    for (what, fds) in [("Two descriptors", [memory, pipe]), ("The same one twice", [memory, memory])] {
        println!("\n{what}:");
        let data = TransactionData::new(0, 1, Payload::objects(fds.map(Object::fd)));
        stage.write(client, vec![Command::Transaction(data.flags(TransactionFlags::ONE_WAY))])?;
        let came = stage.read(server)?;
        let call = came.iter().find_map(Return::delivered).ok_or("the call has come")?;
        stage.write(server, vec![Command::FreeBuffer(call.buffer)])?;
        println!("the server has    {}", stage.table(server));
        let files: Vec<_> =
            call.payload.descriptors().filter_map(|fd| stage.world.file(server, fd)).collect();
        let same = if files[0].is_same(files[1]) { "one open file" } else { "two open files" };
        println!("its two numbers   {same}");
    }

    println!("\nOne of the last two is closed:");
    stage.world.close(server, 7)?;
    println!("the server has    {}", stage.table(server));
    let file = stage.world.file(client, memory).ok_or("it is open")?;
    println!("memory is held by {} numbers, of both processes together", file.references());
    Ok(())
}
// ANCHOR_END: main
