//! Scripts that begin with a server on handle 0 and a client, and what both saw after that.

use binder_sim::driver::Translation;
use binder_sim::protocol::{Command, Object, ObjectFlags, Payload, TransactionData, TransactionFlags};
use binder_sim::script::{Action, Actor, Schedule, Script};
use binder_sim::world::{Pid, World};

/// The client's place in the script; its numbers 4 to 6 are files, 3 is the device.
pub(crate) const CLIENT: usize = 0;
/// The server's place in the script.
pub(crate) const SERVER: usize = 1;
/// The steps that [`pair`] takes before a script's own.
const SETUP: usize = 7;

/// A client with files under 4, 5 and 6, and a server as the context manager, made with `manager`.
pub(crate) fn pair(name: &str, manager: Action) -> Script {
    let files = [(0, "terminal"), (1, "terminal"), (2, "terminal")];
    let more = [files.as_slice(), &[(4, "memory"), (5, "pipe"), (6, "socket")]].concat();
    let client = Actor::new("client", &more);
    let nothing = || Action::write([]);
    Script::new(name, [client, Actor::new("server", &files)])
        .step(SERVER, Action::open_device())
        .step(SERVER, Action::mmap(128 << 10))
        .step(SERVER, manager)
        .step(CLIENT, Action::open_device())
        .step(CLIENT, Action::mmap(128 << 10))
        .step(CLIENT, nothing())
        .step(SERVER, nothing())
}

/// [`pair`] with a manager that accepts descriptors.
pub(crate) fn accepting(name: &str) -> Script {
    pair(name, Action::SetContextMgrExt(ObjectFlags::ACCEPTS_FDS))
}

/// A call of handle 0 with these descriptors.
pub(crate) fn call(fds: &[u32]) -> Command {
    call_with(TransactionFlags::NONE, fds)
}

/// A call of handle 0 with these flags and descriptors.
pub(crate) fn call_with(flags: TransactionFlags, fds: &[u32]) -> Command {
    let payload = Payload::objects(fds.iter().map(|&fd| Object::fd(fd)));
    Command::Transaction(TransactionData::new(0, 1, payload).flags(flags))
}

/// A one-way call of handle 0 with these descriptors.
pub(crate) fn one_way(fds: &[u32]) -> Command {
    call_with(TransactionFlags::ONE_WAY, fds)
}

/// A reply with these descriptors.
pub(crate) fn reply(fds: &[u32]) -> Command {
    let payload = Payload::objects(fds.iter().map(|&fd| Object::fd(fd)));
    Command::Reply(TransactionData::new(0, 0, payload).flags(TransactionFlags::NONE))
}

/// The pid of the `actor`-th of a script.
pub(crate) fn pid(actor: usize) -> Pid {
    let mut world: World = World::new(Translation::Deferred);
    (0..=actor).map(|_| world.spawn("")).last().expect("at least one")
}

/// Runs the script in its own order, the invariants checked after each thing that happens; gives the world, and
/// what each actor saw after the set-up, a line `actor: saw` for each step.
pub(crate) fn run(script: &Script, translation: Translation) -> (World, Vec<String>) {
    let check = |world: &mut World| world.check().expect("every invariant holds");
    let (world, transcript) = script.run_with(translation, Schedule::Fifo, check);
    let lines = transcript.lines.iter().skip(SETUP);
    (world, lines.map(|line| format!("{}: {}", line.actor, line.saw.brief.replace("BR_", ""))).collect())
}

/// The numbers that a process has open.
pub(crate) fn numbers(world: &World, actor: usize) -> Vec<u32> {
    world.table(pid(actor)).map(|table| table.iter().map(|(fd, _)| fd).collect()).unwrap_or_default()
}
