//! Memory that no process has, and that is there all the same: in a message, in the driver, in a table.
//!
//! Run it: `cargo run --example held_by_nobody`. Binder's driver is the simulated one.
//!
//! What to look for: no descriptor and no mapping in any process, three times. A socket says how many
//! descriptors lie unread in it, and not of what. A real Binder driver tells only who may read its
//! debugging files; the simulated one is a value, and can be asked. A segment is the plainest of the
//! three: the table has it, and anybody may read the table.

use std::error::Error;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::net::UnixStream;

use binder_sim::driver::{Read, Translation};
use binder_sim::protocol::{Command, Object, ObjectFlags, Payload, TransactionData, TransactionFlags};
use binder_sim::world::World;
use fd_shm::{Memfd, scm_rights};
use sysv_shm::{Key, Segment};

#[path = "look/mod.rs"]
#[allow(dead_code)] // each example uses what it needs of it
mod look;
use look::devices::Devices;
use look::maps::Device;
use look::process::{self, Process};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: holders
/// The processes that we may look into.
fn everybody() -> Result<Vec<Process>> {
    let devices = Devices::find()?;
    Ok(process::all()?.into_iter().filter_map(|pid| Process::look(pid, &devices).ok()).collect())
}

/// How many descriptors and mappings of a file there are in them.
fn holders(file: (Device, u64)) -> Result<String> {
    let (mut descriptors, mut mappings) = (0, 0);
    for process in everybody()? {
        let open = process.descriptors.iter().filter(|it| (it.device, it.inode) == file);
        let mapped = process.mappings.iter().filter(|it| (it.device, it.inode) == file);
        (descriptors, mappings) = (descriptors + open.count(), mappings + mapped.count());
    }
    Ok(format!("descriptors {descriptors}, mappings {mappings}"))
}
// ANCHOR_END: holders

fn tell(what: &str, answer: impl std::fmt::Display) {
    println!("  {what:34}{answer}");
}

// ANCHOR: socket
/// A descriptor that is sent, closed, and not received.
fn in_a_socket() -> Result<()> {
    println!("A memory file is sent over a Unix socket:");
    let (sender, receiver) = UnixStream::pair()?;
    let letter = File::from(OwnedFd::from(Memfd::create("letter")?));
    letter.write_all_at(b"still here", 0)?;
    let file = (Device::of(letter.metadata()?.dev()), letter.metadata()?.ino());
    tell("before", holders(file)?);
    scm_rights::send(&sender, &[0], &[letter.as_fd()])?;
    drop(letter);
    tell("sent, and closed", holders(file)?);
    let ours = Process::look(std::process::id(), &Devices::find()?)?;
    let unread: Vec<_> = ours.unread.iter().map(|(_, count)| count).collect();
    tell("fdinfo of our sockets, scm_fds", format!("{unread:?}"));

    let [came] = scm_rights::receive(&receiver, &mut [0], 1)?.into_exactly()?;
    let mut text = [0; 10];
    File::from(came.try_clone()?).read_exact_at(&mut text, 0)?;
    tell("received", format!("{}; it reads \"{}\"", holders(file)?, text.escape_ascii()));
    Ok(())
}
// ANCHOR_END: socket

// ANCHOR: binder
/// The same with a Binder message, whose sender then ends.
fn in_a_driver() -> Result<()> {
    println!("\nA file is sent by Binder (simulated), one-way:");
    let mut world = World::new(Translation::Deferred);
    let [sender, receiver] = ["sender", "receiver"].map(|name| world.spawn(name));
    for process in [sender, receiver] {
        world.open_device(process)?;
        world.mmap(process, 128 << 10)?;
    }
    world.set_context_manager(receiver, ObjectFlags::ACCEPTS_FDS)?;
    let number = world.open(sender, "letter", ())?;
    let payload = Payload::objects([Object::fd(number)]);
    let call = TransactionData::new(0, 1, payload).flags(TransactionFlags::ONE_WAY);
    world.write_read(sender, vec![Command::Transaction(call)], Read::NOW)?;
    world.exit(sender)?;

    let tables = [sender, receiver].into_iter().filter_map(|process| world.table(process));
    let numbers = tables.flat_map(|table| table.iter()).filter(|(_, file)| file.label() == "letter");
    tell("sent, and the sender has ended", format!("descriptors {}, in all tables", numbers.count()));
    tell("the driver, asked", format!("files in flight {}", world.in_flight()));
    tell("so the letter is still held", if world.holds("letter") { "yes" } else { "no" });
    Ok(())
}
// ANCHOR_END: binder

// ANCHOR: table
/// A segment that nobody has attached.
fn in_a_table() -> Result<()> {
    println!("\nA segment is written, and detached:");
    let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
    segment.attach::<()>()?.copy_in(0, b"still here")?;
    tell("processes that have it attached", segment.attached_by()?.processes.len());
    let resident = look::facts::resident()?.into_iter().find(|(id, _)| *id == segment.id().number());
    let resident = resident.ok_or("it is not in /proc/sysvipc/shm")?.1;
    tell("the table, column rss", format!("{resident} bytes"));
    Ok(())
}
// ANCHOR_END: table

fn main() -> Result<()> {
    in_a_socket()?;
    in_a_driver()?;
    in_a_table()
}
