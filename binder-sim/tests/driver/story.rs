//! The story: what its trace says, row by row, and what a picture can be drawn from.

use binder_sim::driver::Translation;
use binder_sim::story::one_descriptor;
use binder_sim::trace::{Lane, Trace};

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
                Lane::Sender | Lane::Receiver if is_table => assert_eq!(row.lane, Lane::Receiver),
                Lane::Sender => assert_eq!(row.in_call_of, "sender"),
                Lane::Receiver => assert_eq!(row.in_call_of, "receiver"),
            }
            assert_eq!(row.sender_table, trace.sender_before, "the sender's table never changes");
        }
        let installed =
            trace.rows.iter().position(|row| row.function.ends_with("fd_install")).expect("installed");
        let has = |n: usize| trace.rows[n].receiver_table.iter().any(|row| row.file == "shared memory");
        assert!(!has(installed - 1) && has(installed), "seen from the install on, not before");
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

#[cfg(feature = "json")]
#[test]
fn a_trace_as_json_says_the_same() {
    for translation in Translation::ALL {
        let trace = trace(translation);
        let json: serde_json::Value = serde_json::from_str(&trace.to_json()).expect("JSON");
        assert_eq!(json["translation"], trace.translation);
        assert_eq!(json["rows"].as_array().map(Vec::len), Some(trace.rows.len()));
        assert_eq!(json["rows"][0]["lane"], "sender");
        assert_eq!(json["translations"][0]["receiver_fd"], trace.translations[0].receiver_fd);
        assert_eq!(json["receiver_before"][4]["file"], "config");
    }
}
