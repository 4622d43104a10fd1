//! What may not travel, and in which order the driver asks.
//!
//! Run it: `cargo run --example binder_03_not_accepted`
//!
//! What to look for: whether descriptors are accepted belongs to the *node*, and is settled when the node is first
//! seen. The flag on a call is about its reply. And the permission is asked before the number is looked at, so the
//! last row is refused for the first of its two mistakes.

use std::error::Error;

use binder_sim::driver::{Read, Translation};
use binder_sim::protocol::{
    Command, Ioctl, Object, ObjectFlags, Payload, Return, TransactionData, TransactionFlags,
};
use binder_sim::world::World;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: send
/// How the receiver became handle 0.
#[derive(Debug, Clone, Copy)]
enum Manager {
    /// `BINDER_SET_CONTEXT_MGR`, the older ioctl.
    Old,
    /// `BINDER_SET_CONTEXT_MGR_EXT` with these flags.
    Ext(ObjectFlags),
}

/// What a sender reads that sends these numbers; why; and how many numbers the receiver has more than before.
fn send(manager: Manager, flags: TransactionFlags, fds: &[u32]) -> Result<(String, String, usize)> {
    let mut world: World = World::new(Translation::Deferred);
    let [sender, receiver] = ["sender", "receiver"].map(|name| world.spawn(name));
    for process in [sender, receiver] {
        world.open_device(process)?;
        world.mmap(process, 128 << 10)?;
        world.write_read(process, vec![], Read::NONE)?;
    }
    let ioctl = match manager {
        Manager::Old => Ioctl::SetContextMgr,
        Manager::Ext(flags) => Ioctl::SetContextMgrExt { ptr: 0, cookie: 0, flags },
    };
    world.ioctl(world.main(receiver, "ioctl")?, ioctl)?;
    world.open_at(sender, 4, "memory", ())?;
    world.open_path(sender, "a folder, opened with O_PATH")?; // under 1: 0 is the device
    let before = world.table(receiver).map_or(0, |table| table.len());
    let call = TransactionData::new(0, 1, Payload::objects(fds.iter().copied().map(Object::fd))).flags(flags);
    world.write_read(sender, vec![Command::Transaction(call)], Read::NONE)?;
    world.write_read(receiver, vec![], Read::NOW)?;
    let came = world.write_read(sender, vec![], Read::NOW)?.ok_or("no wait")?;
    let names: Vec<_> = came.returns.iter().skip(1).map(Return::name).collect();
    let after = world.table(receiver).map_or(0, |table| table.len());
    let reads = if names.is_empty() { "nothing yet: it is delivered".into() } else { names.join(", ") };
    Ok((reads, world.extended_error(sender)?.to_string(), after - before))
}
// ANCHOR_END: send

// ANCHOR: main
fn main() -> Result<()> {
    let (deaf, hears) = (Manager::Ext(ObjectFlags::NONE), Manager::Ext(ObjectFlags::ACCEPTS_FDS));
    let (none, accept) = (TransactionFlags::NONE, TransactionFlags::ACCEPT_FDS);
    println!(
        "{:45}  {:28}  {:23}  arrived",
        "the node, and what is sent", "the sender reads", "extended error"
    );
    for (what, manager, flags, fds) in [
        ("accepts; a memory", hears, none, &[4][..]),
        ("made by the older ioctl; a memory", Manager::Old, none, &[4]),
        ("without the flag; a memory", deaf, none, &[4]),
        ("without; a memory, call with TF_ACCEPT_FDS", deaf, accept, &[4]),
        ("accepts; a number that is not open", hears, none, &[99]),
        ("accepts; a file opened with O_PATH", hears, none, &[1]),
        ("accepts; a memory and a number not open", hears, none, &[4, 99]),
        ("without; a number that is not open", deaf, none, &[99]),
    ] {
        let (reads, error, arrived) = send(manager, flags, fds)?;
        println!("{what:45}  {reads:28}  {error:23}  {arrived:>7}");
    }
    Ok(())
}
// ANCHOR_END: main
