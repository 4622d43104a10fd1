//! The fast path: one client, one server, the same call with one descriptor again and again.

use super::{Pid, World};
use crate::driver::{Read, Translation, WriteRead};
use crate::error::Error;
use crate::protocol::{Command, Object, ObjectFlags, Payload, Return, TransactionData, TransactionFlags};
use alloc::vec;
use alloc::vec::Vec;

/// A client and a server on handle 0, each with its main thread waiting where it would in real life; no trace.
///
/// # Examples
/// ```
/// use binder_sim::driver::Translation;
/// use binder_sim::world::RoundTrip;
///
/// let mut pair = RoundTrip::new(Translation::Deferred)?;
/// assert_eq!(pair.call()?, 1, "the server's lowest free number, each time");
/// assert_eq!(pair.call()?, 1);
/// # Ok::<(), binder_sim::error::Error>(())
/// ```
#[derive(Debug)]
pub struct RoundTrip {
    /// The machine.
    world: World,
    /// The caller.
    client: Pid,
    /// The called.
    server: Pid,
    /// The client's number of the file that it sends.
    fd: u32,
    /// The buffer of the last reply, given back with the next call, as libbinder does.
    reply: Option<u64>,
}

impl RoundTrip {
    /// Starts both; the server waits for calls.
    ///
    /// # Errors
    /// None that a fresh world can have.
    pub fn new(translation: Translation) -> Result<RoundTrip, Error> {
        let mut world = World::new(translation);
        let [client, server] = ["client", "server"].map(|name| world.spawn(name));
        for process in [client, server] {
            world.open_device(process)?;
            world.mmap(process, 1 << 20)?;
        }
        world.set_context_manager(server, ObjectFlags::ACCEPTS_FDS)?;
        let fd = world.open(client, "memory", ())?;
        // A thread's first call comes back at once, with nothing: it is not one of those that count.
        for process in [client, server] {
            world.write_read(process, vec![], Read::NONE)?;
        }
        world.write_read(server, vec![], Read::WAIT)?;
        Ok(RoundTrip { world, client, server, fd, reply: None })
    }

    /// The machine, to look at or to fill with bystanders.
    pub fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    /// The one who calls.
    pub fn client(&self) -> Pid {
        self.client
    }

    /// The one who is called.
    pub fn server(&self) -> Pid {
        self.server
    }

    /// One synchronous call with one descriptor, there and back; the server closes what it got.
    ///
    /// Says which number the server had it under (`u32::MAX` if it never came).
    ///
    /// # Errors
    /// `EBUSY`: somebody else made one of the two wait.
    pub fn call(&mut self) -> Result<u32, Error> {
        let request = TransactionData::new(0, 1, Payload::objects([Object::fd(self.fd)]));
        let request = request.flags(TransactionFlags::NONE);
        let mut write = Vec::with_capacity(2);
        write.extend(self.reply.take().map(Command::FreeBuffer));
        write.push(Command::Transaction(request));
        self.world.write_read(self.client, write, Read::WAIT)?;
        self.world.run();
        let call = self.world.take_returned(self.server).as_ref().and_then(last);
        if let Some((buffer, fd)) = call {
            self.world.close(self.server, fd)?;
            let reply = TransactionData::new(0, 0, Payload::new()).flags(TransactionFlags::NONE);
            // The completion of the reply ends this read at once; the next one waits for the next call.
            self.world.write_read(
                self.server,
                vec![Command::FreeBuffer(buffer), Command::Reply(reply)],
                Read::WAIT,
            )?;
            self.world.write_read(self.server, Vec::new(), Read::WAIT)?;
        }
        self.world.run();
        let read = self.world.take_returned(self.client);
        self.reply = read.and_then(|read| Some(read.returns.last()?.delivered()?.buffer));
        Ok(call.map_or(u32::MAX, |(_, fd)| fd))
    }
}

/// The buffer and the descriptor of the call that was read.
fn last(read: &WriteRead) -> Option<(u64, u32)> {
    match read.returns.last()? {
        Return::Transaction(call) => match call.payload.objects.first()?.object {
            Object::Fd { fd, .. } => Some((call.buffer, fd)),
            _ => None,
        },
        _ => None,
    }
}
