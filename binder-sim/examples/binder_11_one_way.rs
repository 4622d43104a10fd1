//! One-way messages: nobody waits, and still each node's come in order, one at a time.
//!
//! Run it: `cargo run --example binder_11_one_way`
//!
//! What to look for: the server finds one message of three, however often it looks. What releases the next is not
//! that the work is done, but that the *buffer* is given back. Another node's messages are not held up by it, nor is a
//! call that somebody waits for.

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

fn message(handle: u32, text: &str) -> Command {
    let data = TransactionData::new(handle, 1, Payload::bytes(text.as_bytes()));
    Command::Transaction(data.flags(TransactionFlags::ONE_WAY))
}

// ANCHOR: read
/// Reads one message, says what is in it and from whom; gives its buffer.
fn read(stage: &mut Stage, server: Pid) -> Result<Option<u64>> {
    let came = stage.read(server)?;
    let Some(call) = came.iter().find_map(Return::delivered) else { return Ok(None) };
    let (node, text) = (call.ptr, call.payload.bytes.escape_ascii());
    let from =
        if call.sender_pid == 0 { "the sender's pid is 0" } else { "the sender's pid is the client's" };
    stage.tell(server, &format!("finds \"{text}\" for node {node:#x}, {from}"));
    Ok(Some(call.buffer))
}
// ANCHOR_END: read

// ANCHOR: main
fn main() -> Result<()> {
    let mut stage = Stage::new(Translation::Deferred);
    let [client, server] = [stage.process("client", || ())?, stage.process("server", || ())?];
    stage.world.set_context_manager(server, ObjectFlags::NONE)?;
    let other = other_node(&mut stage, [client, server])?;

    println!("Three messages to one node, one to another:");
    let (three, one) = (["one", "two", "three"].map(|text| message(0, text)), message(other, "elsewhere"));
    for command in three.into_iter().chain([one]) {
        stage.write(client, vec![command])?;
    }
    println!("\nThe server looks, again and again, and gives nothing back:");
    let first = read(&mut stage, server)?.ok_or("the first")?;
    let elsewhere = read(&mut stage, server)?.ok_or("the other node's")?;
    read(&mut stage, server)?;
    println!("\nIt gives the first buffer back:");
    stage.write(server, vec![Command::FreeBuffer(first)])?;
    let second = read(&mut stage, server)?.ok_or("the second")?;
    println!("\nAnd a call, which does not queue behind what nobody waits for:");
    stage.write(client, vec![Command::Transaction(TransactionData::new(0, 1, Payload::bytes(b"a call")))])?;
    let call = read(&mut stage, server)?.ok_or("the call")?;
    let reply = Command::Reply(TransactionData::new(0, 0, Payload::new()));
    stage.write(server, vec![Command::FreeBuffer(call), reply])?;
    stage.read(server)?;
    println!("\nThe rest:");
    stage.write(server, vec![Command::FreeBuffer(second), Command::FreeBuffer(elsewhere)])?;
    read(&mut stage, server)?;
    stage.world.check()?;
    Ok(())
}
// ANCHOR_END: main

/// Lets the client have a second node of the server's: under this handle.
fn other_node(stage: &mut Stage, [client, server]: [Pid; 2]) -> Result<u32> {
    use binder_sim::driver::Read;
    let world = &mut stage.world;
    let ask = Command::Transaction(TransactionData::new(0, 1, Payload::new()));
    world.write_read(client, vec![ask], Read::NONE)?;
    let came = world.write_read(server, vec![], Read::NOW)?.ok_or("no wait")?;
    let call = came.returns.iter().find_map(Return::delivered).ok_or("the call")?;
    let node = Payload::objects([Object::binder(0xb, ObjectFlags::NONE)]);
    let write = vec![Command::FreeBuffer(call.buffer), Command::Reply(TransactionData::new(0, 0, node))];
    world.write_read(server, write, Read::NOW)?;
    let counted =
        vec![Command::IncRefsDone { ptr: 0xb, cookie: 0xb }, Command::AcquireDone { ptr: 0xb, cookie: 0xb }];
    world.write_read(server, counted, Read::NONE)?;
    let came = world.write_read(client, vec![], Read::NOW)?.ok_or("no wait")?;
    let reply = came.returns.iter().find_map(Return::delivered).ok_or("the reply")?;
    let Object::Handle { handle, .. } = reply.payload.objects[0].object else {
        return Err("a handle".into());
    };
    world.write_read(
        client,
        vec![Command::Acquire(handle), Command::FreeBuffer(reply.buffer)],
        Read::NONE,
    )?;
    Ok(handle)
}
