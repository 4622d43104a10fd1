//! The story: what its trace says, row by row, and what a picture can be drawn from.

use binder_sim::driver::Translation;
use binder_sim::story::one_descriptor;
use binder_sim::trace::{Lane, Trace};

/// The receiver's place among the processes of the story.
const RECEIVER: usize = 1;

fn trace(translation: Translation) -> Trace {
    let (world, trace) = one_descriptor(translation).expect("a fresh world");
    world.check().expect("every invariant holds");
    trace
}

/// The functions of the driver's and the tables' rows, with the process in whose call each runs.
fn functions(trace: &Trace) -> Vec<(&str, &str)> {
    let up_to_read = trace.rows.iter().take_while(|row| !row.text.contains("BC_REPLY"));
    let rows = up_to_read.filter(|row| !row.function.contains(['(', ' ']));
    rows.map(|row| (row.in_call_of.as_str(), row.function.as_str())).collect()
}

#[test]
fn the_schemes_agree_up_to_fget_and_after_that_differ_in_who_chooses() {
    let sent = [("sender", "binder_transaction"), ("sender", "binder_alloc_new_buf"), ("sender", "fget")];
    let classic = [
        ("sender", "task_get_unused_fd_flags"),
        ("sender", "task_fd_install"),
        ("sender", "binder_proc_transaction"),
        ("receiver", "binder_thread_read"),
    ];
    let deferred = [
        ("sender", "list_add_tail"),
        ("sender", "binder_proc_transaction"),
        ("receiver", "binder_thread_read"),
        ("receiver", "get_unused_fd_flags"),
        ("receiver", "binder_alloc_copy_to_buffer"),
        ("receiver", "fd_install"),
    ];
    for (translation, rest) in [(Translation::Classic, &classic[..]), (Translation::Deferred, &deferred)] {
        assert_eq!(functions(&trace(translation)), [&sent[..], rest].concat(), "{translation}");
    }
}

#[test]
fn every_row_has_its_lane_and_both_tables() {
    for translation in Translation::ALL {
        let trace = trace(translation);
        for (n, row) in trace.rows.iter().enumerate() {
            assert_eq!(row.step, n + 1);
            let is_table = row.function.contains("fd_install") || row.function.contains("unused_fd");
            match row.lane {
                Lane::Driver => assert!(!is_table, "{row:?}"),
                Lane::Process(_) if is_table => assert_eq!(row.lane, Lane::Process(RECEIVER)),
                Lane::Process(at) => assert_eq!(row.in_call_of, trace.processes[at]),
            }
            assert!(
                row.changes.iter().all(|change| change.process == RECEIVER),
                "the sender's never changes"
            );
        }
        let installed =
            trace.rows.iter().position(|row| row.function.ends_with("fd_install")).expect("installed");
        let has = |steps: usize| {
            let moment = trace.replay(steps);
            let seen = moment.tables[RECEIVER].iter().any(|row| row.file == "shared memory");
            assert_eq!(seen, moment.translations.len() == 1, "in the table and in the translation table");
            seen
        };
        assert!(!has(installed) && has(installed + 1), "seen from the install on, not before");
    }
}

#[test]
fn a_printed_trace_keeps_within_a_hundred_columns() {
    for translation in Translation::ALL {
        let trace = trace(translation);
        let text = format!("{trace}{}", trace.translation_table());
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
        }
    }
}

#[test]
fn a_trace_replayed_ends_where_the_world_does() {
    for translation in Translation::ALL {
        let (world, trace) = one_descriptor(translation).expect("a fresh world");
        for name in &trace.processes {
            let pid = world.pid(name).expect("it is there");
            let table = world.table(pid).expect("alive").rows(|file| file.label().into());
            assert_eq!(trace.after(name), table, "{name}");
        }
        assert_eq!(trace.replay(0).tables, trace.before);
        assert_eq!(trace.replay(usize::MAX), trace.replay(trace.rows.len()));
        assert_eq!(one_descriptor(translation).expect("a fresh world").1, trace, "the same again");
    }
}

#[cfg(feature = "json")]
#[test]
fn a_trace_comes_back_from_json() {
    for translation in Translation::ALL {
        let trace = trace(translation);
        let again: Trace = serde_json::from_str(&trace.to_json()).expect("JSON");
        assert_eq!(again, trace);
        assert_eq!(again.to_string(), trace.to_string(), "and prints the same timeline");
    }
}

#[cfg(feature = "json")]
#[test]
fn a_trace_as_json_says_the_same() {
    for translation in Translation::ALL {
        let trace = trace(translation);
        let json: serde_json::Value = serde_json::from_str(&trace.to_json()).expect("JSON");
        assert_eq!(json["translation"], trace.translation);
        assert_eq!(json["rows"].as_array().map(Vec::len), Some(trace.rows.len()));
        assert_eq!(json["rows"][0]["lane"], 0, "the sender's own");
        assert_eq!(json["rows"][1]["lane"], serde_json::Value::Null, "the driver's");
        assert_eq!(json["translations"][0]["receiver_fd"], trace.translations[0].receiver_fd);
        assert_eq!(json["before"][RECEIVER][4]["file"], "config");
    }
}

#[test]
fn a_step_is_said_of_everything_that_travels_and_of_what_goes_wrong() {
    use crate::two::{Two, call, flagged, nothing, one_way, reply};
    use binder_sim::protocol::{Command, Ioctl, Object, ObjectFlags, Payload, TransactionFlags};

    let mut two = Two::new();
    let (server, client) = (two.server, two.client);
    let fds = ["one", "two"].map(|label| two.world.open(client, label, ()).expect("room"));
    two.world.trace(&[client, server]);
    // Two files, a node, a handle that comes home, an array, a reply whose caller is told by name.
    two.says(client, [Command::Acquire(0)], "ok");
    let objects =
        [Object::fd(fds[0]), Object::fd(fds[1]), Object::binder(0x500, ObjectFlags::NONE), Object::handle(0)];
    two.says(client, [call(0, Payload::objects(objects))], "ok");
    let got = two.takes(server);
    two.says(server, [Command::FreeBuffer(got.buffer), reply(nothing())], "ok");
    two.takes(client);
    two.asks(client, [one_way(0, Payload::fd_array(0x5000, &fds))], "NOOP; TRANSACTION_COMPLETE");
    two.reads(server, "NOOP; TRANSACTION_COMPLETE");
    let got = two.takes(server);
    two.says(server, [Command::FreeBuffer(got.buffer)], "ok");
    // A descriptor that the caller did not ask for.
    two.says(client, [flagged(0, nothing(), TransactionFlags::NONE)], "ok");
    two.takes(server);
    two.says(server, [reply(Payload::objects([Object::fd(0)]))], "ok");
    two.reads(client, "NOOP; TRANSACTION_COMPLETE; FAILED_REPLY");
    two.reads(server, "NOOP; TRANSACTION_COMPLETE");
    // Refused for what it is, for whom it is for, and for want of room.
    let refusals =
        [call(0, Payload::objects([Object::fd(99)])), flagged(9, nothing(), TransactionFlags::NONE)];
    for refused in refusals {
        two.asks(client, [refused.clone()], "NOOP; FAILED_REPLY");
    }
    two.world
        .ioctl(two.caller(client, 0), Ioctl::Freeze { pid: server.raw(), enable: true, timeout_ms: 0 })
        .expect("idle");
    two.asks(client, [call(0, nothing())], "NOOP; FROZEN_REPLY");
    two.world
        .ioctl(two.caller(client, 0), Ioctl::Freeze { pid: server.raw(), enable: false, timeout_ms: 0 })
        .expect("idle");
    two.world.set_limit(server, 3).expect("alive");
    two.says(client, [one_way(0, Payload::objects([Object::fd(fds[0])]))], "ok");
    two.reads(server, "EAGAIN");
    let trace = two.world.take_trace().expect("it was written down");
    let said = |function: &str, text: &str| {
        trace.rows.iter().any(|row| row.function == function && row.text.contains(text))
    };
    for (function, text) in [
        ("binder_proc_transaction", "2 files in flight"),
        ("binder_translate_binder", "node 0x500 is handle 1 in server"),
        ("binder_translate_handle", "handle 0 is BINDER 0x0 in server"),
        ("binder_deferred_fd_close", "are closed: 3 4"),
        ("fget", "99 names no open file"),
        ("binder_translate_fd", "FD 0: the receiver does not accept descriptors"),
        ("binder_transaction", "refused: BR_FAILED_REPLY, -EBADF"),
        ("binder_transaction", "refused: BR_FAILED_REPLY, -EINVAL"),
        ("binder_transaction", "refused: BR_FROZEN_REPLY"),
        ("get_unused_fd_flags", "no number is free: -EMFILE"),
        ("binder_cleanup_transaction", "dropped"),
    ] {
        assert!(said(function, text), "{function}: {text}\n{trace}");
    }
}
