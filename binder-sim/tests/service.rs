//! The service manager: a story between three processes, then its rules, each in a world with a real driver.

use binder_sim::driver::{Read, Translation};
use binder_sim::parcel::{Parcel, Reader};
use binder_sim::protocol::{
    Command, Delivered, Object, ObjectFlags, Payload, Return, TransactionData, TransactionFlags,
};
use binder_sim::service::{self, NAME_MAX, ServiceManager, Status, add_service, get_service, list_services};
use binder_sim::trace::Lane;
use binder_sim::world::{Pid, World};
use proptest::prelude::*;

/// A machine with a manager.
struct Machine {
    world: World,
    manager: Pid,
    list: ServiceManager,
}

impl Machine {
    fn new() -> Machine {
        let mut world = World::new(Translation::Deferred);
        let manager = process(&mut world, "manager", 1000);
        world.set_context_manager(manager, ObjectFlags::NONE).expect("the first");
        Machine { world, manager, list: ServiceManager::new() }
    }

    fn process(&mut self, name: &str, euid: u32) -> Pid {
        process(&mut self.world, name, euid)
    }

    /// Lets the manager do what there is to do.
    fn manager(&mut self) {
        self.world.serve(self.manager, |read| self.list.answer(read)).expect("the manager lives");
        self.world.check().expect("every invariant holds");
    }

    /// Calls the manager and gives its reply, whose buffer is not given back.
    fn ask(&mut self, caller: Pid, data: TransactionData) -> Delivered {
        self.world.write_read(caller, vec![Command::Transaction(data)], Read::NONE).expect("an ioctl");
        self.manager();
        loop {
            let read = self.world.write_read(caller, vec![], Read::NOW).expect("an ioctl").expect("no wait");
            assert_eq!(read.error, None, "no reply came");
            let done: Vec<Command> = read.returns.iter().filter_map(counted).collect();
            self.world.write_read(caller, done, Read::NONE).expect("an ioctl");
            if let Some(reply) = read.returns.iter().find_map(Return::delivered) {
                return reply.clone();
            }
        }
    }

    fn add(&mut self, caller: Pid, name: &str, ptr: u64) -> Result<(), Status> {
        let reply = self.ask(caller, add_service(name, Object::binder(ptr, ObjectFlags::ACCEPTS_FDS)));
        self.free(caller, &reply);
        service::added(&reply)
    }

    /// Looks a name up and keeps the handle.
    fn get(&mut self, caller: Pid, name: &str) -> Result<u32, Status> {
        let reply = self.ask(caller, get_service(name));
        let found = service::found(&reply).cloned();
        if let Ok(Object::Handle { handle, .. }) = found {
            self.world.write_read(caller, vec![Command::Acquire(handle)], Read::NONE).expect("an ioctl");
        }
        self.free(caller, &reply);
        match found? {
            Object::Handle { handle, .. } => Ok(handle),
            _ => Err(Status::BadValue),
        }
    }

    fn free(&mut self, caller: Pid, reply: &Delivered) {
        self.world.write_read(caller, vec![Command::FreeBuffer(reply.buffer)], Read::NONE).expect("an ioctl");
    }

    fn names(&self) -> Vec<String> {
        self.list.names().map(str::to_owned).collect()
    }

    /// The manager's handles: number, strong count.
    fn held(&self) -> Vec<(u32, u32)> {
        let open = self.world.open_of(self.manager).expect("open");
        self.world.driver().handles(open).into_iter().map(|(handle, strong, ..)| (handle, strong)).collect()
    }
}

fn process(world: &mut World, name: &str, euid: u32) -> Pid {
    let pid = world.spawn_as(name, euid);
    world.open_device(pid).expect("a fresh table");
    world.mmap(pid, 128 << 10).expect("once");
    world.write_read(pid, vec![], Read::NONE).expect("an ioctl");
    pid
}

/// What the owner of a node answers when the driver counts it.
fn counted(read: &Return) -> Option<Command> {
    match *read {
        Return::IncRefs { ptr, cookie } => Some(Command::IncRefsDone { ptr, cookie }),
        Return::Acquire { ptr, cookie } => Some(Command::AcquireDone { ptr, cookie }),
        _ => None,
    }
}

#[test]
fn a_client_finds_a_server_by_name_and_gets_a_descriptor_from_it() {
    let mut machine = Machine::new();
    let [server, client] = ["server", "client"].map(|name| machine.process(name, 1000));
    assert_eq!(machine.add(server, "frames", 0x5e7), Ok(()));
    let memory = machine.world.open(server, "memory", ()).expect("room");
    let mut serve = |read: &Return| match read {
        Return::Transaction(call) => {
            let reply = TransactionData::new(0, 0, Payload::objects([Object::fd(memory)]));
            vec![Command::FreeBuffer(call.buffer), Command::Reply(reply)]
        }
        other => counted(other).into_iter().collect(),
    };
    machine.world.serve(server, &mut serve).expect("the server lives");

    let handle = machine.get(client, "frames").expect("it is there");
    let call = Command::Transaction(TransactionData::new(handle, 1, Payload::new()));
    machine.world.write_read(client, vec![call], Read::NONE).expect("an ioctl");
    machine.world.serve(server, &mut serve).expect("the server lives");
    let read = machine.world.write_read(client, vec![], Read::NOW).expect("an ioctl").expect("no wait");
    let reply = read.returns.iter().find_map(Return::delivered).expect("a reply");
    let Object::Fd { fd, .. } = reply.payload.objects[0].object else { panic!("{reply:?}") };
    let (theirs, ours) = (machine.world.file(server, memory), machine.world.file(client, fd));
    assert!(theirs.expect("open").is_same(ours.expect("arrived")), "two numbers, one open file");
    machine.world.check().expect("every invariant holds");
}

#[test]
fn a_trace_follows_as_many_processes_as_take_part() {
    let mut machine = Machine::new();
    let [server, client] = ["server", "client"].map(|name| machine.process(name, 1000));
    machine.world.trace(&[machine.manager, server, client]);
    machine.add(server, "frames", 0x5e7).expect("a good name");
    let memory = machine.world.open(client, "memory", ()).expect("room");
    let handle = machine.get(client, "frames").expect("it is there");
    let call = TransactionData::new(handle, 1, Payload::objects([Object::fd(memory)]));
    machine.world.write_read(client, vec![Command::Transaction(call)], Read::NONE).expect("an ioctl");
    machine.world.write_read(server, vec![], Read::NOW).expect("an ioctl");
    machine.world.exit(server).expect("alive");
    machine.manager();

    let trace = machine.world.take_trace().expect("it was asked for");
    assert_eq!(trace.processes, ["manager", "server", "client"]);
    let row = &trace.translations[0];
    assert_eq!(
        (row.sender.as_str(), row.receiver.as_str(), row.chosen_in_call_of.as_str()),
        ("client", "server", "server")
    );
    for (at, name) in trace.processes.iter().enumerate() {
        let calls = trace.rows.iter().filter(|row| row.lane == Lane::Process(at) && row.in_call_of == *name);
        assert!(calls.count() > 0, "{name} has no call in its lane");
    }
    let arrived = trace.replay(row.installed_at_step);
    assert!(arrived.tables[1].iter().any(|open| open.fd == row.receiver_fd && open.file == "memory"));
    assert_eq!(trace.after("server"), [], "its table went with it");
    assert_eq!(trace.after("client").len(), 2);
}

#[test]
fn names_are_checked() {
    let mut machine = Machine::new();
    let server = machine.process("server", 1000);
    let long = "n".repeat(NAME_MAX);
    for name in ["a", "android.hardware.light.ILights/default", "A-Z_0.9/-", &long] {
        assert_eq!(machine.add(server, name, 1), Ok(()), "{name}");
    }
    for name in ["", "two words", "tab\t", "gr\u{fc}n", "semi;colon", &format!("{long}n")] {
        assert_eq!(machine.add(server, name, 1), Err(Status::BadValue), "{name}");
    }
    assert_eq!(machine.names().len(), 4);
    assert_eq!(machine.held(), [(1, 1)], "one node under four names is one handle, held once");
}

#[test]
fn apps_cannot_add_and_can_look_up() {
    let mut machine = Machine::new();
    for (euid, expected) in [
        (0, Ok(())),
        (1000, Ok(())),
        (9999, Ok(())),
        (10_000, Err(Status::NotPermitted)),
        (99_123, Err(Status::NotPermitted)),
        (101_000, Ok(())),
        (110_000, Err(Status::NotPermitted)),
    ] {
        let process = machine.process(&format!("uid {euid}"), euid);
        assert_eq!(machine.add(process, "service", 1), expected, "uid {euid}");
        assert!(machine.get(process, "service").is_ok() || expected.is_ok(), "uid {euid}");
    }
}

#[test]
fn nobody_has_a_name_that_was_not_given() {
    let mut machine = Machine::new();
    let client = machine.process("client", 1000);
    assert_eq!(machine.get(client, "nobody"), Err(Status::NotFound));
    assert_eq!(service::listed(&machine.ask(client, list_services())), Ok(vec![]));
}

#[test]
fn a_new_registration_replaces_the_old() {
    let mut machine = Machine::new();
    let [old, new, client] = ["old", "new", "client"].map(|name| machine.process(name, 1000));
    machine.add(old, "service", 1).expect("a good name");
    let before = machine.get(client, "service").expect("there");
    machine.add(new, "service", 2).expect("a good name");
    assert_ne!(machine.get(client, "service").expect("there"), before, "another node");
    assert_eq!(machine.held().len(), 1, "the manager has let the old one go");
    machine.world.exit(old).expect("alive");
    machine.manager();
    assert_eq!(machine.names(), ["service"], "the death of one that was replaced takes nothing away");
    machine.world.exit(new).expect("alive");
    machine.manager();
    assert_eq!(machine.names(), [""; 0]);
}

#[test]
fn the_same_node_again_changes_nothing() {
    let mut machine = Machine::new();
    let server = machine.process("server", 1000);
    for _ in 0..3 {
        machine.add(server, "service", 1).expect("a good name");
    }
    assert_eq!((machine.names().len(), machine.held()), (1, vec![(1, 1)]));
}

#[test]
fn all_names_of_the_dead_go_and_nobody_elses() {
    let mut machine = Machine::new();
    let [dies, lives, client] = ["dies", "lives", "client"].map(|name| machine.process(name, 1000));
    for (process, name, ptr) in [(dies, "a", 1), (dies, "b", 1), (dies, "c", 2), (lives, "d", 1)] {
        machine.add(process, name, ptr).expect("a good name");
    }
    machine.world.exit(dies).expect("alive");
    machine.manager();
    let reply = machine.ask(client, list_services());
    assert_eq!(service::listed(&reply), Ok(vec!["d"]));
    assert_eq!(machine.held().len(), 1, "dead handles are given back");
}

#[test]
fn a_death_and_a_replacement_that_cross_are_both_borne() {
    let mut machine = Machine::new();
    let [old, new] = ["old", "new"].map(|name| machine.process(name, 1000));
    machine.add(old, "service", 1).expect("a good name");
    // The notice waits in the manager's list, and in front of it the call that replaces what has died.
    let data = add_service("service", Object::binder(2, ObjectFlags::NONE));
    machine.world.write_read(new, vec![Command::Transaction(data)], Read::NONE).expect("an ioctl");
    machine.world.exit(old).expect("alive");
    machine.manager();
    assert_eq!((machine.names().len(), machine.held().len()), (1, 1));
}

#[test]
fn only_a_strong_reference_to_somebody_elses_node_can_have_a_name() {
    let mut machine = Machine::new();
    let server = machine.process("server", 1000);
    let weak = Object::Binder { ptr: 1, cookie: 1, flags: ObjectFlags::NONE, strong: false };
    for (what, payload) in [
        ("a weak one", Parcel::new().text("service").object(weak).payload()),
        ("none", Parcel::new().text("service").payload()),
        ("none, and no name", Payload::new()),
        ("a number that looks like one", Parcel::new().text("service").number(0x7368_2a85).payload()),
    ] {
        let reply = machine.ask(server, TransactionData::new(0, 3, payload));
        assert_eq!(service::added(&reply), Err(Status::BadValue), "{what}");
        machine.free(server, &reply);
    }
    let reply = machine.ask(server, TransactionData::new(0, 99, Payload::new()));
    assert_eq!(service::added(&reply), Err(Status::UnknownCall));
    assert_eq!(machine.held(), []);
}

#[test]
fn a_one_way_call_is_done_and_not_answered() {
    let mut machine = Machine::new();
    let server = machine.process("server", 1000);
    let data = add_service("service", Object::binder(1, ObjectFlags::NONE)).flags(TransactionFlags::ONE_WAY);
    machine.world.write_read(server, vec![Command::Transaction(data)], Read::NONE).expect("an ioctl");
    machine.manager();
    assert_eq!(machine.names(), ["service"]);
}

proptest! {
    /// What a parcel holds is what is read from it; and bytes of a stranger are read without a panic.
    #[test]
    fn what_is_written_is_read(texts in proptest::collection::vec(".{0,40}", 0..6), number: i32) {
        let written = texts.iter().fold(Parcel::new(), |parcel, text| parcel.text(text)).number(number);
        let payload = written.object(Object::handle(5)).payload();
        let mut reader = Reader::new(&payload);
        for text in &texts {
            prop_assert_eq!(reader.text(), Some(text.as_str()));
        }
        prop_assert_eq!((reader.number(), reader.object()), (Some(number), Some(&Object::handle(5))));
        prop_assert_eq!((reader.number(), reader.text(), reader.object()), (None, None, None));
    }

    /// Any call of any bytes is answered once, and leaves the list as it should be.
    #[test]
    fn any_bytes_are_answered(code in 0u32..6, bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut machine = Machine::new();
        let stranger = machine.process("stranger", 1000);
        let reply = machine.ask(stranger, TransactionData::new(0, code, Payload::bytes(&bytes)));
        prop_assert!(service::found(&reply).is_err(), "nothing has been added");
        prop_assert_eq!(machine.names().len(), 0);
    }
}
