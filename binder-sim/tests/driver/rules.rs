//! Rules that belong to no other file: ioctls, counts, one-way spam, rooms.

use crate::two::{Two, call, flagged, node, nothing, one_way, reply, text};
use binder_sim::driver::{Profile, Read};
use binder_sim::protocol::{
    Answer, Command, Ioctl, NodeDebugInfo, NodeInfoForRef, Object, ObjectFlags, Payload, TransactionFlags,
    number,
};

/// An ioctl that comes to nothing.
#[track_caller]
fn fails(two: &mut Two, ioctl: Ioctl, errno: &str) {
    assert_eq!(two.ioctl(two.client, ioctl), Err(errno.into()), "{ioctl}");
}

#[test]
fn ioctls_and_what_their_arguments_may_be() {
    let mut two = Two::new();
    let client = two.client;
    assert_eq!(two.ioctl(client, Ioctl::Version), Ok(Some(Answer::Version(8))));
    for absent in [Ioctl::SetIdleTimeout(1), Ioctl::SetIdlePriority(1), Ioctl::Unknown(0x6299)] {
        fails(&mut two, absent, "EINVAL");
    }
    let bad = [
        (number::SET_MAX_THREADS, "EINVAL"),
        (number::VERSION, "EINVAL"),
        (number::SET_CONTEXT_MGR_EXT, "EINVAL"),
        (number::SET_IDLE_TIMEOUT, "EINVAL"),
        (number::WRITE_READ, "EFAULT"),
        (number::GET_NODE_DEBUG_INFO, "EFAULT"),
        (number::GET_NODE_INFO_FOR_REF, "EFAULT"),
        (number::FREEZE, "EFAULT"),
        (number::GET_FROZEN_INFO, "EFAULT"),
        (number::ENABLE_ONEWAY_SPAM_DETECTION, "EFAULT"),
        (number::GET_EXTENDED_ERROR, "EFAULT"),
        (number::SET_CONTEXT_MGR, "EBUSY"),
    ];
    for (ioctl, errno) in bad {
        fails(&mut two, Ioctl::BadPointer(ioctl), errno);
    }
    assert_eq!(two.ioctl(client, Ioctl::BadPointer(number::THREAD_EXIT)), Ok(Some(Answer::Done)));
    // The ioctl that cannot be answered clears all the same.
    two.says(client, [call(9, nothing())], "ok");
    fails(&mut two, Ioctl::BadPointer(number::GET_EXTENDED_ERROR), "EFAULT");
    assert_eq!(two.world.extended_error(client).map(|error| error.id), Ok(0));
}

#[test]
fn an_extended_error_is_of_the_last_transaction_and_said_once() {
    let mut two = Two::new();
    let client = two.client;
    two.says(client, [call(9, nothing())], "ok");
    let refused = two.world.extended_error(client).expect("an ioctl");
    assert_eq!(refused.to_string(), "BR_FAILED_REPLY, -EINVAL");
    two.reads(client, "NOOP; FAILED_REPLY");
    two.says(client, [one_way(0, nothing())], "ok");
    let taken = two.world.extended_error(client).expect("an ioctl");
    assert!(taken.id > refused.id && taken.command.is_none());
    assert_eq!(two.world.extended_error(client).map(|error| error.id), Ok(0));
}

#[test]
fn commands_that_no_driver_takes_fail_the_ioctl_and_what_came_before_has_happened() {
    let refused = [
        (Command::AcquireResult(1), "EINVAL"),
        (Command::AttemptAcquire { priority: 1, handle: 0 }, "EINVAL"),
        (Command::Unknown { word: 7 }, "EINVAL"),
        (Command::Unreadable { word: 0 }, "EFAULT"),
    ];
    for profile in Profile::ALL {
        assert_eq!(Profile::of(&profile.to_string()), Some(profile), "it is called what its kernel is");
        for (command, errno) in refused.clone() {
            let mut two = Two::on(profile);
            let caller = two.caller(two.client, 0);
            let write = vec![Command::Acquire(0), command, Command::Acquire(0)];
            let result = two.world.write_read_by(caller, write, Read::WAIT).expect("an ioctl");
            let result = result.expect("no wait");
            assert_eq!((text(&result).as_str(), result.write_consumed), (errno, 8));
            let open = two.world.open_of(two.client).expect("open");
            assert_eq!(two.world.driver().handles(open), [(0, 1, 0, true)]);
        }
    }
}

#[test]
fn what_a_node_is_to_its_owner_and_to_the_manager() {
    let mut two = Two::new();
    let (server, client) = (two.server, two.client);
    two.says(client, [one_way(0, node(0x500)), one_way(0, node(0x600))], "ok");
    let debug = |two: &mut Two, ptr| two.ioctl(client, Ioctl::GetNodeDebugInfo { ptr });
    let first = NodeDebugInfo { ptr: 0x500, cookie: 0x500, ..NodeDebugInfo::default() };
    assert_eq!(debug(&mut two, 0), Ok(Some(Answer::NodeDebugInfo(first))));
    two.reads(client, "NOOP; INCREFS 0x500; ACQUIRE 0x500; TRANSACTION_COMPLETE; INCREFS 0x600; ACQUIRE 0x600; TRANSACTION_COMPLETE");
    let held = |ptr| NodeDebugInfo { ptr, cookie: ptr, has_strong_ref: true, has_weak_ref: true };
    assert_eq!(debug(&mut two, 0x4ff), Ok(Some(Answer::NodeDebugInfo(held(0x500)))));
    assert_eq!(debug(&mut two, 0x500), Ok(Some(Answer::NodeDebugInfo(held(0x600)))));
    assert_eq!(debug(&mut two, 0x600), Ok(Some(Answer::NodeDebugInfo(NodeDebugInfo::default()))));
    let ask = |handle| NodeInfoForRef { handle, ..NodeInfoForRef::default() };
    let counts = NodeInfoForRef { strong_count: 2, weak_count: 1, ..ask(1) };
    assert_eq!(two.ioctl(server, Ioctl::GetNodeInfoForRef(ask(1))), Ok(Some(Answer::NodeInfoForRef(counts))));
    for (info, errno) in [(ask(9), "EINVAL"), (NodeInfoForRef { weak_count: 1, ..ask(1) }, "EINVAL")] {
        assert_eq!(two.ioctl(server, Ioctl::GetNodeInfoForRef(info)), Err(errno.into()));
    }
    fails(&mut two, Ioctl::GetNodeInfoForRef(ask(1)), "EPERM");
    fails(&mut two, Ioctl::GetNodeInfoForRef(NodeInfoForRef { reserved: [1, 0, 0], ..ask(1) }), "EINVAL");
}

#[test]
fn a_weak_handle_is_not_a_strong_one() {
    let mut two = Two::new();
    let (server, client) = (two.server, two.client);
    let weak = Object::Binder { ptr: 0x500, cookie: 0x500, flags: ObjectFlags::NONE, strong: false };
    two.asks(
        client,
        [one_way(0, Payload::objects([weak.clone()]))],
        "NOOP; INCREFS 0x500; TRANSACTION_COMPLETE",
    );
    let got = two.takes(server);
    assert_eq!(got.payload.to_string(), "24 bytes [WEAK_HANDLE 1]");
    two.says(server, [Command::IncRefs(1), Command::FreeBuffer(got.buffer), Command::Acquire(1)], "ok");
    two.asks(server, [call(1, nothing())], "NOOP; FAILED_REPLY");
    // It comes home as weak, and cannot be sent as strong.
    let handle = |strong| Object::Handle { handle: 1, flags: ObjectFlags::NONE, strong };
    two.says(client, [call(0, nothing())], "ok");
    let got = two.takes(server);
    two.says(server, [Command::FreeBuffer(got.buffer), reply(Payload::objects([handle(false)]))], "ok");
    let got = two.takes(client);
    assert_eq!(got.payload.to_string(), "24 bytes [WEAK_BINDER 0x500]");
    two.says(client, [Command::FreeBuffer(got.buffer), call(0, nothing())], "ok");
    two.reads(server, "NOOP; TRANSACTION_COMPLETE");
    two.takes(server);
    two.says(server, [reply(Payload::objects([handle(true)]))], "ok");
    two.reads(client, "NOOP; TRANSACTION_COMPLETE; FAILED_REPLY");
    // What is left to be read keeps a thread from saying more.
    two.says(server, [Command::DecRefs(1)], "ok");
    two.reads(server, "NOOP; TRANSACTION_COMPLETE");
    two.says(server, [Command::DecRefs(1), Command::DecRefs(1)], "ok");
    two.says(client, [Command::IncRefsDone { ptr: 0x500, cookie: 0x500 }], "ok");
    two.reads(client, "NOOP; DECREFS 0x500");
}

#[test]
fn an_acknowledgement_has_to_be_of_something_and_right() {
    let mut two = Two::new();
    let (server, client) = (two.server, two.client);
    two.says(client, [one_way(0, node(0x500))], "ok");
    two.reads(client, "NOOP; INCREFS 0x500; ACQUIRE 0x500; TRANSACTION_COMPLETE");
    let got = two.takes(server);
    two.says(server, [Command::FreeBuffer(got.buffer)], "ok");
    // The driver counts on it until the owner has said that it does: wrong words are none.
    let wrong = [
        Command::IncRefsDone { ptr: 0x501, cookie: 0x500 },
        Command::IncRefsDone { ptr: 0x500, cookie: 0x501 },
        Command::AcquireDone { ptr: 0x500, cookie: 0x501 },
    ];
    two.says(client, wrong, "ok");
    two.reads(client, "EAGAIN");
    let right = [
        Command::IncRefsDone { ptr: 0x500, cookie: 0x500 },
        Command::AcquireDone { ptr: 0x500, cookie: 0x500 },
    ];
    two.says(client, right.clone(), "ok");
    two.reads(client, "NOOP; RELEASE 0x500; DECREFS 0x500");
    two.says(client, right, "ok");
    // Once the node is gone any cookie makes a new one; while it is there only its own.
    let other = Object::Binder { ptr: 0x500, cookie: 9, flags: ObjectFlags::NONE, strong: true };
    two.asks(
        client,
        [one_way(0, Payload::objects([other]))],
        "NOOP; INCREFS 0x500; ACQUIRE 0x500; TRANSACTION_COMPLETE",
    );
    two.asks(client, [one_way(0, node(0x500))], "NOOP; FAILED_REPLY");
}

#[test]
fn one_way_spam_is_suspected_once_and_told_to_who_wants_to_hear() {
    let kib = |n: usize| one_way(0, Payload::placed(vec![0; n << 10], vec![]));
    // The message at which a sender is first suspected: in a mapping of 128 KiB, 64 are for one-way calls.
    let small = |profile: Profile| (profile.oneway_spam.is_some()).then_some(52);
    let large = |profile: Profile| (profile == Profile::V6_1).then_some(2);
    for profile in Profile::ALL {
        for (size, suspect) in [(1, small(profile)), (30, large(profile))] {
            let mut two = Two::on(profile);
            let client = two.client;
            drop(two.ioctl(client, Ioctl::EnableOnewaySpamDetection(true)));
            let mut first = None;
            for n in 1..=64 / size {
                two.says(client, [kib(size)], "ok");
                let caller = two.caller(client, 0);
                let read =
                    two.world.write_read_by(caller, vec![], Read::NOW).expect("an ioctl").expect("no wait");
                if text(&read) != "NOOP; TRANSACTION_COMPLETE" {
                    assert_eq!((text(&read).as_str(), first), ("NOOP; ONEWAY_SPAM_SUSPECT", None), "once");
                    first = Some(n);
                }
            }
            // The message at which it is noticed may be one later where it does not count itself.
            let near = |(a, b): (usize, usize)| a.abs_diff(b) <= 1;
            assert!(first.zip(suspect).map_or(first == suspect, near), "{profile}, {size} KiB: {first:?}");
            if let Some(first) = first.filter(|_| size == 1) {
                assert_eq!(first, 52, "{profile}");
            }
        }
    }
    // Who has not asked reads what everybody reads.
    let mut two = Two::on(Profile::V6_1);
    let client = two.client;
    for _ in 0..2 {
        two.asks(client, [kib(30)], "NOOP; TRANSACTION_COMPLETE");
    }
    // With room again it can be suspected anew.
    two.ioctl(client, Ioctl::EnableOnewaySpamDetection(true)).expect("an ioctl");
    for _ in 0..2 {
        let got = two.takes(two.server);
        two.says(two.server, [Command::FreeBuffer(got.buffer)], "ok");
    }
    two.asks(client, [kib(30)], "NOOP; TRANSACTION_COMPLETE");
    two.asks(client, [kib(30)], "NOOP; ONEWAY_SPAM_SUSPECT");
}

#[test]
fn a_buffer_that_is_to_be_cleared_is_given_back_like_any_other() {
    let mut two = Two::new();
    two.says(two.client, [flagged(0, Payload::bytes(&[7; 100]), TransactionFlags::CLEAR_BUF)], "ok");
    let got = two.takes(two.server);
    assert_eq!((got.payload.bytes.as_slice(), got.flags), (&[7; 100][..], TransactionFlags::CLEAR_BUF));
    two.says(two.server, [Command::FreeBuffer(got.buffer), Command::FreeBuffer(got.buffer + 8)], "ok");
    let open = two.world.open_of(two.server).expect("open");
    assert_eq!(two.world.driver().buffers(open), Some((0, 128 << 10)));
}

#[test]
fn one_read_brings_many_completions_and_stops_where_the_room_does() {
    let mut two = Two::new();
    let client = two.client;
    let many = vec![one_way(0, nothing()); 8];
    two.does(client, 0, many.clone(), Read::NOW, &format!("NOOP{}", "; TRANSACTION_COMPLETE".repeat(8)));
    let room = Read { size: 4 + 76 + 4, ..Read::NOW };
    two.does(client, 0, many, room, "NOOP; TRANSACTION_COMPLETE; TRANSACTION_COMPLETE");
}

#[test]
fn the_caller_of_a_reply_that_cannot_be_built_is_told_by_how() {
    // The caller has no mapping: nothing can be sent to it.
    let mut two = Two::new();
    let (server, third) = (two.server, two.world.spawn("unmapped"));
    two.world.open_device(third).expect("room");
    two.says(third, [call(0, nothing())], "ok");
    two.takes(server);
    two.asks(server, [reply(nothing())], "NOOP; TRANSACTION_COMPLETE");
    two.reads(third, "NOOP; TRANSACTION_COMPLETE; DEAD_REPLY");
    assert_eq!(two.world.extended_error(third).map(|e| e.to_string()), Ok("BR_DEAD_REPLY, -ESRCH".into()));
}
