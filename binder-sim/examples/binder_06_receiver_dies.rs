//! The receiver dies with a file in flight.
//!
//! Run it: `cargo run --example binder_06_receiver_dies`
//!
//! What is sent is the writing end of a real pipe, and the sender closes its own afterwards. Whoever holds the last
//! one keeps the pipe open, and its reading end can tell: an empty pipe says "wait", a pipe without writers "end".
//!
//! What to look for: in the classic scheme the dead process's own table held the file, in the deferred one the
//! message did. Either way it goes with the process, and nobody has to clean up.

use std::error::Error;
use std::fs::File;
use std::io::{PipeReader, Read as _};
use std::os::fd::OwnedFd;

use binder_sim::driver::Translation;
use binder_sim::protocol::{Command, Object, ObjectFlags, Payload, TransactionData, TransactionFlags};
use rustix::io::ioctl_fionbio;

#[path = "support/stage.rs"]
#[allow(unreachable_pub, dead_code)] // one file for several programs
mod stage;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: dies
/// Sends the pipe's writing end as a message of this kind, to a process that never reads it.
fn dies(translation: Translation, flags: TransactionFlags) -> Result<()> {
    let null = || OwnedFd::from(File::open("/dev/null").expect("every machine has it"));
    let mut stage = stage::Stage::new(translation);
    let [client, server] = [stage.process("client", null)?, stage.process("server", null)?];
    stage.world.set_context_manager(server, ObjectFlags::ACCEPTS_FDS)?;
    let (mut reader, writer) = std::io::pipe()?;
    ioctl_fionbio(&reader, true)?;
    let fd = stage.world.open(client, "pipe", writer.into())?;
    let call = TransactionData::new(0, 1, Payload::objects([Object::fd(fd)])).flags(flags);
    stage.call(client, vec![Command::Transaction(call)])?;
    stage.world.close(client, fd)?;
    stage.tell(client, "another thread of it closes its own end");
    println!("  the server has  {}", stage.table(server));
    println!("  in flight       {}", stage.world.in_flight());
    println!("  the pipe        {}", state(&mut reader)?);
    stage.world.exit(server)?;
    stage.tell(server, "dies");
    stage.resume(client);
    println!("  in flight       {}", stage.world.in_flight());
    println!("  the pipe        {}", state(&mut reader)?);
    stage.world.check()?;
    Ok(())
}

/// What the pipe's reading end says.
fn state(reader: &mut PipeReader) -> Result<&'static str> {
    match reader.read(&mut [0]) {
        Ok(0) => Ok("has no writer any more: end of file"),
        Ok(_) => Ok("has bytes in it"),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            Ok("is empty, and still has a writer")
        }
        Err(error) => Err(error.into()),
    }
}
// ANCHOR_END: dies

fn main() -> Result<()> {
    let mut between = "";
    for translation in Translation::ALL {
        for (kind, flags) in
            [("A call", TransactionFlags::NONE), ("A one-way message", TransactionFlags::ONE_WAY)]
        {
            println!("{between}{kind}, {translation}:");
            dies(translation, flags)?;
            between = "\n";
        }
    }
    Ok(())
}
