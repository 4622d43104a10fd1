//! Calls, replies, queues, handles and counts: rules, each a script.

use crate::stage::{CLIENT, SERVER, accepting, call, one_way, pid, reply, run};
use binder_sim::driver::{Read, Translation};
use binder_sim::protocol::{Command, Object, ObjectFlags, Payload, TransactionData, TransactionFlags};
use binder_sim::script::{Action, Actor, Buffer, Say, Schedule, Script};
use binder_sim::world::World;

/// A call of `handle` with these objects.
fn send(handle: u32, objects: &[Object], flags: TransactionFlags) -> Command {
    let payload = Payload::objects(objects.iter().cloned());
    Command::Transaction(TransactionData::new(handle, 1, payload).flags(flags))
}

/// The client's own node 0x900.
fn own_node() -> Object {
    Object::binder(0x900, ObjectFlags::ACCEPTS_FDS)
}

/// Compares what was seen, in both schemes.
fn check(script: &Script, expected: &[&str]) {
    for translation in Translation::ALL {
        assert_eq!(run(script, translation).1, expected, "{} ({translation})", script.name);
    }
}

#[test]
fn a_nested_call_comes_to_the_thread_that_waits() {
    let script = accepting("nested")
        .step(CLIENT, Action::call([send(0, &[own_node()], TransactionFlags::NONE)]))
        .step(SERVER, Action::read())
        .step(SERVER, Action::call([send(1, &[], TransactionFlags::NONE)]))
        .step(CLIENT, Action::free_and_write([reply(&[])]))
        .step(CLIENT, Action::call([]))
        .step(SERVER, Action::free_and_write([]))
        .step(SERVER, Action::free_and_write([reply(&[])]))
        .step(CLIENT, Action::call([]));
    let saw = [
        // One read: the node it sent is held now, its call was taken, and somebody calls it back.
        "client: NOOP; INCREFS 0x900; ACQUIRE 0x900; TRANSACTION_COMPLETE; TRANSACTION for node 0x900, 0 bytes",
        "server: NOOP; TRANSACTION for node 0x0, 24 bytes [HANDLE 1]",
        "server: NOOP; TRANSACTION_COMPLETE; REPLY, 0 bytes",
        "client: ok",
        "client: NOOP; TRANSACTION_COMPLETE",
        "server: ok",
        "server: ok",
        "client: NOOP; REPLY, 0 bytes",
    ];
    check(&script, &saw);
}

#[test]
fn one_way_calls_to_a_node_come_one_at_a_time_and_the_free_lets_the_next_come() {
    let script = accepting("one-way order")
        .step(CLIENT, Action::call([one_way(&[4])]))
        .step(CLIENT, Action::call([one_way(&[])]))
        .step(SERVER, Action::read())
        .step(SERVER, Action::read())
        .step(SERVER, Action::free_and_write([]))
        .step(SERVER, Action::read());
    let saw = [
        "client: NOOP; TRANSACTION_COMPLETE",
        "client: NOOP; TRANSACTION_COMPLETE",
        "server: NOOP; TRANSACTION for node 0x0, 24 bytes [FD 4]",
        "server: EAGAIN",
        "server: ok",
        "server: NOOP; TRANSACTION for node 0x0, 0 bytes",
    ];
    check(&script, &saw);
}

#[test]
fn out_of_turn_is_refused() {
    let wait = || Action::write([call(&[])]);
    let script = accepting("a second call while waiting")
        .step(CLIENT, wait())
        .step(CLIENT, Action::call([call(&[])]))
        .step(CLIENT, Action::GetExtendedError)
        .step(CLIENT, Action::call([one_way(&[])]));
    let saw = [
        "client: ok",
        "client: NOOP; TRANSACTION_COMPLETE; FAILED_REPLY",
        "client: FAILED_REPLY, -EPROTO",
        "client: NOOP; TRANSACTION_COMPLETE",
    ];
    check(&script, &saw);
    let script = accepting("a reply that nobody waits for")
        .step(SERVER, Action::call([reply(&[])]))
        .step(SERVER, Action::GetExtendedError);
    check(&script, &["server: NOOP; FAILED_REPLY", "server: FAILED_REPLY, -EPROTO"]);
    let script = accepting("a manager calls itself")
        .step(SERVER, Action::call([call(&[])]))
        .step(SERVER, Action::GetExtendedError);
    check(&script, &["server: NOOP; FAILED_REPLY", "server: FAILED_REPLY, -EINVAL"]);
}

#[test]
fn a_refusal_stops_the_commands_behind_it() {
    for translation in Translation::ALL {
        let (mut world, _) = run(&accepting("stops"), translation);
        let write = vec![call(&[99]), Command::IncRefs(0)];
        let result = world.write_read(pid(CLIENT), write, Read::NONE);
        assert_eq!(result.expect("an ioctl").expect("no wait").write_consumed, 68, "of 76");
    }
}

#[test]
fn a_server_that_dies_owing_a_reply_and_a_caller_that_dies_waiting() {
    let script = accepting("the server dies")
        .step(CLIENT, Action::call([call(&[])]))
        .step(SERVER, Action::read())
        .step(SERVER, Action::Exit);
    let saw = [
        "client: NOOP; TRANSACTION_COMPLETE; DEAD_REPLY",
        "server: NOOP; TRANSACTION for node 0x0, 0 bytes",
        "server: ok",
    ];
    check(&script, &saw);
    let script = accepting("the caller dies")
        .step(CLIENT, Action::call([call(&[])]))
        .step(SERVER, Action::read())
        .step(CLIENT, Action::Exit)
        .step(SERVER, Action::free_and_write([reply(&[])]))
        .step(SERVER, Action::read());
    let saw = [
        "client: killed",
        "server: NOOP; TRANSACTION for node 0x0, 0 bytes",
        "client: ok",
        "server: ok",
        "server: NOOP; TRANSACTION_COMPLETE",
    ];
    check(&script, &saw);
}

#[test]
fn a_node_is_told_when_it_is_held_and_when_it_is_not() {
    let done = [
        Command::IncRefsDone { ptr: 0x900, cookie: 0x900 },
        Command::AcquireDone { ptr: 0x900, cookie: 0x900 },
    ];
    let give = || send(0, &[own_node()], TransactionFlags::ONE_WAY);
    let kept = accepting("kept by BC_ACQUIRE")
        .step(CLIENT, Action::call([give()]))
        .step(CLIENT, Action::write(done.clone()))
        .step(SERVER, Action::read())
        .step(
            SERVER,
            Action::WriteRead {
                write: vec![Command::Acquire(1).into(), Say::FreeBuffer(Buffer::Last)],
                read: Read::NONE,
            },
        )
        .step(CLIENT, Action::read())
        .step(SERVER, Action::write([Command::Release(1), Command::Release(1)]))
        .step(CLIENT, Action::read())
        .step(SERVER, Action::call([send(1, &[], TransactionFlags::ONE_WAY)]));
    let saw = [
        "client: NOOP; INCREFS 0x900; ACQUIRE 0x900; TRANSACTION_COMPLETE",
        "client: ok",
        "server: NOOP; TRANSACTION for node 0x0, 24 bytes [HANDLE 1]",
        "server: ok",
        "client: EAGAIN",
        "server: ok",
        "client: NOOP; RELEASE 0x900; DECREFS 0x900",
        "server: NOOP; FAILED_REPLY",
    ];
    check(&kept, &saw);
    let dropped = accepting("gone before its owner looks")
        .step(CLIENT, Action::write([send(0, &[own_node()], TransactionFlags::NONE)]))
        .step(SERVER, Action::read())
        .step(SERVER, Action::free_and_write([reply(&[])]))
        .step(CLIENT, Action::read());
    assert_eq!(
        run(&dropped, Translation::Deferred).1[3],
        "client: NOOP; TRANSACTION_COMPLETE; REPLY, 0 bytes"
    );
}

#[test]
fn a_handle_comes_home_as_the_node_it_names() {
    let script = accepting("home")
        .step(CLIENT, Action::write([send(0, &[own_node()], TransactionFlags::NONE)]))
        .step(SERVER, Action::read())
        .step(
            SERVER,
            Action::write([Command::Reply(TransactionData::new(
                0,
                0,
                Payload::objects([Object::handle(1)]),
            ))]),
        )
        .step(CLIENT, Action::read());
    let saw = &run(&script, Translation::Deferred).1[3];
    assert!(saw.ends_with("REPLY, 24 bytes [BINDER 0x900]"), "{saw}");
}

#[test]
fn counts_on_handle_zero_and_on_handles_that_are_not_held() {
    let all = [Command::IncRefs(0), Command::Acquire(0), Command::Release(0), Command::DecRefs(0)];
    let script = accepting("counts")
        .step(CLIENT, Action::write(all))
        .step(CLIENT, Action::write([Command::Acquire(7), Command::DecRefs(7), Command::Release(0)]))
        .step(SERVER, Action::write([Command::Acquire(0)]))
        .step(CLIENT, Action::call([send(0, &[Object::handle(0)], TransactionFlags::ONE_WAY)]))
        .step(CLIENT, Action::write([Command::Acquire(0)]))
        .step(CLIENT, Action::call([send(0, &[Object::handle(0)], TransactionFlags::ONE_WAY)]))
        .step(SERVER, Action::read());
    let saw = [
        "client: ok",
        "client: ok",
        "server: EINVAL",
        "client: NOOP; FAILED_REPLY",
        "client: ok",
        "client: NOOP; TRANSACTION_COMPLETE",
        "server: NOOP; TRANSACTION for node 0x0, 24 bytes [BINDER 0x0]",
    ];
    check(&script, &saw);
}

#[test]
fn rooms_of_a_read() {
    let read =
        |size, nonblock| Action::WriteRead { write: vec![], read: Read { size, nonblock, ..Read::NOW } };
    let script = accepting("rooms")
        .step(CLIENT, Action::write([call(&[])]))
        .step(SERVER, read(3, true))
        .step(SERVER, read(79, true))
        .step(SERVER, read(80, true));
    let saw =
        ["client: ok", "server: EINVAL", "server: NOOP", "server: NOOP; TRANSACTION for node 0x0, 0 bytes"];
    check(&script, &saw);
}

#[test]
fn an_unmapped_receiver_is_as_good_as_dead() {
    let script = accepting("unmapped")
        .step(SERVER, Action::Exit)
        .step(SERVER, Action::open_device())
        .step(CLIENT, Action::open("x"));
    check(&script, &["server: ok", "server: ESRCH", "client: fd 7"]);
    let script = Script::new("unmapped", [Actor::new("client", &[]), Actor::new("server", &[])])
        .step(SERVER, Action::open_device())
        .step(SERVER, Action::SetContextMgr)
        .step(CLIENT, Action::open_device())
        .step(CLIENT, Action::call([call(&[])]))
        .step(CLIENT, Action::GetExtendedError);
    for translation in Translation::ALL {
        let (_, transcript) = script.run(translation, Schedule::Fifo);
        let saw: Vec<String> = transcript.of("client").collect();
        assert_eq!(saw, ["fd 3", "BR_NOOP; BR_DEAD_REPLY", "BR_DEAD_REPLY, -ESRCH"]);
    }
}

#[test]
fn nothing_is_left_when_both_are_gone() {
    let script = accepting("the end")
        .step(CLIENT, Action::call([call(&[4, 5])]))
        .step(SERVER, Action::read())
        .step(CLIENT, Action::Exit)
        .step(SERVER, Action::free_and_write([reply(&[])]))
        .step(SERVER, Action::Exit);
    for translation in Translation::ALL {
        let check = |world: &mut World| world.check().expect("every invariant holds");
        let (world, _) = script.run_with(translation, Schedule::Fifo, check);
        assert_eq!(world.driver().population(), (0, 0, 0), "opens, nodes, transactions");
    }
}

#[test]
fn a_handle_outlives_its_owner_and_calls_to_it_find_nobody() {
    let node = Payload::objects([Object::binder(0x500, ObjectFlags::NONE)]);
    let node = Command::Reply(TransactionData::new(0, 0, node));
    let script = accepting("a dead owner")
        .step(CLIENT, Action::call([call(&[])]))
        .step(SERVER, Action::read())
        .step(SERVER, Action::free_and_write([node]))
        .step(CLIENT, Action::write([Command::Acquire(1)]))
        .step(CLIENT, Action::free_and_write([]))
        .step(SERVER, Action::Exit)
        .step(CLIENT, Action::call([send(1, &[], TransactionFlags::ONE_WAY)]))
        .step(CLIENT, Action::GetExtendedError);
    for translation in Translation::ALL {
        let (mut world, saw) = run(&script, translation);
        assert_eq!(saw[6..], ["client: NOOP; DEAD_REPLY", "client: DEAD_REPLY, -EINVAL"]);
        let client = world.open_of(pid(CLIENT)).expect("open");
        assert_eq!(world.driver().handles(client), [(1, 1, 0, false)], "number, strong, weak, alive");
        let release = vec![Command::Release(1)];
        let read = Read::NONE;
        world.write_read(pid(CLIENT), release, read).expect("an ioctl");
        assert_eq!(world.driver().population(), (1, 0, 0), "the last handle takes the node with it");
    }
}
