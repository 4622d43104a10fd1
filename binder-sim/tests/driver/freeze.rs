//! Freezing, what comes meanwhile, and who is told.

use crate::two::{Two, call, flagged, node, nothing, one_way, reply};
use binder_sim::driver::{Profile, Read};
use binder_sim::protocol::{Answer, Command, FrozenInfo, Ioctl, Object, Payload, TransactionFlags};
use binder_sim::world::Pid;

/// Freezes the server, or thaws it.
fn freeze(two: &Two, enable: bool, timeout_ms: u32) -> Ioctl {
    Ioctl::Freeze { pid: two.server.raw(), enable, timeout_ms }
}

/// What came to the server: `sync_recv`, `async_recv`.
#[track_caller]
fn info(two: &mut Two) -> (u32, u32) {
    let pid = two.server.raw();
    match two.ioctl(two.client, Ioctl::GetFrozenInfo { pid }) {
        Ok(Some(Answer::FrozenInfo(FrozenInfo { sync_recv, async_recv, .. }))) => (sync_recv, async_recv),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_frozen_process_takes_no_calls_and_lets_one_way_calls_queue_up() {
    for profile in [Profile::V6_1, Profile::V6_12, Profile::V7_3] {
        let mut two = Two::on(profile);
        let (server, client) = (two.server, two.client);
        assert_eq!(two.ioctl(client, freeze(&two, true, 0)), Ok(Some(Answer::Done)));
        assert_eq!(info(&mut two), (0, 0));
        two.asks(client, [call(0, nothing())], "NOOP; FROZEN_REPLY");
        let error = two.world.extended_error(client).expect("an ioctl");
        assert_eq!(error.to_string(), "BR_FROZEN_REPLY, 0");
        let taken =
            if profile.pending_frozen { "TRANSACTION_PENDING_FROZEN" } else { "TRANSACTION_COMPLETE" };
        two.asks(client, [one_way(0, nothing())], &format!("NOOP; {taken}"));
        assert_eq!(info(&mut two), (3, 1), "both came, and one is pending");
        // The driver stops nobody: a frozen process that runs can read.
        two.reads(server, "NOOP; TRANSACTION for node 0x0, 0 bytes");
        assert_eq!(info(&mut two), (1, 1));
        two.ioctl(client, freeze(&two, false, 0)).expect("an ioctl");
        assert_eq!(info(&mut two), (0, 0));
        two.says(client, [call(0, nothing())], "ok");
        assert_eq!(info(&mut two), (2, 0), "pending, frozen or not");
    }
}

#[test]
fn what_is_pending_keeps_a_process_from_being_frozen() {
    type Prepare = fn(&mut Two);
    let table: [(&str, Prepare, bool); 6] = [
        ("nothing", |_| {}, false),
        ("an unread call", |two| two.says(two.client, [call(0, nothing())], "ok"), true),
        ("an unread one-way call", |two| two.says(two.client, [one_way(0, nothing())], "ok"), true),
        (
            "a one-way call that was read",
            |two| {
                two.says(two.client, [one_way(0, nothing())], "ok");
                two.takes(two.server);
            },
            false,
        ),
        (
            "a reply that is owed",
            |two| {
                two.says(two.client, [call(0, nothing())], "ok");
                two.takes(two.server);
            },
            true,
        ),
        (
            "a call that it waits for itself",
            |two| {
                two.says(two.client, [one_way(0, node(0x500))], "ok");
                two.takes(two.server);
                two.says(two.server, [call(1, nothing())], "ok");
            },
            true,
        ),
    ];
    for (name, prepare, pending) in table {
        let mut two = Two::new();
        prepare(&mut two);
        let done = two.ioctl(two.client, freeze(&two, true, 0));
        let expected = if pending { Err("EAGAIN".to_string()) } else { Ok(Some(Answer::Done)) };
        assert_eq!(done, expected, "{name}");
        // It is frozen, or it is not, even if it was before.
        let frozen = !pending;
        let third = two.third();
        let saw = if frozen { "NOOP; FROZEN_REPLY" } else { "EAGAIN" };
        two.asks(third, [call(0, nothing())], saw);
    }
}

#[test]
fn whoever_freezes_waits_until_nothing_is_pending_or_the_time_is_up() {
    let mut two = Two::new();
    let (server, client) = (two.server, two.client);
    let third = two.third();
    two.says(third, [call(0, nothing())], "ok");
    assert_eq!(two.ioctl(client, freeze(&two, true, 100)), Ok(None), "it waits");
    let caller = two.caller(client, 0);
    assert!(two.world.ioctl(caller, Ioctl::Version).is_err_and(|error| error.is_busy()), "inside a call");
    two.asks(two.server, [one_way(1, nothing())], "NOOP; FAILED_REPLY");
    two.takes(server);
    assert_eq!(two.world.take_answer(caller), None, "the reply is owed");
    two.says(server, [reply(nothing())], "ok");
    assert_eq!(two.world.take_answer(caller), Some(Ok(Answer::Done)));
    two.asks(client, [call(0, nothing())], "NOOP; FROZEN_REPLY");
    // And again, without an end in sight.
    two.reads(server, "NOOP; TRANSACTION_COMPLETE");
    two.ioctl(client, freeze(&two, false, 0)).expect("an ioctl");
    two.reads(third, "NOOP; TRANSACTION_COMPLETE; REPLY, 0 bytes");
    two.says(third, [call(0, nothing())], "ok");
    assert_eq!(two.ioctl(client, freeze(&two, true, 100)), Ok(None));
    two.world.time_up(caller).expect("open");
    two.settle();
    let answer = two.world.take_answer(caller).map(|answer| answer.map_err(|errno| errno.to_string()));
    assert_eq!(answer, Some(Err("EAGAIN".into())));
    two.says(client, [call(0, nothing())], "ok");
}

#[test]
fn a_freeze_is_interrupted_or_its_process_ends() {
    let mut two = Two::new();
    let (server, client) = (two.server, two.client);
    let third = two.third();
    two.says(third, [call(0, nothing())], "ok");
    let caller = two.caller(client, 0);
    two.ioctl(client, freeze(&two, true, 100)).expect("it waits");
    two.world.interrupt(caller).expect("open");
    let answer = two.world.take_answer(caller).map(|answer| answer.map_err(|errno| errno.to_string()));
    assert_eq!(answer, Some(Err("EINTR".into())));
    two.ioctl(client, freeze(&two, true, 100)).expect("it waits");
    two.world.exit(server).expect("alive");
    two.settle();
    // Nobody tells it: it finds out when its time is up. Until then what is left of the open lingers.
    assert_eq!((two.world.take_answer(caller), two.world.driver().lingering()), (None, 1));
    two.world.time_up(caller).expect("open");
    assert_eq!((two.world.take_answer(caller), two.world.driver().lingering()), (Some(Ok(Answer::Done)), 0));
    // And of one who freezes and goes.
    let (mut two, third) = (Two::new(), third);
    two.third();
    two.says(third, [call(0, nothing())], "ok");
    two.ioctl(two.client, freeze(&two, true, 100)).expect("it waits");
    two.world.exit(two.client).expect("alive");
    two.settle();
}

#[test]
fn all_opens_of_a_process_are_frozen() {
    let mut two = Two::new();
    let (server, client) = (two.server, two.client);
    two.world.open_device_of(server, binder_sim::driver::Device::HwBinder).expect("room");
    let second = two.world.open_device(server).expect("room");
    two.ioctl(client, freeze(&two, true, 0)).expect("an ioctl");
    two.asks(client, [call(0, nothing())], "NOOP; FROZEN_REPLY");
    assert_eq!(
        two.ioctl(client, Ioctl::Freeze { pid: 9, enable: true, timeout_ms: 0 }),
        Err("EINVAL".into())
    );
    assert_eq!(two.ioctl(client, Ioctl::GetFrozenInfo { pid: 9 }), Err("EINVAL".into()));
    two.world.close(server, second).expect("open");
    two.ioctl(client, freeze(&two, false, 0)).expect("an ioctl");
    two.says(client, [call(0, nothing())], "ok");
}

/// A one-way call that may take the place of an older one like it.
fn update(code: u8) -> Command {
    flagged(0, Payload::bytes(&[code]), TransactionFlags::ONE_WAY | TransactionFlags::UPDATE_TXN)
}

#[test]
fn a_newer_call_takes_the_place_of_one_that_waits_behind_another() {
    for profile in [Profile::V6_1, Profile::V7_3] {
        let mut two = Two::on(profile);
        let (server, client) = (two.server, two.client);
        two.ioctl(client, freeze(&two, true, 0)).expect("an ioctl");
        for code in [1, 2, 3, 4] {
            two.says(client, [update(code)], "ok");
        }
        two.says(client, [one_way(0, Payload::bytes(&[5]))], "ok");
        let mut came = Vec::new();
        for _ in 0..3 {
            let got = two.takes(server);
            came.push(got.payload.bytes[0]);
            two.says(server, [Command::FreeBuffer(got.buffer)], "ok");
        }
        two.reads(server, "EAGAIN");
        assert_eq!(
            came,
            [1, 4, 5],
            "the first is with the process already; another kind of call is none like it"
        );
    }
}

#[test]
fn the_files_of_a_superseded_call() {
    for profile in [Profile::V6_1, Profile::V6_12, Profile::V7_3] {
        let mut two = Two::on(profile);
        let client = two.client;
        let fd = two.world.open(client, "pipe", ()).expect("room");
        let with_file = || {
            let flags = TransactionFlags::ONE_WAY | TransactionFlags::UPDATE_TXN;
            flagged(0, Payload::objects([Object::fd(fd)]), flags)
        };
        two.ioctl(client, freeze(&two, true, 0)).expect("an ioctl");
        for _ in 0..3 {
            two.says(client, [with_file()], "ok");
        }
        two.world.exit(two.server).expect("alive");
        two.settle();
        let held = two.world.file(client, fd).map(|file| file.references());
        assert_eq!(
            (held, two.world.in_flight()),
            (Some(1), 0),
            "{profile}: nobody holds it for a call that is gone"
        );
    }
}

/// The client's node is the server's handle 1, and the server asks to be told of the client.
fn watcher() -> (Two, Pid, Ioctl, Ioctl) {
    let mut two = Two::new();
    two.says(two.client, [one_way(0, node(0x500))], "ok");
    let got = two.takes(two.server);
    two.says(two.server, [Command::Acquire(1), Command::FreeBuffer(got.buffer)], "ok");
    let pid = two.client.raw();
    let server = two.server;
    let freeze = |enable| Ioctl::Freeze { pid, enable, timeout_ms: 0 };
    (two, server, freeze(true), freeze(false))
}

fn request(cookie: u64) -> Command {
    Command::RequestFreezeNotification { handle: 1, cookie }
}

fn clear(cookie: u64) -> Command {
    Command::ClearFreezeNotification { handle: 1, cookie }
}

const DONE: Command = Command::FreezeNotificationDone(7);

#[test]
fn whoever_asks_is_told_at_once_and_then_of_each_change() {
    let (mut two, server, freeze, thaw) = watcher();
    two.asks(server, [request(7)], "NOOP; FROZEN_BINDER 0x7, not frozen");
    two.says(server, [DONE], "ok");
    two.ioctl(server, freeze).expect("nothing is pending");
    two.reads(server, "NOOP; FROZEN_BINDER 0x7, frozen");
    // Unanswered: what happens meanwhile is said as one, even if it is the old state again.
    two.ioctl(server, thaw).expect("an ioctl");
    two.ioctl(server, freeze).expect("nothing is pending");
    two.reads(server, "EAGAIN");
    two.asks(server, [DONE], "NOOP; FROZEN_BINDER 0x7, frozen");
    two.asks(server, [DONE], "EAGAIN");
    two.asks(server, [clear(7)], "NOOP; CLEAR_FREEZE_NOTIFICATION_DONE 0x7");
}

#[test]
fn taken_back_in_every_state() {
    // Unread: the end comes instead. Read: the end comes with the answer.
    let (mut two, server, ..) = watcher();
    two.says(server, [request(7), clear(7)], "ok");
    two.reads(server, "NOOP; CLEAR_FREEZE_NOTIFICATION_DONE 0x7");
    two.asks(server, [request(7)], "NOOP; FROZEN_BINDER 0x7, not frozen");
    two.asks(server, [clear(7)], "EAGAIN");
    two.asks(server, [DONE], "NOOP; CLEAR_FREEZE_NOTIFICATION_DONE 0x7");
}

#[test]
fn what_is_wrong_with_it_fails_the_ioctl() {
    let (mut two, server, ..) = watcher();
    two.says(server, [request(7)], "ok");
    let nobody = |cookie| Command::RequestFreezeNotification { handle: 9, cookie };
    let nobodys = |cookie| Command::ClearFreezeNotification { handle: 9, cookie };
    for wrong in [request(8), nobody(8), clear(8), nobodys(8), Command::FreezeNotificationDone(8)] {
        two.says(server, [wrong], "EINVAL");
    }
    two.says(server, [clear(7)], "ok");
    two.says(server, [clear(7)], "EINVAL");
    for profile in [Profile::V5_10, Profile::V6_1] {
        let mut old = Two::on(profile);
        for unknown in [request(7), clear(7), DONE] {
            old.says(old.server, [unknown], "EINVAL");
        }
    }
}

#[test]
fn it_goes_with_its_handle_or_its_process_in_every_state() {
    for state in 0..4 {
        for whole in [false, true] {
            let (mut two, server, ..) = watcher();
            two.says(server, [request(7)], "ok");
            if state > 0 {
                two.reads(server, "NOOP; FROZEN_BINDER 0x7, not frozen");
            }
            if state > 1 {
                two.says(server, [clear(7)], "ok");
            }
            if state > 2 {
                two.says(server, [DONE], "ok");
            }
            if whole {
                two.world.exit(server).expect("alive");
            } else {
                two.says(server, [Command::Release(1)], "ok");
                two.does(
                    server,
                    1,
                    vec![],
                    Read::NOW,
                    if state > 2 { "NOOP; CLEAR_FREEZE_NOTIFICATION_DONE 0x7" } else { "NOOP" },
                );
            }
            two.settle();
        }
    }
}

#[test]
fn of_a_dead_owner_nothing_is_said() {
    let (mut two, server, ..) = watcher();
    two.world.exit(two.client).expect("alive");
    two.settle();
    two.asks(server, [request(7)], "EAGAIN");
    two.asks(server, [clear(7)], "NOOP; CLEAR_FREEZE_NOTIFICATION_DONE 0x7");
}

#[test]
fn the_oldest_kernel_has_none_of_it() {
    let mut two = Two::on(Profile::V5_10);
    let client = two.client;
    let absent = [
        freeze(&two, true, 0),
        Ioctl::GetFrozenInfo { pid: 1 },
        Ioctl::EnableOnewaySpamDetection(true),
        Ioctl::GetExtendedError,
    ];
    for ioctl in absent {
        assert_eq!(two.ioctl(client, ioctl), Err("EINVAL".into()), "{ioctl}");
    }
}
