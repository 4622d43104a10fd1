//! Opens of the device: whose they are, what holds them, how they end.

use crate::two::{Two, call, node, nothing, one_way, reply, text};
use binder_sim::driver::{Device, Profile, Read, Translation};
use binder_sim::protocol::{Answer, Command, Ioctl, Object, ObjectFlags, Payload};
use binder_sim::world::{Caller, Pid, World};

#[test]
fn each_device_has_a_manager_of_its_own_and_a_uid_for_life() {
    let mut world: World = World::new(Translation::Deferred);
    let [one, two] = [world.spawn_as("one", 1000), world.spawn_as("two", 2000)];
    for device in Device::ALL {
        let fds = [one, two].map(|pid| world.open_device_of(pid, device).expect("room"));
        let [first, second] = [(one, fds[0]), (two, fds[1])];
        let mut set = |(pid, fd): (Pid, u32)| {
            let caller = Caller { pid, tid: pid.raw(), fd };
            world.ioctl(caller, Ioctl::SetContextMgr).map_err(|error| error.errno().to_string())
        };
        assert_eq!(set(first), Ok(Some(Answer::Done)));
        assert_eq!(set(second), Err("EBUSY".into()));
        world.close(one, fds[0]).expect("open");
        let mut set = |(pid, fd): (Pid, u32)| {
            let caller = Caller { pid, tid: pid.raw(), fd };
            world.ioctl(caller, Ioctl::SetContextMgr).map_err(|error| error.errno().to_string())
        };
        assert_eq!(set(second), Err("EPERM".into()), "the first was of uid 1000");
        world.set_euid(two, 1000).expect("alive");
        let caller = Caller { pid: two, tid: two.raw(), fd: fds[1] };
        assert_eq!(world.ioctl(caller, Ioctl::SetContextMgr), Ok(Some(Answer::Done)));
        world.set_euid(two, 2000).expect("alive");
    }
    world.check().expect("every invariant holds");
}

#[test]
fn two_opens_of_one_process_are_two_processes_but_for_handle_0() {
    let mut two = Two::new();
    let (server, client) = (two.server, two.client);
    let fd = two.world.open_device(client).expect("room");
    two.world.mmap_fd(client, fd, 4096, false).expect("not mapped");
    let other = Caller { pid: client, tid: client.raw(), fd };
    two.world.write_read_by(other, vec![], Read::NONE).expect("an ioctl");
    // The client's node reaches its second open by way of the server.
    two.says(client, [one_way(0, node(0x500))], "ok");
    let got = two.takes(server);
    two.says(server, [Command::Acquire(1), Command::FreeBuffer(got.buffer)], "ok");
    let write = vec![call(0, nothing())];
    two.world.write_read_by(other, write, Read::NONE).expect("an ioctl");
    two.takes(server);
    two.says(server, [reply(Payload::objects([Object::handle(1)]))], "ok");
    let read = two.world.write_read_by(other, vec![], Read::NOW).expect("an ioctl").expect("the reply");
    assert_eq!(text(&read), "NOOP; TRANSACTION_COMPLETE; REPLY, 24 bytes [HANDLE 1]");
    let write = vec![call(1, nothing())];
    two.world.write_read_by(other, write, Read::NONE).expect("an ioctl");
    two.settle();
    two.reads(client, "NOOP; INCREFS 0x500; ACQUIRE 0x500; TRANSACTION_COMPLETE");
    two.reads(client, "NOOP; TRANSACTION for node 0x500, 0 bytes");
    // The manager's process cannot call handle 0 from a second open either.
    let fd = two.world.open_device(server).expect("room");
    let second = Caller { pid: server, tid: server.raw(), fd };
    let read = two.world.write_read_by(second, vec![call(0, nothing())], Read::NOW).expect("an ioctl");
    assert_eq!(text(&read.expect("no wait")), "NOOP; FAILED_REPLY");
}

#[test]
fn a_child_uses_its_parents_open_with_a_table_of_its_own() {
    let mut two = Two::new();
    let (server, client) = (two.server, two.client);
    let memory = two.world.open(client, "memory", ()).expect("room");
    let child = two.world.fork(server, "child").expect("alive");
    two.world.open(child, "log", ()).expect("room");
    two.says(client, [call(0, Payload::objects([Object::fd(memory)]))], "ok");
    // It is the open that is called; the descriptor goes to whoever reads.
    let caller = two.caller(child, 0);
    let read = two.world.write_read_by(caller, vec![], Read::NOW).expect("an ioctl").expect("no wait");
    assert_eq!(text(&read), "NOOP; TRANSACTION for node 0x0, 24 bytes [FD 2]");
    assert_eq!(two.world.file(child, 2).map(|file| file.label()), Some("memory"));
    assert_eq!(two.world.table(server).map(|table| table.len()), Some(1));
    assert!(two.world.mmap(child, 4096).is_err(), "a mapping is its opener's");
    // The open outlives its opener, until the child has gone too.
    two.world.exit(server).expect("alive");
    two.settle();
    assert_eq!(two.world.driver().population().0, 2);
    two.world.exit(child).expect("alive");
    two.settle();
    assert_eq!(two.world.driver().population().0, 1);
    two.reads(client, "NOOP; TRANSACTION_COMPLETE; DEAD_REPLY");
}

#[test]
fn a_device_in_flight_holds_its_open() {
    let mut two = Two::new();
    let (server, third) = (two.server, two.third());
    let main = two.caller(third, 0);
    two.says(third, [one_way(0, Payload::objects([Object::fd(main.fd)]))], "ok");
    two.world.exit(third).expect("alive");
    two.settle();
    assert_eq!(two.world.driver().population().0, 3, "the message holds it");
    two.world.exit(server).expect("alive");
    two.settle();
    assert_eq!(two.world.driver().population().0, 1);
}

#[test]
fn a_mapping_is_made_once_and_what_it_may_be() {
    let mut two = Two::new();
    let third = two.world.spawn("third");
    let fd = two.world.open_device(third).expect("room");
    let mut map =
        |size, write| two.world.mmap_fd(third, fd, size, write).map_err(|error| error.errno().to_string());
    assert_eq!(map(0, false), Err("EINVAL".into()));
    assert_eq!(map(usize::MAX, false), Err("EINVAL".into()));
    assert_eq!(map(4096, true), Err("EPERM".into()));
    assert_eq!(map(8 << 20, false), Ok(()));
    assert_eq!(map(4096, false), Err("EBUSY".into()));
    let open = two.world.open_of(third).expect("open");
    assert_eq!(two.world.driver().buffers(open), Some((0, 4 << 20)), "only four MiB of it are used");
    two.world.munmap(third, fd).expect("mapped");
    assert!(two.world.mmap_fd(third, fd, 4096, false).is_err(), "once, even if it is gone");
}

#[test]
fn an_unmapped_receiver_takes_nothing_new_and_keeps_what_it_has() {
    for translation in Translation::ALL {
        let mut two = Two::with(Profile::default(), translation, ObjectFlags::ACCEPTS_FDS);
        let (server, client) = (two.server, two.client);
        two.says(client, [one_way(0, nothing()), one_way(0, nothing())], "ok");
        let got = two.takes(server);
        let fd = two.caller(server, 0).fd;
        two.world.munmap(server, fd).expect("mapped");
        two.asks(
            client,
            [call(0, nothing())],
            "NOOP; TRANSACTION_COMPLETE; TRANSACTION_COMPLETE; DEAD_REPLY",
        );
        assert_eq!(
            two.world.extended_error(client).map(|e| e.to_string()),
            Ok("BR_DEAD_REPLY, -ESRCH".into())
        );
        two.asks(server, [Command::FreeBuffer(got.buffer)], "NOOP; TRANSACTION for node 0x0, 0 bytes");
    }
}

#[test]
fn what_a_close_leaves_to_do_is_done_later_and_others_meet_what_is_left() {
    let mut two = Two::new();
    let (server, client) = (two.server, two.client);
    two.world.set_eager(false);
    two.world.exit(server).expect("alive");
    assert_eq!(two.world.deferred(), 1, "flush and release are one");
    // The server is gone, and the driver does not know yet: only the mapping is missing.
    two.asks(client, [call(0, nothing())], "NOOP; DEAD_REPLY");
    assert_eq!(two.world.extended_error(client).map(|e| e.to_string()), Ok("BR_DEAD_REPLY, -ESRCH".into()));
    assert!(two.world.set_context_manager(client, ObjectFlags::NONE).is_err_and(|error| error.is_busy()));
    two.world.run_deferred();
    two.settle();
    assert_eq!(two.world.deferred(), 0);
    two.asks(client, [call(0, nothing())], "NOOP; DEAD_REPLY");
    assert_eq!(two.world.extended_error(client).map(|e| e.to_string()), Ok("BR_DEAD_REPLY, -EINVAL".into()));
}
