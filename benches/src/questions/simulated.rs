//! How many transactions a second does the simulated driver carry out?
//!
//! Its book-keeping alone, without a kernel and without processes. It says how many transactions a test of
//! the simulator can afford, and where the driver's tables grow: with the descriptors of one call, and with
//! the files that both processes have open before.

use binder_sim::driver::{Read, Translation};
use binder_sim::error::Error;
use binder_sim::protocol::{
    Command, Object, ObjectFlags, Payload, Return, TransactionData, TransactionFlags,
};
use binder_sim::world::{Pid, World};

use crate::Failure;
use crate::clock::Alone;
use crate::measure::{Effort, Entry};

/// What grows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Size {
    /// Descriptors in a call.
    Descriptors(u32),
    /// Files open in each of the two processes.
    Files(u32),
}

/// What is looked at: as many descriptors as one message of a Unix socket takes, and as many files as a table
/// has.
pub(super) fn sizes(effort: Effort) -> Vec<Size> {
    let files = [10, 100, 1000, 10_000].into_iter().filter(|&files| u64::from(files) <= effort.most);
    [1, 16, 253].map(Size::Descriptors).into_iter().chain(files.map(Size::Files)).collect()
}

/// The two schemes.
pub(super) fn entries(size: Size) -> Result<Vec<Entry>, Failure> {
    let (descriptors, files, names) = match size {
        Size::Descriptors(count) => (count, 0, ["classic, fds in a call", "deferred, fds in a call"]),
        Size::Files(count) => (1, count, ["classic, files open", "deferred, files open"]),
    };
    let entry = |translation, name| -> Result<Entry, Failure> {
        let mut pair =
            Pair::new(translation, descriptors, files).map_err(Failure::step("a simulated pair"))?;
        let work = Alone(move || match pair.call() {
            Ok(arrived) if arrived == descriptors as usize => Ok(()),
            Ok(arrived) => {
                Err(Failure::new(format!("{arrived} of {descriptors} simulated descriptors arrived")))
            }
            Err(error) => Err(Failure::new(format!("a simulated call: {error}"))),
        });
        Ok(Entry::model(name, u64::from(descriptors.max(files)), work))
    };
    Ok(vec![entry(Translation::Classic, names[0])?, entry(Translation::Deferred, names[1])?])
}

/// A client and a server on handle 0, each waiting where it would in real life; no trace.
struct Pair {
    world: World,
    client: Pid,
    server: Pid,
    /// The client's numbers of what it sends.
    sent: Vec<u32>,
    /// The buffer of the last reply, given back with the next call, as libbinder does.
    reply: Option<u64>,
}

impl Pair {
    fn new(translation: Translation, descriptors: u32, files: u32) -> Result<Self, Error> {
        let mut world = World::new(translation);
        let [client, server] = ["client", "server"].map(|name| world.spawn(name));
        for process in [client, server] {
            world.set_limit(process, files + descriptors + 16)?;
            world.open_device(process)?;
            world.mmap(process, 1 << 20)?;
            (0..files).try_for_each(|_| world.open(process, "bystander", ()).map(drop))?;
        }
        world.set_context_manager(server, ObjectFlags::ACCEPTS_FDS)?;
        let sent = (0..descriptors).map(|_| world.open(client, "memory", ())).collect::<Result<_, _>>()?;
        // A thread's first call comes back at once, with nothing: it is not one of those that count.
        for process in [client, server] {
            world.write_read(process, vec![], Read::NONE)?;
        }
        world.write_read(server, vec![], Read::WAIT)?;
        Ok(Self { world, client, server, sent, reply: None })
    }

    /// One synchronous call there and back; the server closes what it got. How many descriptors that were.
    fn call(&mut self) -> Result<usize, Error> {
        let objects = Payload::objects(self.sent.iter().map(|&fd| Object::fd(fd)));
        let mut write: Vec<_> = self.reply.take().map(Command::FreeBuffer).into_iter().collect();
        write.push(Command::Transaction(data(1, objects)));
        self.world.write_read(self.client, write, Read::WAIT)?;
        self.world.run();
        let returned = self.world.take_returned(self.server);
        let mut arrived = 0;
        if let Some(Return::Transaction(call)) = returned.as_ref().and_then(|read| read.returns.last()) {
            for object in &call.payload.objects {
                if let Object::Fd { fd, .. } = object.object {
                    self.world.close(self.server, fd)?;
                    arrived += 1;
                }
            }
            let answer = vec![Command::FreeBuffer(call.buffer), Command::Reply(data(0, Payload::new()))];
            // The completion of the reply ends this read at once; the next one waits for the next call.
            self.world.write_read(self.server, answer, Read::WAIT)?;
            self.world.write_read(self.server, vec![], Read::WAIT)?;
        }
        self.world.run();
        let read = self.world.take_returned(self.client);
        self.reply = read.and_then(|read| Some(read.returns.last()?.delivered()?.buffer));
        Ok(arrived)
    }
}

fn data(code: u32, payload: Payload) -> TransactionData {
    TransactionData::new(0, code, payload).flags(TransactionFlags::NONE)
}
