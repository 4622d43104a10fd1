//! An array of descriptors: the driver closes what it brought when the buffer is given back.
//!
//! Run it: `cargo run --example binder_07_array`
//!
//! What to look for: a descriptor that came as an object of its own is the receiver's, for good. Those of an array
//! belong to the buffer. The driver remembers *numbers*, and closes whatever stands there by then: the receiver that
//! closed one itself, and opened something else, loses the something else.

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

/// Where the sender has the array in its own memory; the driver only copies it from there.
const ARRAY: u64 = 0x5000_0000;

// ANCHOR: send
/// Sends this payload one-way; gives the buffer and the numbers that came.
fn send(stage: &mut stage::Stage, [client, server]: [Pid; 2], payload: Payload) -> Result<(u64, Vec<u32>)> {
    let call = TransactionData::new(0, 1, payload).flags(TransactionFlags::ONE_WAY);
    stage.write(client, vec![Command::Transaction(call)])?;
    let came = stage.read(server)?;
    let call = came.iter().find_map(Return::delivered).ok_or("the message has come")?;
    println!("  the server has  {}", stage.table(server));
    Ok((call.buffer, call.payload.descriptors().collect()))
}
// ANCHOR_END: send

// ANCHOR: main
fn main() -> Result<()> {
    let mut stage = stage::Stage::new(Translation::Deferred);
    let both @ [client, server] = [stage.process("client", || ())?, stage.process("server", || ())?];
    stage.world.set_context_manager(server, ObjectFlags::ACCEPTS_FDS)?;
    let mut fds = Vec::new();
    for name in ["left", "right", "depth"] {
        fds.push(stage.world.open(client, name, ())?);
    }

    println!("One descriptor, as an object of its own:");
    let (buffer, _) = send(&mut stage, both, Payload::objects([Object::fd(fds[0])]))?;
    stage.write(server, vec![Command::FreeBuffer(buffer)])?;
    println!("  the server has  {}", stage.table(server));

    println!("\nThree in an array (an FDA object, and the PTR object that holds the numbers):");
    let (buffer, numbers) = send(&mut stage, both, Payload::fd_array(ARRAY, &fds))?;
    let kept = stage.world.dup(server, numbers[0])?;
    stage.tell(server, &format!("keeps {} by a dup: {kept}", numbers[0]));
    stage.world.close(server, numbers[2])?;
    let diary = stage.world.open(server, "diary", ())?;
    stage.tell(server, &format!("closes {} itself, and opens \"diary\": {diary}", numbers[2]));
    println!("  the server has  {}", stage.table(server));
    stage.write(server, vec![Command::FreeBuffer(buffer)])?;
    println!("  the server has  {}", stage.table(server));
    stage.world.check()?;
    Ok(())
}
// ANCHOR_END: main
