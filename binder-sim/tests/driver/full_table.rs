//! A full table: a call, a one-way call and a reply, in both schemes: the six outcomes, each a test.

use crate::stage::{CLIENT, SERVER, accepting, call, call_with, numbers, one_way, pid, reply, run};
use binder_sim::driver::Translation;
use binder_sim::protocol::TransactionFlags;
use binder_sim::script::{Action, Script};

/// Compares what was seen, and that the tables and counts are as if nothing had been sent.
fn check(script: &Script, translation: Translation, full: usize, expected: &[&str]) {
    let (world, saw) = run(script, translation);
    assert_eq!(saw, expected, "{} ({translation})", script.name);
    let table = world.table(pid(full)).expect("alive");
    assert_eq!(u32::try_from(table.len()), Ok(table.limit()), "as full as it was");
    assert_eq!(world.in_flight(), 0, "a file stayed in flight");
    for fd in numbers(&world, CLIENT) {
        let file = world.file(pid(CLIENT), fd).expect("open");
        // A mapping holds the device, too.
        let held = if file.as_device().is_some() { 2 } else { 1 };
        assert_eq!(file.references(), held, "a reference to {file} stayed");
    }
    let buffers = world.driver().buffers(world.open_of(pid(full)).expect("open"));
    assert_eq!(buffers, Some((0, 128 << 10)), "a buffer stayed");
}

/// A call with two descriptors to a server that has room for `room` of them.
fn call_into(room: u32) -> Script {
    accepting("a call into a full table")
        .step(SERVER, Action::SetLimit(4 + room))
        .step(CLIENT, Action::call([call(&[4, 5])]))
        .step(CLIENT, Action::GetExtendedError)
        .step(SERVER, Action::read())
}

/// Fills the table of the one who has room for one, after the fact, so that `check` finds it as full as it was.
fn fill(script: Script, room: u32) -> Script {
    (0..room).fold(script, |script, _| script.step(SERVER, Action::open("filler")))
}

#[test]
fn classic_call_the_sender_is_refused_and_the_first_number_closed_again() {
    for room in [0, 1] {
        let mut saw = vec![
            "server: ok",
            "client: NOOP; FAILED_REPLY",
            "client: FAILED_REPLY, -ENOMEM",
            "server: EAGAIN",
        ];
        // The number of the first object is free again: the receiver's own file gets it.
        saw.extend((0..room).map(|_| "server: fd 4"));
        check(&fill(call_into(room), room), Translation::Classic, SERVER, &saw);
    }
}

#[test]
fn deferred_call_the_sender_has_its_completion_then_fails() {
    for room in [0, 1] {
        let script = accepting("a call into a full table")
            .step(SERVER, Action::SetLimit(4 + room))
            .step(CLIENT, Action::call([call(&[4, 5])]))
            .step(SERVER, Action::read())
            .step(CLIENT, Action::GetExtendedError);
        let mut saw = vec![
            "server: ok",
            "client: NOOP; TRANSACTION_COMPLETE; FAILED_REPLY",
            "server: EAGAIN",
            "client: OK, 0",
        ];
        saw.extend((0..room).map(|_| "server: fd 4"));
        check(&fill(script, room), Translation::Deferred, SERVER, &saw);
    }
}

/// A one-way call into a full table.
fn one_way_into() -> Script {
    accepting("a one-way call into a full table")
        .step(SERVER, Action::SetLimit(4))
        .step(CLIENT, Action::call([one_way(&[4, 5])]))
        .step(CLIENT, Action::GetExtendedError)
        .step(SERVER, Action::read())
}

#[test]
fn classic_one_way_the_sender_is_refused() {
    let saw = ["server: ok", "client: NOOP; FAILED_REPLY", "client: FAILED_REPLY, -ENOMEM", "server: EAGAIN"];
    check(&one_way_into(), Translation::Classic, SERVER, &saw);
}

#[test]
fn deferred_one_way_is_lost_silently_and_the_next_one_comes() {
    let saw = ["server: ok", "client: NOOP; TRANSACTION_COMPLETE", "client: OK, 0", "server: EAGAIN"];
    check(&one_way_into(), Translation::Deferred, SERVER, &saw);
    let script = one_way_into()
        .step(CLIENT, Action::write([one_way(&[])]))
        .step(SERVER, Action::read())
        .step(SERVER, Action::free_and_write([]));
    let mut saw = saw.to_vec();
    saw.extend(["client: ok", "server: NOOP; TRANSACTION for node 0x0, 0 bytes", "server: ok"]);
    check(&script, Translation::Deferred, SERVER, &saw);
}

/// A reply with a descriptor to a caller whose table is full.
fn reply_into() -> Script {
    accepting("a reply into a full table")
        .step(CLIENT, Action::SetLimit(7))
        .step(SERVER, Action::open("memory"))
        .step(CLIENT, Action::call([call_with(TransactionFlags::ACCEPT_FDS, &[])]))
        .step(SERVER, Action::read())
        .step(SERVER, Action::free_and_write([reply(&[4])]))
        .step(SERVER, Action::read())
        .step(CLIENT, Action::GetExtendedError)
}

/// What both see of it; the schemes differ in what the caller is told.
fn reply_outcome(translation: Translation, why: &str) {
    let saw = [
        "client: ok",
        "server: fd 4",
        "client: NOOP; TRANSACTION_COMPLETE; FAILED_REPLY",
        "server: NOOP; TRANSACTION for node 0x0, 0 bytes",
        "server: ok",
        "server: NOOP; TRANSACTION_COMPLETE",
        why,
    ];
    check(&reply_into(), translation, CLIENT, &saw);
}

#[test]
fn classic_reply_the_caller_fails_and_is_told_why() {
    reply_outcome(Translation::Classic, "client: FAILED_REPLY, -ENOMEM");
}

#[test]
fn deferred_reply_the_caller_fails_and_is_not_told_why() {
    reply_outcome(Translation::Deferred, "client: OK, 0");
}

#[test]
fn classic_a_receiver_that_never_reads_is_filled_up_deferred_it_is_not() {
    let flood = (0..8).fold(accepting("a flood").step(SERVER, Action::SetLimit(8)), |script, _| {
        script.step(CLIENT, Action::call([one_way(&[4])]))
    });
    let (world, saw) = run(&flood, Translation::Classic);
    assert_eq!(saw.iter().filter(|line| line.ends_with("FAILED_REPLY")).count(), 4, "{saw:#?}");
    assert_eq!((numbers(&world, SERVER).len(), world.in_flight()), (8, 0));
    let (world, saw) = run(&flood, Translation::Deferred);
    assert_eq!(saw.iter().filter(|line| line.ends_with("FAILED_REPLY")).count(), 0, "{saw:#?}");
    assert_eq!((numbers(&world, SERVER).len(), world.in_flight()), (4, 8));
}
