//! Death notices, and how a process ends.

use crate::two::{Two, call, node, nothing, one_way, reply};
use binder_sim::driver::{Read, Translation};
use binder_sim::protocol::Command;
use binder_sim::world::Pid;

/// A client that holds node 0x500 of a third process as its handle 1: acquired, buffer freed.
fn holder() -> (Two, Pid, Pid) {
    let mut two = Two::new();
    let owner = two.third();
    // The third gives its node to the server, who is asked for by the client in a call.
    two.says(owner, [one_way(0, node(0x500))], "ok");
    let got = two.takes(two.server);
    two.says(two.server, [Command::Acquire(1), Command::FreeBuffer(got.buffer)], "ok");
    let server = two.server;
    (two, server, owner)
}

fn request(cookie: u64) -> Command {
    Command::RequestDeathNotification { handle: 1, cookie }
}

fn clear(cookie: u64) -> Command {
    Command::ClearDeathNotification { handle: 1, cookie }
}

const DONE: Command = Command::DeadBinderDone(7);

#[test]
fn the_holder_of_a_dead_node_is_told_and_answers() {
    let (mut two, holder, owner) = holder();
    two.says(holder, [request(7), request(8)], "ok");
    two.reads(holder, "EAGAIN");
    two.world.exit(owner).expect("alive");
    two.settle();
    // A death ends the read, whatever else there is.
    two.says(holder, [one_way(1, nothing())], "ok");
    two.reads(holder, "NOOP; DEAD_REPLY");
    two.reads(holder, "NOOP; DEAD_BINDER 0x7");
    two.says(holder, [Command::DeadBinderDone(8), DONE, DONE], "ok");
    two.reads(holder, "EAGAIN");
    // It was answered, so what is left is to take it back.
    two.asks(holder, [clear(7)], "NOOP; CLEAR_DEATH_NOTIFICATION_DONE 0x7");
    two.says(holder, [Command::Release(1)], "ok");
    assert_eq!(two.world.driver().population().1, 1, "only the manager's node is left");
}

#[test]
fn who_asks_after_the_death_is_told_at_once() {
    let (mut two, holder, owner) = holder();
    two.world.exit(owner).expect("alive");
    two.settle();
    two.asks(holder, [request(7)], "NOOP; DEAD_BINDER 0x7");
}

#[test]
fn a_thread_that_waits_is_woken_for_it() {
    let (mut two, holder, owner) = holder();
    two.says(holder, [request(7)], "ok");
    two.does(holder, 0, vec![], Read::WAIT, "waits");
    two.world.exit(owner).expect("alive");
    two.settle();
    two.came(holder, 0, "NOOP; DEAD_BINDER 0x7");
}

#[test]
fn what_is_not_asked_for_cannot_be_taken_back() {
    let (mut two, holder, _) = holder();
    let unknown = Command::ClearDeathNotification { handle: 9, cookie: 7 };
    let nobody = Command::RequestDeathNotification { handle: 9, cookie: 7 };
    two.says(holder, [clear(7), unknown, nobody, request(7), clear(8), DONE], "ok");
    two.reads(holder, "EAGAIN");
    two.asks(holder, [clear(7)], "NOOP; CLEAR_DEATH_NOTIFICATION_DONE 0x7");
    two.says(holder, [clear(7)], "ok");
    two.reads(holder, "EAGAIN");
}

#[test]
fn taken_back_too_late_it_still_comes_and_the_confirmation_after_the_answer() {
    // Taken back before it is read, and after it was read.
    for before in [true, false] {
        let (mut two, holder, owner) = holder();
        two.says(holder, [request(7)], "ok");
        two.world.exit(owner).expect("alive");
        two.settle();
        if before {
            two.says(holder, [clear(7)], "ok");
        }
        two.reads(holder, "NOOP; DEAD_BINDER 0x7");
        if !before {
            two.says(holder, [clear(7)], "ok");
        }
        two.reads(holder, "EAGAIN");
        two.asks(holder, [DONE], "NOOP; CLEAR_DEATH_NOTIFICATION_DONE 0x7");
    }
}

#[test]
fn a_thread_that_serves_is_told_itself_another_is_told_through_its_process() {
    let (mut two, holder, _) = holder();
    let looper = vec![Command::EnterLooper, request(7), clear(7)];
    two.does(holder, 1, looper, Read::NONE, "ok");
    two.reads(holder, "EAGAIN");
    two.does(holder, 1, vec![], Read::NOW, "NOOP; CLEAR_DEATH_NOTIFICATION_DONE 0x7");
    two.says(holder, [request(7), clear(7)], "ok");
    two.does(holder, 2, vec![], Read::NONE, "ok");
    two.does(holder, 2, vec![], Read::NOW, "NOOP; CLEAR_DEATH_NOTIFICATION_DONE 0x7");
}

#[test]
fn it_goes_with_its_handle_without_a_word() {
    for read in [false, true] {
        let (mut two, holder, owner) = holder();
        two.says(holder, [request(7)], "ok");
        if read {
            two.world.exit(owner).expect("alive");
            two.settle();
            two.reads(holder, "NOOP; DEAD_BINDER 0x7");
        }
        two.says(holder, [Command::Release(1)], "ok");
        if !read {
            two.world.exit(owner).expect("alive");
            two.settle();
        }
        two.says(holder, [DONE], "ok");
        two.reads(holder, "EAGAIN");
    }
}

#[test]
fn notices_in_every_state_go_with_their_process() {
    for state in 0..5 {
        let (mut two, holder, owner) = holder();
        two.says(holder, [request(7)], "ok");
        if state > 0 {
            two.world.exit(owner).expect("alive");
            two.settle();
        }
        if state > 1 {
            two.reads(holder, "NOOP; DEAD_BINDER 0x7");
        }
        if state > 2 {
            two.says(holder, [clear(7)], "ok");
        }
        if state > 3 {
            two.says(holder, [DONE], "ok");
        }
        for pid in [holder, two.client, owner] {
            // The owner may have gone already.
            drop(two.world.exit(pid));
            two.settle();
        }
        assert_eq!(two.world.driver().population(), (0, 0, 0), "state {state}");
    }
}

#[test]
fn a_cleared_notice_goes_with_the_thread_that_would_have_read_it() {
    let (mut two, holder, _) = holder();
    two.does(holder, 1, vec![Command::EnterLooper, request(7), clear(7)], Read::NONE, "ok");
    let caller = two.caller(holder, 1);
    two.world.ioctl(caller, binder_sim::protocol::Ioctl::ThreadExit).expect("an ioctl");
    two.settle();
    two.reads(holder, "EAGAIN");
}

#[test]
fn a_chain_of_callers_whose_middle_dies() {
    // The client calls the server, who calls the third; the server's thread goes: the client is told at once,
    // and the third's answer finds nobody.
    for translation in Translation::ALL {
        let mut two = Two::with(Default::default(), translation, Default::default());
        let third = two.third();
        two.says(third, [one_way(0, node(0x500))], "ok");
        let got = two.takes(two.server);
        two.says(two.server, [Command::Acquire(1), Command::FreeBuffer(got.buffer)], "ok");
        let (server, client) = (two.server, two.client);
        two.does(client, 0, vec![call(0, nothing())], Read::WAIT, "waits");
        two.takes(server);
        two.does(server, 0, vec![call(1, nothing())], Read::WAIT, "waits");
        two.reads(third, "NOOP; INCREFS 0x500; ACQUIRE 0x500; TRANSACTION_COMPLETE");
        two.takes(third);
        two.world.exit(server).expect("alive");
        two.settle();
        two.came(client, 0, "waits");
        two.asks(third, [reply(nothing())], "NOOP; TRANSACTION_COMPLETE");
        two.came(client, 0, "NOOP; TRANSACTION_COMPLETE; DEAD_REPLY");
    }
}
