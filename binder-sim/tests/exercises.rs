//! The exercises of the book's chapters on Binder: each test tells whether one is solved. The driver is the judge.
//!
//! `cargo test -p binder-sim --test exercises NAME` judges what is in `exercises/NAME.rs`; with `--features
//! solutions`, the solutions.

#[path = "../../sysv-shm/tests/support/exercise.rs"]
mod exercise;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/lowest_free.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/lowest_free.rs")]
mod lowest_free;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/who_closes.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/who_closes.rs")]
mod who_closes;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/who_is_told.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/who_is_told.rs")]
mod who_is_told;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/in_turn.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/in_turn.rs")]
mod in_turn;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/keep_it.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/keep_it.rs")]
mod keep_it;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/once_only.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/once_only.rs")]
mod once_only;

use binder_sim::driver::{Read, Translation};
use binder_sim::error::Error;
use binder_sim::protocol::{
    Command, Delivered, Object, ObjectFlags, Payload, Return, TransactionData, TransactionFlags,
};
use binder_sim::service::{ServiceManager, add_service, get_service};
use binder_sim::world::{Pid, World};
use exercise::{Verdict, check, judge};
use who_is_told::Kind;

/// A client, and a server on handle 0.
struct Pair {
    world: World,
    client: Pid,
    server: Pid,
}

impl Pair {
    fn new(translation: Translation) -> Result<Pair, String> {
        let mut world: World = World::new(translation);
        let [client, server] = ["client", "server"].map(|name| world.spawn(name));
        for process in [client, server] {
            world.open_device(process).map_err(in_words)?;
            world.mmap(process, 128 << 10).map_err(in_words)?;
            world.write_read(process, vec![], Read::NONE).map_err(in_words)?;
        }
        world.set_context_manager(server, ObjectFlags::ACCEPTS_FDS).map_err(in_words)?;
        Ok(Pair { world, client, server })
    }

    fn write(&mut self, who: Pid, commands: Vec<Command>) -> Result<(), String> {
        self.world.write_read(who, commands, Read::NONE).map(drop).map_err(in_words)
    }

    /// What there is to read.
    fn read(&mut self, who: Pid) -> Result<Vec<Return>, String> {
        let read = self.world.write_read(who, vec![], Read::NOW).map_err(in_words)?;
        Ok(read.map(|read| read.returns).unwrap_or_default())
    }

    /// Opens this many files in a process; their numbers.
    fn open(&mut self, who: Pid, count: usize) -> Result<Vec<u32>, String> {
        (0..count).map(|_| self.world.open(who, "file", ()).map_err(in_words)).collect()
    }
}

fn in_words(error: Error) -> String {
    error.to_string()
}

/// A call of handle 0.
fn call(payload: Payload, flags: TransactionFlags) -> Command {
    Command::Transaction(TransactionData::new(0, 1, payload).flags(flags))
}

fn fds(numbers: &[u32]) -> Payload {
    Payload::objects(numbers.iter().map(|&fd| Object::fd(fd)))
}

fn delivered(read: &[Return]) -> Option<&Delivered> {
    read.iter().find_map(Return::delivered)
}

/// Numbers that look like chance, and are the same every time (splitmix64).
fn chance(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *seed;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[test]
fn lowest_free() {
    judge("lowest_free", the_driver_gives_these_numbers());
}

fn the_driver_gives_these_numbers() -> Verdict {
    let mut seed = 1;
    for count in (0..6).cycle().take(300) {
        let mut pair = Pair::new(Translation::Deferred)?;
        let sent = pair.open(pair.client, count)?;
        let limit = 4 + (chance(&mut seed) % 12) as u32;
        for fd in 0..limit {
            if chance(&mut seed).is_multiple_of(2) {
                // A number that is taken already, by the device, stays so.
                drop(pair.world.open_at(pair.server, fd, "file", ()));
            }
        }
        pair.world.set_limit(pair.server, limit).map_err(in_words)?;
        let table = pair.world.table(pair.server).ok_or("it lives")?;
        let open: Vec<u32> = table.iter().map(|(fd, _)| fd).collect();
        pair.write(pair.client, vec![call(fds(&sent), TransactionFlags::ONE_WAY)])?;
        let read = pair.read(pair.server)?;
        let driver = delivered(&read).map(|call| call.payload.descriptors().collect::<Vec<_>>());
        let yours = lowest_free::numbers(&open, limit, count);
        let text = format!("{open:?} open, limit {limit}, {count} sent: driver {driver:?}, yours {yours:?}");
        check(driver == yours, text)?;
    }
    Ok(())
}

#[test]
fn who_closes() {
    judge("who_closes", nothing_is_left_and_nothing_else_is_closed());
}

/// The receiver reuses a number before it closes what is its own to close.
fn nothing_is_left_and_nothing_else_is_closed() -> Verdict {
    let mut pair = Pair::new(Translation::Deferred)?;
    let sent = pair.open(pair.client, 4)?;
    let mut payload = Payload::fd_array(0x5000_0000, &sent[1..]);
    let offset = payload.data_size;
    payload.bytes.resize(payload.bytes.len() + Object::SIZE, 0);
    payload.objects.push(binder_sim::protocol::Placed { offset, object: Object::fd(sent[0]) });
    let payload = Payload::placed(payload.bytes, payload.objects);
    let before = pair.world.table(pair.server).map_or(0, |table| table.len());
    let data = TransactionData::new(0, 1, payload).flags(TransactionFlags::ONE_WAY);
    pair.write(pair.client, vec![Command::Transaction(data)])?;
    let read = pair.read(pair.server)?;
    let message = delivered(&read).ok_or("the message has come")?;
    pair.write(pair.server, vec![Command::FreeBuffer(message.buffer)])?;
    let own = pair.open(pair.server, 3)?;
    for fd in who_closes::ours_to_close(message) {
        check(
            !own.contains(&fd),
            format!("yours closes {fd}, which is a file of the receiver's own by now"),
        )?;
        pair.world.close(pair.server, fd).map_err(in_words)?;
    }
    let left = pair.world.table(pair.server).map_or(0, |table| table.len()) - before - own.len();
    check(left == 0, format!("{left} numbers are left that came with the message"))
}

#[test]
fn who_is_told() {
    judge("who_is_told", the_driver_tells_these());
}

fn the_driver_tells_these() -> Verdict {
    for translation in Translation::ALL {
        for kind in [Kind::Call, Kind::OneWay, Kind::Reply] {
            let driver = sender_reads_a_refusal(translation, kind)?;
            let yours = who_is_told::sender_learns_of_it(translation, kind);
            let text = format!("{translation}, {kind:?}: the sender is told {driver}, yours {yours}");
            check(driver == yours, text)?;
        }
    }
    Ok(())
}

fn sender_reads_a_refusal(translation: Translation, kind: Kind) -> Result<bool, String> {
    let mut pair = Pair::new(translation)?;
    let (flags, sender, full) = match kind {
        Kind::Call => (TransactionFlags::NONE, pair.client, pair.server),
        Kind::OneWay => (TransactionFlags::ONE_WAY, pair.client, pair.server),
        Kind::Reply => (TransactionFlags::ACCEPT_FDS, pair.server, pair.client),
    };
    let sent = pair.open(sender, 1)?;
    pair.world.set_limit(full, 1).map_err(in_words)?;
    let asked = if kind == Kind::Reply { Payload::new() } else { fds(&sent) };
    pair.write(pair.client, vec![call(asked, flags)])?;
    pair.read(pair.server)?;
    if kind == Kind::Reply {
        pair.write(pair.server, vec![Command::Reply(TransactionData::new(0, 0, fds(&sent)))])?;
    }
    Ok([pair.read(sender)?, pair.read(sender)?].concat().contains(&Return::FailedReply))
}

#[test]
fn in_turn() {
    judge("in_turn", the_driver_delivers_in_this_order());
}

fn the_driver_delivers_in_this_order() -> Verdict {
    let mut seed = 2;
    for length in (0..9).cycle().take(200) {
        let nodes: Vec<usize> = (0..length).map(|_| (chance(&mut seed) % 3) as usize).collect();
        let driver = read_in_order(&nodes)?;
        let yours = in_turn::order(&nodes);
        check(driver == yours, format!("sent to {nodes:?}: driver {driver:?}, yours {yours:?}"))?;
    }
    Ok(())
}

/// The order in which messages to these nodes of the server are read.
fn read_in_order(nodes: &[usize]) -> Result<Vec<usize>, String> {
    let mut pair = Pair::new(Translation::Deferred)?;
    let objects = [0xa, 0xb].map(|ptr| Object::binder(ptr, ObjectFlags::NONE));
    pair.write(pair.client, vec![call(Payload::new(), TransactionFlags::NONE)])?;
    let buffer = delivered(&pair.read(pair.server)?).ok_or("the call has come")?.buffer;
    let reply = Command::Reply(TransactionData::new(0, 0, Payload::objects(objects)));
    pair.write(pair.server, vec![Command::FreeBuffer(buffer), reply])?;
    // Their counts and the completion are read, so that nothing stands before the messages.
    while !pair.read(pair.server)?.is_empty() {}
    let read = pair.read(pair.client)?;
    let reply = delivered(&read).ok_or("the reply has come")?;
    let mut handles = vec![0];
    for placed in &reply.payload.objects {
        if let Object::Handle { handle, .. } = placed.object {
            handles.push(handle);
        }
    }
    for (at, &node) in nodes.iter().enumerate() {
        let code = u32::try_from(at).map_err(|_| "a short list")?;
        let data = TransactionData::new(handles[node], code, Payload::new()).flags(TransactionFlags::ONE_WAY);
        pair.write(pair.client, vec![Command::Transaction(data)])?;
    }
    let mut order = Vec::new();
    while let Some(call) = delivered(&pair.read(pair.server)?) {
        order.push(call.code as usize);
        pair.write(pair.server, vec![Command::FreeBuffer(call.buffer)])?;
    }
    Ok(order)
}

#[test]
fn keep_it() {
    judge("keep_it", the_handle_stays_and_nothing_else());
}

fn the_handle_stays_and_nothing_else() -> Verdict {
    let mut pair = Pair::new(Translation::Deferred)?;
    let (mut list, server) = (ServiceManager::new(), pair.world.spawn("service"));
    pair.world.open_device(server).map_err(in_words)?;
    pair.world.mmap(server, 128 << 10).map_err(in_words)?;
    let service = add_service("clock", Object::binder(0xd, ObjectFlags::NONE));
    pair.write(server, vec![Command::Transaction(service)])?;
    pair.world.serve(pair.server, |read| list.answer(read)).map_err(in_words)?;
    let client = pair.world.open_of(pair.client).ok_or("it is open")?;
    for (name, expected) in [("clock", 1), ("nobody", 1), ("clock", 1)] {
        pair.write(pair.client, vec![Command::Transaction(get_service(name))])?;
        pair.world.serve(pair.server, |read| list.answer(read)).map_err(in_words)?;
        let read = pair.read(pair.client)?;
        let commands = keep_it::keep(delivered(&read).ok_or("the reply has come")?);
        pair.write(pair.client, commands)?;
        let handles = pair.world.driver().handles(client).len();
        check(handles == expected, format!("after looking {name:?} up, the client has {handles} handles"))?;
        let buffers = pair.world.driver().buffers(client).map_or(0, |(out, _)| out);
        check(buffers == 0, format!("after looking {name:?} up, {buffers} buffers are out"))?;
    }
    Ok(())
}

#[test]
fn once_only() {
    judge("once_only", one_number_for_each_file());
}

fn one_number_for_each_file() -> Verdict {
    let mut pair = Pair::new(Translation::Deferred)?;
    let sent = pair.open(pair.client, 3)?;
    let before = pair.world.table(pair.server).map_or(0, |table| table.len());
    let (mut known, mut first) = (Vec::new(), [None; 3]);
    for file in [0, 1, 0, 0, 2, 1, 2, 0] {
        pair.write(pair.client, vec![call(fds(&[sent[file]]), TransactionFlags::ONE_WAY)])?;
        let read = pair.read(pair.server)?;
        let message = delivered(&read).ok_or("the message has come")?;
        pair.write(pair.server, vec![Command::FreeBuffer(message.buffer)])?;
        let came = message.payload.descriptors().next().ok_or("a descriptor came")?;
        let fd = once_only::once(&mut pair.world, pair.server, &mut known, came).map_err(in_words)?;
        check(*first[file].get_or_insert(fd) == fd, format!("file {file} has got another number, {fd}"))?;
        let is_it = pair.world.file(pair.server, fd).zip(pair.world.file(pair.client, sent[file]));
        check(is_it.is_some_and(|(one, other)| one.is_same(other)), format!("{fd} is not file {file}"))?;
    }
    let numbers = pair.world.table(pair.server).map_or(0, |table| table.len()) - before;
    check(numbers == 3, format!("three files have {numbers} numbers"))
}
