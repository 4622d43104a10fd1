//! Binder, simulated, around a real descriptor: what its driver lets a receiver have and know.

use std::error::Error;
use std::os::fd::OwnedFd;

use binder_sim::driver::{Read, Translation};
use binder_sim::protocol::{
    Command, Delivered, Object, ObjectFlags, Payload, Return, TransactionData, TransactionFlags,
};
use binder_sim::service::{self, ServiceManager, add_service, get_service};
use binder_sim::world::{Pid, World};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The effective uid of whoever calls here.
const UID: u32 = 10_123;

/// A manager on handle 0, and two others, all of which have opened and mapped the device.
fn world<T>() -> Result<(World<T>, [Pid; 3])> {
    let mut world = World::new(Translation::Deferred);
    let processes = ["manager", "server", "client"].map(|name| world.spawn(name));
    for process in processes {
        world.open_device(process)?;
        world.mmap(process, 128 << 10)?;
        world.write_read(process, vec![], Read::NONE)?; // a thread's first call comes back with nothing
    }
    world.set_context_manager(processes[0], ObjectFlags::ACCEPTS_FDS)?;
    Ok((world, processes))
}

/// Sends the manager a one-way call with a descriptor.
fn send<T>(world: &mut World<T>, from: Pid, file: T) -> Result<()> {
    let number = world.open(from, "memory", file)?;
    let call =
        TransactionData::new(0, 1, Payload::objects([Object::fd(number)])).flags(TransactionFlags::ONE_WAY);
    world.write_read(from, vec![Command::Transaction(call)], Read::NOW)?;
    Ok(())
}

/// The call that waits for a process.
fn delivered<T>(world: &mut World<T>, to: Pid) -> Result<Delivered> {
    let came = world.write_read(to, vec![], Read::NOW)?.ok_or("nothing came")?;
    came.returns.iter().find_map(Return::delivered).cloned().ok_or_else(|| "no call came".into())
}

/// Takes a descriptor through the driver: the same open file, as its receiver has it.
pub(crate) fn carry(fd: OwnedFd) -> Result<OwnedFd> {
    let (mut world, [manager, server, _]) = world()?;
    send(&mut world, server, fd)?;
    let call = delivered(&mut world, manager)?;
    let Some(&Object::Fd { fd, .. }) = call.payload.objects.first().map(|placed| &placed.object) else {
        return Err("a call without a descriptor".into());
    };
    let file = world.file(manager, fd).and_then(|file| file.content()).ok_or("nothing is open there")?;
    Ok(file.try_clone()?)
}

/// Whether the receiver of a call is told who made it.
pub(crate) fn tells_who_calls() -> Result<bool> {
    let (mut world, [manager, _, client]) = world::<()>()?;
    world.set_euid(client, UID)?;
    let call = Command::Transaction(TransactionData::new(0, 1, Payload::new()));
    world.write_read(client, vec![call], Read::NONE)?;
    let call = delivered(&mut world, manager)?;
    Ok((call.sender_pid, call.sender_euid) == (client.raw(), UID))
}

/// Whether the memory in a message is there when its sender and its receiver were killed, and it was not read.
pub(crate) fn holds_after_a_kill() -> Result<bool> {
    let (mut world, [manager, server, _]) = world()?;
    send(&mut world, server, ())?;
    world.exit(server)?;
    if !world.holds("memory") {
        return Err("the message has lost it before its time".into());
    }
    world.exit(manager)?;
    Ok(world.holds("memory"))
}

/// Whether a client that knows a name and nothing else gets a handle of the server's.
pub(crate) fn meets_by_name() -> Result<bool> {
    let (mut world, [manager, server, client]) = world::<()>()?;
    let mut names = ServiceManager::new();
    let node = Object::binder(0x10, ObjectFlags::NONE);
    for (process, call) in [(server, add_service("memory", node)), (client, get_service("memory"))] {
        world.write_read(process, vec![Command::Transaction(call)], Read::WAIT)?;
        world.serve(manager, |read| names.answer(read))?;
        world.run();
        if process == server {
            world.serve(server, counted)?;
        }
    }
    let came = world.take_returned(client).ok_or("the client waits")?;
    let reply = came.returns.iter().find_map(Return::delivered).ok_or("no reply")?;
    Ok(matches!(service::found(reply), Ok(Object::Handle { .. })))
}

/// What the owner of a node answers when the driver counts it, and whoever was replied to.
fn counted(read: &Return) -> Vec<Command> {
    match *read {
        Return::IncRefs { ptr, cookie } => vec![Command::IncRefsDone { ptr, cookie }],
        Return::Acquire { ptr, cookie } => vec![Command::AcquireDone { ptr, cookie }],
        Return::Reply(ref reply) => vec![Command::FreeBuffer(reply.buffer)],
        _ => vec![],
    }
}
