//! Threads: who is asked to come, who is given what, who comes back with nothing.

use crate::two::{Two, call, node, nothing, one_way, reply};
use binder_sim::driver::Read;
use binder_sim::protocol::{Answer, Command, Ioctl};

#[test]
fn one_more_thread_is_asked_for_where_nobody_waits() {
    let mut two = Two::new();
    let (server, client) = (two.server, two.client);
    two.ioctl(server, Ioctl::SetMaxThreads(1)).expect("an ioctl");
    // Not a looper yet; then one, but a read that finds nothing asks for nobody.
    two.asks(client, [one_way(0, nothing())], "NOOP; TRANSACTION_COMPLETE");
    let first = two.takes(server);
    two.asks(server, [Command::EnterLooper], "EAGAIN");
    two.says(client, [one_way(0, nothing())], "ok");
    two.says(server, [Command::FreeBuffer(first.buffer)], "ok");
    // It stands in the place of BR_NOOP.
    two.reads(server, "SPAWN_LOOPER; TRANSACTION for node 0x0, 0 bytes");
    // Until it comes nobody else is asked for; after that one is enough.
    two.says(client, [one_way(0, nothing())], "ok");
    two.does(server, 1, vec![Command::RegisterLooper], Read::NONE, "ok");
    two.says(server, [Command::FreeBuffer(first.buffer)], "ok");
    two.does(server, 1, vec![call(1, nothing())], Read::NOW, "NOOP; FAILED_REPLY");
}

#[test]
fn a_thread_that_waits_is_one_that_can_be_used() {
    let mut two = Two::new();
    let (server, client) = (two.server, two.client);
    two.ioctl(server, Ioctl::SetMaxThreads(15)).expect("an ioctl");
    two.does(server, 1, vec![Command::EnterLooper], Read::NONE, "ok");
    two.does(server, 1, vec![], Read::WAIT, "waits");
    two.does(server, 2, vec![Command::EnterLooper], Read::NONE, "ok");
    two.does(server, 2, vec![], Read::WAIT, "waits");
    // The last to wait is the first to be woken; the other waits on, so nobody is asked for.
    two.says(client, [call(0, nothing())], "ok");
    two.came(server, 1, "waits");
    two.came(server, 2, "NOOP; TRANSACTION for node 0x0, 0 bytes");
    two.does(server, 2, vec![reply(nothing())], Read::NOW, "NOOP; TRANSACTION_COMPLETE");
    two.reads(client, "NOOP; TRANSACTION_COMPLETE; REPLY, 0 bytes");
    two.says(client, [call(0, nothing())], "ok");
    two.came(server, 1, "SPAWN_LOOPER; TRANSACTION for node 0x0, 0 bytes");
}

#[test]
fn what_a_thread_says_of_itself_is_noted_and_not_enforced() {
    let mut two = Two::new();
    let (server, client) = (two.server, two.client);
    // Unasked, and both: either way it is given work.
    let both =
        vec![Command::RegisterLooper, Command::EnterLooper, Command::RegisterLooper, Command::ExitLooper];
    two.does(server, 1, both, Read::NONE, "ok");
    two.says(client, [one_way(0, nothing())], "ok");
    two.does(server, 1, vec![], Read::NOW, "NOOP; TRANSACTION for node 0x0, 0 bytes");
}

#[test]
fn a_threads_first_call_comes_back_with_nothing() {
    let mut two = Two::new();
    two.does(two.server, 5, vec![], Read::WAIT, "NOOP");
    two.does(two.server, 5, vec![], Read::WAIT, "waits");
    // A poll is no such call, and finds it out.
    let caller = two.caller(two.server, 6);
    assert_eq!([two.world.poll(caller), two.world.poll(caller)], [Ok(true), Ok(true)]);
    two.does(two.server, 6, vec![], Read::NOW, "NOOP");
    assert_eq!(two.world.poll(caller), Ok(false));
}

#[test]
fn poll_says_what_a_read_would_find() {
    let mut two = Two::new();
    let (server, client) = (two.server, two.client);
    let [to_server, to_client] = [server, client].map(|pid| two.caller(pid, 0));
    two.says(client, [call(0, nothing())], "ok");
    assert_eq!(two.world.poll(to_client), Ok(false), "a completion that waits for its reply is nothing");
    assert_eq!(two.world.poll(to_server), Ok(true));
    two.takes(server);
    assert_eq!(two.world.poll(to_server), Ok(false));
    two.says(client, [one_way(0, nothing())], "ok");
    assert_eq!(two.world.poll(to_server), Ok(false), "who owes a reply is given nothing else");
    two.says(server, [reply(nothing())], "ok");
    assert_eq!([to_client, to_server].map(|caller| two.world.poll(caller)), [Ok(true), Ok(true)]);
}

#[test]
fn closing_one_of_two_numbers_brings_every_thread_back_once() {
    let mut two = Two::new();
    let server = two.server;
    for n in 1..3 {
        two.does(server, n, vec![], Read::NONE, "ok");
        two.does(server, n, vec![], Read::WAIT, "waits");
    }
    let fd = two.world.main(server, "dup").expect("open").fd;
    let other = two.world.dup(server, fd).expect("room");
    two.world.close(server, other).expect("open");
    two.settle();
    two.came(server, 1, "NOOP");
    two.came(server, 2, "NOOP");
    two.reads(server, "NOOP");
    two.reads(server, "EAGAIN");
}

#[test]
fn a_call_keeps_its_open_until_it_returns() {
    let mut two = Two::new();
    let (server, client) = (two.server, two.client);
    let (caller, open) = (two.caller(server, 0), two.world.open_of(server).expect("open"));
    two.does(server, 0, vec![], Read::WAIT, "waits");
    two.world.munmap(server, caller.fd).expect("mapped");
    two.world.close(server, caller.fd).expect("open");
    two.world.check().expect("every invariant holds");
    assert_eq!(two.world.driver().population().0, 2, "a thread is inside");
    two.world.run();
    let thread = binder_sim::driver::ThreadId { process: open, tid: caller.tid };
    let came = two.world.take_returned_of_thread(thread).expect("it was brought back");
    assert_eq!(crate::two::text(&came), "NOOP");
    assert_eq!(two.world.driver().population().0, 1);
    two.asks(client, [call(0, nothing())], "NOOP; DEAD_REPLY");
}

#[test]
fn a_signal_brings_a_thread_back_with_nothing() {
    let mut two = Two::new();
    let server = two.server;
    two.does(server, 0, vec![Command::IncRefs(9)], Read::WAIT, "waits");
    let caller = two.caller(server, 0);
    two.world.interrupt(caller).expect("open");
    let came = two.world.take_returned_of(caller).expect("it came back");
    assert_eq!((came.error.map(|errno| errno.to_string()), came.write_consumed), (Some("EINTR".into()), 8));
    two.reads(server, "EAGAIN");
}

#[test]
fn a_thread_that_exits_loses_what_it_was_in() {
    // As a server: its caller is told. As a caller: its server's reply finds nobody.
    let mut two = Two::new();
    let (server, client) = (two.server, two.client);
    two.does(client, 0, vec![call(0, nothing())], Read::WAIT, "waits");
    two.takes(server);
    assert_eq!(two.ioctl(server, Ioctl::ThreadExit), Ok(Some(Answer::Done)));
    two.came(client, 0, "NOOP; TRANSACTION_COMPLETE; DEAD_REPLY");
    two.says(server, [Command::EnterLooper], "ok");
    two.says(client, [call(0, nothing())], "ok");
    two.takes(server);
    two.ioctl(client, Ioctl::ThreadExit).expect("an ioctl");
    two.asks(server, [reply(nothing())], "NOOP; TRANSACTION_COMPLETE");
    two.reads(client, "NOOP");
    two.reads(client, "EAGAIN");
}

#[test]
fn a_thread_that_exits_unread_takes_its_calls_with_it() {
    let mut two = Two::new();
    let (server, client) = (two.server, two.client);
    two.does(server, 1, vec![], Read::NONE, "ok");
    two.does(server, 1, vec![], Read::WAIT, "waits");
    // The call goes to the waiting thread, which is interrupted before it runs, and exits.
    let write = vec![call(0, node(0x500))];
    let caller = two.caller(client, 0);
    two.world.write_read_by(caller, write, Read::NONE).expect("an ioctl");
    let caller = two.caller(server, 1);
    two.world.interrupt(caller).expect("open");
    two.world.ioctl(caller, Ioctl::ThreadExit).expect("an ioctl");
    two.settle();
    // The buffer, and what it holds, stay for as long as the process does.
    two.reads(client, "NOOP; INCREFS 0x500; ACQUIRE 0x500; TRANSACTION_COMPLETE; DEAD_REPLY");
    let open = two.world.open_of(server).expect("open");
    assert_eq!(two.world.driver().buffers(open).map(|(out, _)| out), Some(1));
}

#[test]
fn a_read_that_leaves_work_wakes_somebody_else_for_it() {
    let mut two = Two::new();
    let (server, client) = (two.server, two.client);
    two.does(server, 1, vec![], Read::NONE, "ok");
    two.does(server, 1, vec![], Read::WAIT, "waits");
    // Two calls at once: the waiting thread is given the first, and what the main thread leaves comes to it
    // after it has answered.
    two.says(client, [one_way(0, nothing())], "ok");
    two.came(server, 1, "NOOP; TRANSACTION for node 0x0, 0 bytes");
    two.does(server, 1, vec![], Read::WAIT, "waits");
    let third = two.third();
    two.says(third, [call(0, nothing())], "ok");
    two.came(server, 1, "NOOP; TRANSACTION for node 0x0, 0 bytes");
}

#[test]
fn a_reply_by_a_thread_that_was_not_called() {
    let mut two = Two::new();
    let (server, client) = (two.server, two.client);
    two.says(client, [call(0, nothing())], "ok");
    two.takes(server);
    two.does(server, 1, vec![reply(nothing())], Read::NOW, "NOOP; FAILED_REPLY");
    // A caller is not the one to answer its own call.
    two.asks(client, [reply(nothing())], "NOOP; TRANSACTION_COMPLETE; FAILED_REPLY");
    two.asks(server, [reply(nothing())], "NOOP; TRANSACTION_COMPLETE");
}
