//! A release that waits in the middle, and what others meet meanwhile.

use crate::two::{Two, call, node, nothing, reply};
use binder_sim::driver::{Profile, Read};
use binder_sim::protocol::{Answer, Command, Ioctl, ObjectFlags};
use binder_sim::world::Pid;

/// The server has polled with its second thread; its first one has read what the client called with.
fn polled_and_called(profile: Profile, write: Vec<Command>, read: Read) -> Two {
    let mut two = Two::on(profile);
    let (server, client) = (two.server, two.client);
    let second = two.caller(server, 1);
    two.world.poll(second).expect("open");
    two.does(client, 0, write, read, if read == Read::WAIT { "waits" } else { "ok" });
    two.takes(server);
    two
}

/// The server ends, and its release comes to the thread that has polled.
fn end_halfway(two: &mut Two) {
    two.world.set_eager(false);
    two.world.exit(two.server).expect("alive");
    two.world.run_deferred();
    assert!(two.world.driver().is_pausing());
    assert_eq!(two.world.deferred(), 1, "the rest of it");
}

/// Which processes have the device open, as debugfs lists them.
fn listed(two: &Two) -> Vec<u32> {
    two.world.driver().opens().map(|(pid, _)| pid).collect()
}

#[test]
fn whoever_waits_for_a_thread_before_it_is_told_of_handles_that_still_are() {
    for profile in Profile::ALL {
        let mut two = polled_and_called(profile, vec![call(0, node(0x500))], Read::WAIT);
        end_halfway(&mut two);
        two.settle();
        two.came(two.client, 0, "NOOP; INCREFS 0x500; ACQUIRE 0x500; TRANSACTION_COMPLETE; DEAD_REPLY");
        two.world.run_deferred();
        assert_eq!(two.world.deferred(), 0);
        let (ptr, cookie) = (0x500, 0x500);
        let done = [Command::IncRefsDone { ptr, cookie }, Command::AcquireDone { ptr, cookie }];
        two.says(two.client, done, "ok");
        two.reads(two.client, "NOOP; RELEASE 0x500; DECREFS 0x500");
    }
}

#[test]
fn nobody_finds_the_open_any_more_and_what_it_has_is_there() {
    let mut two = polled_and_called(Profile::default(), vec![call(0, nothing())], Read::WAIT);
    let (server, client, third) = (two.server, two.client, two.third());
    two.says(third, [Command::Acquire(0), Command::RequestDeathNotification { handle: 0, cookie: 7 }], "ok");
    assert_eq!(listed(&two), [server, client, third].map(Pid::raw));
    end_halfway(&mut two);
    assert_eq!(listed(&two), [client, third].map(Pid::raw));
    let freeze = Ioctl::Freeze { pid: server.raw(), enable: true, timeout_ms: 0 };
    assert_eq!(two.ioctl(third, freeze), Err("EINVAL".into()), "there is no such process");
    two.asks(third, [call(0, nothing())], "NOOP; DEAD_REPLY");
    two.world.set_context_manager(third, ObjectFlags::NONE).expect("there is no manager");
    two.reads(third, "EAGAIN");
    // Others that end now have to wait until the one is done.
    two.world.exit(client).expect("alive");
    assert_eq!(two.world.deferred(), 2);
    two.world.run_deferred();
    assert_eq!((listed(&two).len(), two.world.deferred()), (2, 1));
    two.reads(third, "NOOP; DEAD_BINDER 0x7");
    two.world.run_deferred();
    assert_eq!((listed(&two).len(), two.world.deferred()), (1, 0));
}

#[test]
fn a_freezer_whose_time_is_up_meanwhile_tells_of_the_first_node_only() {
    let mut two = polled_and_called(Profile::V7_3, vec![call(0, nothing())], Read::NONE);
    let (server, client, third) = (two.server, two.client, two.third());
    two.says(server, [reply(node(0x500))], "ok");
    let got = two.takes(client);
    let ask = |handle| Command::RequestFreezeNotification { handle, cookie: 7 + u64::from(handle) };
    let keep = [0, 1].map(Command::Acquire);
    two.says(client, [keep[0].clone(), keep[1].clone(), Command::FreeBuffer(got.buffer)], "ok");
    for handle in [0, 1] {
        let cookie = 7 + u64::from(handle);
        two.asks(client, [ask(handle)], &format!("NOOP; FROZEN_BINDER {cookie:#x}, not frozen"));
        two.says(client, [Command::FreezeNotificationDone(cookie)], "ok");
    }
    // A call that is read and not answered: the freezer waits for it, and its end wakes nobody.
    two.says(client, [call(0, nothing())], "ok");
    two.reads(server, "NOOP; INCREFS 0x500; ACQUIRE 0x500; TRANSACTION_COMPLETE");
    two.reads(server, "NOOP; TRANSACTION for node 0x0, 0 bytes");
    let freeze = Ioctl::Freeze { pid: server.raw(), enable: true, timeout_ms: 1 };
    assert_eq!(two.ioctl(third, freeze), Ok(None), "it waits");
    end_halfway(&mut two);
    let freezer = two.caller(third, 0);
    two.world.time_up(freezer).expect("open");
    assert_eq!(two.world.take_answer(freezer), Some(Ok(Answer::Done)));
    two.does(client, 1, vec![], Read::NOW, "NOOP; FROZEN_BINDER 0x7, frozen");
    two.does(client, 1, vec![], Read::NOW, "EAGAIN");
    two.world.run_deferred();
    two.reads(client, "NOOP; TRANSACTION_COMPLETE; DEAD_REPLY");
}
