//! What the kernel's own driver was seen to do (its cases 01 to 10, 16 and 18), done by the simulator.
//!
//! Each row: a script, and what both sides saw. The kernels seen were all of the deferred kind; where the rule is
//! not about when a number is chosen, the classic scheme has to agree.

use crate::stage::{CLIENT, SERVER, accepting, call, call_with, numbers, one_way, pair, pid, reply, run};
use binder_sim::driver::{Read, Translation};
use binder_sim::protocol::{Command, Object, ObjectFlags, Payload, TransactionData, TransactionFlags};
use binder_sim::script::{Action, Script};

const BOTH: &[Translation] = &Translation::ALL;
const DEFERRED: &[Translation] = &[Translation::Deferred];

/// Runs `script` under each of `translations` and compares what was seen.
fn check(translations: &[Translation], script: &Script, expected: &[&str]) {
    for &translation in translations {
        let (_, saw) = run(script, translation);
        assert_eq!(saw, expected, "{} ({translation})", script.name);
    }
}

/// A refused call: what the sender reads, why, and that the server has nothing.
fn refused(name: &str, manager: Action, sent: Command, why: &str) {
    let script = pair(name, manager)
        .step(CLIENT, Action::call([sent]))
        .step(CLIENT, Action::GetExtendedError)
        .step(SERVER, Action::read());
    for &translation in BOTH {
        let before = run(&pair(name, Action::SetContextMgr), translation).0;
        let (world, saw) = run(&script, translation);
        let why = format!("client: FAILED_REPLY, -{why}");
        assert_eq!(saw, ["client: NOOP; FAILED_REPLY", &why, "server: EAGAIN"], "{name} ({translation})");
        for actor in [CLIENT, SERVER] {
            assert_eq!(numbers(&world, actor), numbers(&before, actor), "{name}: a table changed");
        }
        assert_eq!(world.in_flight(), 0, "{name}: a file stayed in flight");
        let open = world.open_of(pid(SERVER)).expect("open");
        assert_eq!(world.driver().buffers(open), Some((0, 128 << 10)), "{name}: a buffer stayed");
    }
}

#[test]
fn row_01_one_descriptor_there_and_back() {
    let script = accepting("01")
        .step(CLIENT, Action::call([call(&[4])]))
        .step(SERVER, Action::read())
        .step(SERVER, Action::free_and_write([reply(&[])]))
        .step(SERVER, Action::read());
    let saw = [
        "client: NOOP; TRANSACTION_COMPLETE; REPLY, 0 bytes",
        "server: NOOP; TRANSACTION for node 0x0, 24 bytes [FD 4]",
        "server: ok",
        "server: NOOP; TRANSACTION_COMPLETE",
    ];
    check(BOTH, &script, &saw);
    for &translation in BOTH {
        let (world, _) = run(&script, translation);
        let server = world.table(pid(SERVER)).expect("alive");
        let sent = world.file(pid(CLIENT), 4).expect("the sender's number is untouched");
        assert!(server.get(4).expect("lowest free").is_same(sent), "one open file, two numbers");
        assert!(server.is_close_on_exec(4), "close-on-exec, although the sender's is not");
        assert_eq!(sent.references(), 2, "freeing the buffer does not close the number");
    }
}

#[test]
fn row_01_only_the_number_is_rewritten() {
    let object = Object::Fd { fd: 4, cookie: 0xabcd_ef01, pad_flags: 0xabcd };
    let payload = Payload::objects([object]);
    for &translation in BOTH {
        let (mut world, _) = run(&accepting("01"), translation);
        let sent = Command::Transaction(TransactionData::new(0, 1, payload.clone()));
        world.write_read(pid(CLIENT), vec![sent], Read::NONE).expect("an ioctl");
        let read = world.write_read(pid(SERVER), vec![], Read::NOW).expect("an ioctl").expect("no wait");
        let delivered = read.returns.last().and_then(|r| r.delivered()).expect("the call");
        let expected = Object::Fd { fd: 4, cookie: 0xabcd_ef01, pad_flags: 0xabcd };
        assert_eq!(delivered.payload.objects[0].object, expected);
        assert_eq!(
            (delivered.sender_pid, delivered.flags),
            (pid(CLIENT).raw(), TransactionFlags::ACCEPT_FDS)
        );
    }
}

#[test]
fn row_02_the_number_is_chosen_at_the_read() {
    let script = accepting("02")
        .step(CLIENT, Action::write([call(&[4])]))
        .step(SERVER, Action::open("log"))
        .step(SERVER, Action::read());
    let sees = |log: u32, fd: u32| {
        let read = format!("server: NOOP; TRANSACTION for node 0x0, 24 bytes [FD {fd}]");
        ["client: ok".to_string(), format!("server: fd {log}"), read]
    };
    assert_eq!(run(&script, Translation::Deferred).1, sees(4, 5));
    assert_eq!(run(&script, Translation::Classic).1, sees(5, 4), "classic: at the send");
}

#[test]
fn row_02_a_number_can_be_seen_only_after_its_moment() {
    let script = accepting("02").step(CLIENT, Action::write([call(&[4])]));
    let (world, _) = run(&script, Translation::Deferred);
    assert_eq!((numbers(&world, SERVER), world.in_flight()), (vec![0, 1, 2, 3], 1));
    let (world, _) = run(&script, Translation::Classic);
    assert_eq!((numbers(&world, SERVER), world.in_flight()), (vec![0, 1, 2, 3, 4], 0));
}

#[test]
fn rows_03_04_and_05_what_may_not_travel() {
    let deaf = || Action::SetContextMgrExt(ObjectFlags::NONE);
    let hears = || Action::SetContextMgrExt(ObjectFlags::ACCEPTS_FDS);
    refused("03 old ioctl", Action::SetContextMgr, call(&[4]), "EPERM");
    refused("04 sync", deaf(), call(&[4]), "EPERM");
    refused("04o oneway", deaf(), one_way(&[4]), "EPERM");
    refused("04c TF_ACCEPT_FDS", deaf(), call_with(TransactionFlags::ACCEPT_FDS, &[4]), "EPERM");
    refused("04b the flag comes before the number", deaf(), call(&[u32::MAX]), "EPERM");
    refused("05a fd -1", hears(), call(&[u32::MAX]), "EBADF");
    refused("05b fd 9999", hears(), call(&[9999]), "EBADF");
    refused("05d good, then -1", hears(), call(&[4, u32::MAX]), "EBADF");
    refused("05d one-way", hears(), one_way(&[4, 5, 9]), "EBADF");
}

#[test]
fn row_06a_the_servers_table_is_full() {
    let script = accepting("06a")
        .step(SERVER, Action::SetLimit(4))
        .step(CLIENT, Action::write([call(&[4])]))
        .step(SERVER, Action::read())
        .step(CLIENT, Action::read())
        .step(CLIENT, Action::GetExtendedError)
        .step(SERVER, Action::SetLimit(5))
        .step(CLIENT, Action::write([call(&[4])]))
        .step(SERVER, Action::read());
    let saw = [
        "server: ok",
        "client: ok",
        "server: EAGAIN",
        "client: NOOP; TRANSACTION_COMPLETE; FAILED_REPLY",
        "client: OK, 0",
        "server: ok",
        "client: ok",
        "server: NOOP; TRANSACTION for node 0x0, 24 bytes [FD 4]",
    ];
    check(DEFERRED, &script, &saw);
}

#[test]
fn row_06b_a_one_way_call_into_a_full_table_is_lost_silently() {
    let script = accepting("06b")
        .step(SERVER, Action::SetLimit(4))
        .step(CLIENT, Action::write([one_way(&[4])]))
        .step(SERVER, Action::read())
        .step(CLIENT, Action::read())
        .step(CLIENT, Action::read());
    let saw = [
        "server: ok",
        "client: ok",
        "server: EAGAIN",
        "client: NOOP; TRANSACTION_COMPLETE",
        "client: EAGAIN",
    ];
    check(DEFERRED, &script, &saw);
    let (world, _) = run(&script, Translation::Deferred);
    let sent = world.file(pid(CLIENT), 4).expect("open");
    assert_eq!((sent.references(), world.in_flight()), (1, 0), "the file in flight was dropped");
}

#[test]
fn row_06c_two_descriptors_and_one_slot_all_or_nothing() {
    let script = accepting("06c")
        .step(SERVER, Action::SetLimit(5))
        .step(CLIENT, Action::write([call(&[4, 5])]))
        .step(SERVER, Action::read())
        .step(CLIENT, Action::read());
    let saw =
        ["server: ok", "client: ok", "server: EAGAIN", "client: NOOP; TRANSACTION_COMPLETE; FAILED_REPLY"];
    check(DEFERRED, &script, &saw);
    assert_eq!(numbers(&run(&script, Translation::Deferred).0, SERVER), [0, 1, 2, 3]);
}

#[test]
fn row_06e_a_waiting_reader_does_not_return_for_it() {
    let script = accepting("06e")
        .step(SERVER, Action::SetLimit(4))
        .step(SERVER, Action::call([]))
        .step(CLIENT, Action::call([call(&[4])]))
        .step(CLIENT, Action::call([call(&[])]));
    let saw = [
        "server: ok",
        "server: NOOP; TRANSACTION for node 0x0, 0 bytes",
        "client: NOOP; TRANSACTION_COMPLETE; FAILED_REPLY",
        "client: waits",
    ];
    check(DEFERRED, &script, &saw);
}

#[test]
fn rows_07_and_08_two_descriptors_and_the_same_one_twice() {
    for (name, sent) in [("07", [4, 5]), ("08", [4, 4])] {
        let script = accepting(name).step(CLIENT, Action::write([call(&sent)])).step(SERVER, Action::read());
        check(
            BOTH,
            &script,
            &["client: ok", "server: NOOP; TRANSACTION for node 0x0, 48 bytes [FD 4, FD 5]"],
        );
        for &translation in BOTH {
            let (world, _) = run(&script, translation);
            for (sent, got) in sent.into_iter().zip([4, 5]) {
                let [sent, got] = [(CLIENT, sent), (SERVER, got)]
                    .map(|(actor, fd)| world.file(pid(actor), fd).expect("open"));
                assert!(got.is_same(sent), "{name}: in the order of the objects");
            }
        }
    }
}

/// A call with `flags` that is answered with a reply that carries `fd` (the server has a file under 4).
fn answered_with(flags: TransactionFlags, fd: u32) -> Script {
    accepting("09")
        .step(SERVER, Action::open("memory"))
        .step(CLIENT, Action::call([call_with(flags, &[])]))
        .step(SERVER, Action::read())
        .step(SERVER, Action::free_and_write([reply(&[fd])]))
        .step(SERVER, Action::read())
        .step(SERVER, Action::GetExtendedError)
        .step(CLIENT, Action::GetExtendedError)
}

#[test]
fn row_09a_a_descriptor_in_a_reply() {
    let asks = TransactionFlags::ACCEPT_FDS;
    let table = [
        (asks, 4, "NOOP; TRANSACTION_COMPLETE; REPLY, 24 bytes [FD 7]", "OK, 0"),
        (TransactionFlags::NONE, 4, "NOOP; TRANSACTION_COMPLETE; FAILED_REPLY", "FAILED_REPLY, -EPERM"),
        (asks, u32::MAX, "NOOP; TRANSACTION_COMPLETE; FAILED_REPLY", "FAILED_REPLY, -EBADF"),
    ];
    for (flags, fd, caller, why) in table {
        let saw = [
            "server: fd 4",
            &format!("client: {caller}"),
            "server: NOOP; TRANSACTION for node 0x0, 0 bytes",
            "server: ok",
            "server: NOOP; TRANSACTION_COMPLETE",
            "server: OK, 0",
            &format!("client: {why}"),
        ];
        check(BOTH, &answered_with(flags, fd), &saw);
    }
}

#[test]
fn row_09b_a_descriptor_in_a_reply_and_the_callers_table_is_full() {
    let mut script = answered_with(TransactionFlags::ACCEPT_FDS, 4);
    let step = script.clone().step(CLIENT, Action::SetLimit(7)).steps.pop().expect("a step");
    script.steps.insert(7, step);
    let saw = [
        "client: ok",
        "server: fd 4",
        "client: NOOP; TRANSACTION_COMPLETE; FAILED_REPLY",
        "server: NOOP; TRANSACTION for node 0x0, 0 bytes",
        "server: ok",
        "server: NOOP; TRANSACTION_COMPLETE",
        "server: OK, 0",
        "client: OK, 0",
    ];
    check(DEFERRED, &script, &saw);
}

#[test]
fn row_10_the_receiver_dies_unread() {
    let one = accepting("10a one-way").step(CLIENT, Action::write([one_way(&[4])]));
    let (world, _) = run(&one, Translation::Deferred);
    assert_eq!(world.file(pid(CLIENT), 4).map(|file| file.references()), Some(2), "held while in flight");
    let one = one.step(SERVER, Action::Exit).step(CLIENT, Action::read()).step(CLIENT, Action::read());
    check(BOTH, &one, &["client: ok", "server: ok", "client: NOOP; TRANSACTION_COMPLETE", "client: EAGAIN"]);
    let sync = accepting("10b sync")
        .step(CLIENT, Action::call([call(&[4])]))
        .step(SERVER, Action::Exit)
        .step(CLIENT, Action::GetExtendedError);
    check(BOTH, &sync, &["client: NOOP; TRANSACTION_COMPLETE; DEAD_REPLY", "server: ok", "client: OK, 0"]);
    for script in [one, sync] {
        for &translation in BOTH {
            let (world, _) = run(&script, translation);
            assert_eq!(world.file(pid(CLIENT), 4).map(|file| file.references()), Some(1), "released");
            assert_eq!(world.in_flight(), 0);
        }
    }
}

#[test]
fn row_13_offsets_are_checked_in_the_order_of_the_copies() {
    let table = [
        ("offset unaligned", &[2][..], 32, "EINVAL"),
        ("object cut by the end", &[16], 32, "EINVAL"),
        ("offset is the size", &[32], 32, "EINVAL"),
        ("offset past the data", &[36], 32, "EFAULT"),
        ("repeated", &[0, 0], 64, "EFAULT"),
        ("overlapping", &[0, 20], 64, "EFAULT"),
        ("decreasing", &[24, 0], 64, "EFAULT"),
    ];
    for (name, offsets, size, why) in table {
        let placed = |&offset: &u64| binder_sim::protocol::Placed { offset, object: Object::fd(4) };
        let payload = Payload::placed(vec![0; size], offsets.iter().map(placed).collect());
        let hears = Action::SetContextMgrExt(ObjectFlags::ACCEPTS_FDS);
        refused(name, hears, Command::Transaction(TransactionData::new(0, 1, payload)), why);
    }
    let hears = || Action::SetContextMgrExt(ObjectFlags::ACCEPTS_FDS);
    let with = |object| Command::Transaction(TransactionData::new(0, 1, Payload::objects([object])));
    refused("unknown type", hears(), with(Object::Unknown { kind: 7 }), "EINVAL");
    refused("handle 1234", hears(), with(Object::handle(1234)), "EINVAL");
    let unlisted = Command::Transaction(TransactionData::new(0, 1, Payload::bytes(&[7; 24])));
    let script =
        accepting("not in the offsets").step(CLIENT, Action::write([unlisted])).step(SERVER, Action::read());
    check(BOTH, &script, &["client: ok", "server: NOOP; TRANSACTION for node 0x0, 24 bytes"]);
}

#[test]
fn row_15_three_hundred_descriptors_in_one_transaction() {
    let script = accepting("15").step(CLIENT, Action::write([call(&[4; 300])])).step(SERVER, Action::read());
    for &translation in BOTH {
        let (world, _) = run(&script, translation);
        assert_eq!(numbers(&world, SERVER), (0..304).collect::<Vec<u32>>());
        assert_eq!(world.file(pid(CLIENT), 4).map(|file| file.references()), Some(301));
    }
}

#[test]
fn row_16_the_flag_belongs_to_the_node_not_to_the_process() {
    for (flags, saw) in [
        (ObjectFlags::NONE, "client: NOOP; FAILED_REPLY"),
        (ObjectFlags::ACCEPTS_FDS, "client: NOOP; TRANSACTION_COMPLETE"),
    ] {
        // The client asks for a node; the reply carries one of the server's, which is the client's handle 1.
        let node = Payload::objects([Object::binder(0x500, flags)]);
        let node = Command::Reply(TransactionData::new(0, 0, node));
        let mut send = TransactionData::new(1, 1, Payload::objects([Object::fd(4)]));
        send.flags = TransactionFlags::ONE_WAY;
        let script = accepting("16")
            .step(CLIENT, Action::call([call(&[])]))
            .step(SERVER, Action::read())
            .step(SERVER, Action::free_and_write([node]))
            .step(CLIENT, Action::call([Command::Transaction(send)]));
        for &translation in BOTH {
            let (_, seen) = run(&script, translation);
            assert_eq!(seen[0], "client: NOOP; TRANSACTION_COMPLETE; REPLY, 24 bytes [HANDLE 1]");
            assert_eq!(seen[3], saw, "{flags:?} ({translation})");
        }
    }
}

#[test]
fn row_17_one_way_calls_may_use_half_of_the_mapping() {
    let of = |kib: usize, flags| {
        let payload = Payload::placed(vec![0; kib << 10], vec![]);
        Command::Transaction(TransactionData::new(0, 1, payload).flags(flags))
    };
    let (sync, one_way) = (TransactionFlags::NONE, TransactionFlags::ONE_WAY);
    let no = "client: NOOP; FAILED_REPLY";
    let table = [
        (one_way, 60, "client: NOOP; TRANSACTION_COMPLETE"),
        (one_way, 70, no),
        (one_way, 130, no),
        (sync, 60, "client: waits"),
        (sync, 70, "client: waits"),
        (sync, 130, no),
    ];
    for (flags, kib, saw) in table {
        let script = accepting("17").step(CLIENT, Action::call([of(kib, flags)]));
        if saw == "client: waits" {
            check(BOTH, &script, &[saw]);
            continue;
        }
        let why = if saw == no { "client: FAILED_REPLY, -ENOSPC" } else { "client: OK, 0" };
        check(BOTH, &script.step(CLIENT, Action::GetExtendedError), &[saw, why]);
    }
    let busy = accepting("17 ioctls")
        .step(SERVER, Action::mmap(4096))
        .step(CLIENT, Action::SetContextMgrExt(ObjectFlags::NONE));
    check(BOTH, &busy, &["server: EBUSY", "client: EBUSY"]);
}

#[test]
fn row_18_no_context_manager() {
    for sent in [call(&[4]), one_way(&[4])] {
        let script = accepting("18")
            .step(SERVER, Action::Exit)
            .step(CLIENT, Action::call([sent]))
            .step(CLIENT, Action::GetExtendedError);
        check(BOTH, &script, &["server: ok", "client: NOOP; DEAD_REPLY", "client: DEAD_REPLY, -EINVAL"]);
    }
}
