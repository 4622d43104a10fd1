//! The exercises of the book's chapters on System V: each test tells whether one is solved.
//!
//! `cargo test -p sysv-shm --test exercises NAME` judges what is in `exercises/NAME.rs`; with `--features
//! solutions`, the solutions.

mod support;

#[path = "support/exercise.rs"]
mod exercise;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/left_over.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/left_over.rs")]
mod left_over;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/one_segment.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/one_segment.rs")]
mod one_segment;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/scratch.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/scratch.rs")]
mod scratch;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/who_made_it.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/who_made_it.rs")]
mod who_made_it;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/whose_digit.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/whose_digit.rs")]
mod whose_digit;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use exercise::{Verdict, check, judge};
use nix::sched::{CloneFlags, unshare};
use one_segment::{Shown, is_one_segment};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use support::namespace::{private, segments};
use sysv_shm::{Error, Key, Segment, SegmentId, SegmentOptions, SegmentStat};

const KEY: Key = Key::new(0x5348_4dee);

#[test]
fn who_made_it() {
    private(|| {
        let verdict =
            one_makes_it().and_then(|()| errors_are_passed_on()).and_then(|()| removals_are_borne());
        if let Ok(left) = Segment::open(KEY, 0) {
            left.remove().expect("our own segment");
        }
        judge("who_made_it", verdict);
    });
}

fn one_makes_it() -> Verdict {
    let create_or_find = || who_made_it::create_or_find(KEY, 4096).map_err(in_words);
    let (first, second) = (create_or_find()?, create_or_find()?);
    check(first.0.id() == second.0.id(), "two calls find two segments under one key")?;
    check(first.1, "the first call is not told that it made the segment")?;
    check(!second.1, "the second call is told that it made the segment")?;
    first.0.remove().map_err(in_words)
}

fn errors_are_passed_on() -> Verdict {
    let no_bytes = who_made_it::create_or_find(KEY, 0);
    check(no_bytes.is_err_and(|error| error.is_invalid_input()), "a segment of 0 bytes is not refused")?;
    let small = Segment::create_new(KEY, 16).map_err(in_words)?.remove_on_drop();
    let found = who_made_it::create_or_find(KEY, 17);
    check(found.is_err_and(|error| error.is_too_small()), "a segment that is too small is taken")?;
    small.remove().map_err(in_words)
}

/// Calls while another thread removes the segment over and over; each segment is made once.
fn removals_are_borne() -> Verdict {
    let done = AtomicBool::new(false);
    let remove = || Segment::open(KEY, 0).and_then(Segment::remove).is_ok();
    let (made, removed) = thread::scope(|scope| {
        let remover = scope.spawn(|| {
            let mut removed = 0;
            while !done.load(Ordering::Relaxed) {
                removed += u32::from(remove());
            }
            removed
        });
        let made = (0..5000).try_fold(0, |made, _| {
            let (_, by_us) = who_made_it::create_or_find(KEY, 64).map_err(in_words)?;
            Ok::<u32, String>(made + u32::from(by_us))
        });
        done.store(true, Ordering::Relaxed);
        (made, remover.join().expect("the remover does not panic"))
    });
    let (made, removed) = (made?, removed + u32::from(remove()));
    check(made == removed, format!("{removed} segments were removed, and {made} calls say they made one"))
}

#[test]
fn whose_digit() {
    private(|| judge("whose_digit", owners_as_the_kernel_has_it().and_then(|()| others_as_the_rules_say())));
}

/// Every mode, with the kernel as the judge; we are the owner, and without the capability to pass.
fn owners_as_the_kernel_has_it() -> Verdict {
    let mut ours = capabilities(None).expect("our capabilities");
    ours.effective.remove(CapabilitySet::IPC_OWNER);
    set_capabilities(None, ours).expect("less is always allowed");
    let mut stat = stat_of_ours()?;
    for mode in 0..=0o777 {
        stat.mode = mode;
        let segment =
            SegmentOptions::new().mode(mode).create_new(KEY, 64).map_err(in_words)?.remove_on_drop();
        for asks in [0, 2, 4, 6] {
            let kernel = SegmentOptions::new().mode(asks << 6).open(KEY, 0).is_ok();
            let yours = whose_digit::grants(&stat, stat.uid, &[], asks);
            let text = format!("mode 0{mode:03o}, the owner asks for {asks}: kernel {kernel}, yours {yours}");
            check(kernel == yours, text)?;
        }
        segment.remove().map_err(in_words)?;
    }
    Ok(())
}

/// Callers of every class, of a segment that has changed hands.
fn others_as_the_rules_say() -> Verdict {
    let mut stat = stat_of_ours()?;
    (stat.uid, stat.gid, stat.creator_uid, stat.creator_gid) = (10, 20, 11, 21);
    for (mode, who, uid, groups, asks, granted) in [
        (0o640, "the owner", 10, &[][..], 6, true),
        (0o640, "the creator", 11, &[], 6, true),
        (0o640, "one of the owner's group", 12, &[20], 4, true),
        (0o640, "one of the owner's group", 12, &[20], 6, false),
        (0o640, "one of the creator's group", 12, &[99, 21], 4, true),
        (0o640, "a stranger", 12, &[99], 4, false),
        (0o604, "a stranger", 12, &[99], 4, true),
        (0o606, "one of the owner's group", 12, &[20], 4, false),
        (0o066, "the owner", 10, &[20], 4, false),
        (0o066, "the creator", 11, &[21], 4, false),
        (0o060, "a stranger", 12, &[], 2, false),
        (0o000, "a stranger", 12, &[], 0, true),
    ] {
        stat.mode = mode;
        let yours = whose_digit::grants(&stat, uid, groups, asks);
        let text = format!("mode 0{mode:03o}, {who} asks for {asks}: granted {granted}, yours {yours}");
        check(yours == granted, text)?;
    }
    Ok(())
}

#[test]
fn scratch() {
    private(|| {
        let verdict = nothing_is_left_behind();
        for line in segments() {
            let id = line.split_whitespace().nth(1).and_then(|id| id.parse().ok()).expect("an id");
            Segment::from_id(SegmentId::new(id)).and_then(Segment::remove).expect("our own segment");
        }
        judge("scratch", verdict);
    });
}

fn nothing_is_left_behind() -> Verdict {
    let memory = scratch::scratch(4096).map_err(in_words)?;
    // The third column holds the mode, with 01000 when the last mapping is all that keeps the segment.
    let goes_by_itself = |line: &String| line.split_whitespace().nth(2) == Some("1600");
    check(memory.len() == 4096, "the memory has another size")?;
    check(segments().iter().all(goes_by_itself), "a kill -9 would leave a segment while it is attached")?;
    drop(memory);
    check(segments().is_empty(), "a segment is left when the memory is given up")?;
    for size in [0, 1, 255] {
        check(scratch::scratch(size).is_err(), format!("64 words in {size} bytes"))?;
        check(segments().is_empty(), format!("a segment is left when {size} bytes are too few"))?;
    }
    Ok(())
}

#[test]
fn left_over() {
    private(|| judge("left_over", only_orphans_are_left_over()));
}

fn only_orphans_are_left_over() -> Verdict {
    const RUNS: u32 = 10;
    const ENDED: u32 = 11;
    let mut stat = stat_of_ours()?;
    for (creator_pid, attached, expected, what) in [
        (ENDED, 0, true, "its creator has ended, and nobody has it attached"),
        (RUNS, 0, false, "its creator runs, and has not attached it yet"),
        (ENDED, 1, false, "its creator has ended, and a child of it uses it"),
        (RUNS, 2, false, "its creator runs, and uses it"),
        (0, 0, false, "its creator cannot be seen from here"),
    ] {
        (stat.creator_pid, stat.attached) = (creator_pid, attached);
        let yours = left_over::is_left_over(&stat, |pid| pid == RUNS);
        check(yours == expected, format!("{what}: left over {expected}, yours {yours}"))?;
    }
    Ok(())
}

/// What the kernel says of a new segment of ours, which is gone by now.
fn stat_of_ours() -> Result<SegmentStat, String> {
    Segment::create(Key::PRIVATE, 64).map_err(in_words)?.remove_on_drop().stat().map_err(in_words)
}

fn in_words(error: Error) -> String {
    error.to_string()
}

#[test]
fn one_segment() {
    private(|| {
        let verdict = thread::scope(|scope| scope.spawn(two_namespaces).join().expect("no panic"));
        judge("one_segment", verdict.and_then(|()| a_memory_file_with_the_same_number()));
    });
}

/// The first segment of a namespace, attached twice, and the first of another.
fn two_namespaces() -> Verdict {
    let make = || -> Result<_, Error> {
        let segment = Segment::create(KEY, 4096)?.remove_on_drop();
        Ok((segment.attach::<()>()?, segment.attach::<()>()?))
    };
    let here = || std::fs::read_link("/proc/thread-self/ns/ipc").expect("/proc").display().to_string();
    // A new one for each, so that both count from the beginning; the first ends with its last attachment.
    let mut made = Vec::new();
    for _ in 0..2 {
        unshare(CloneFlags::CLONE_NEWIPC).map_err(|error| error.to_string())?;
        made.push((make().map_err(|error| error.to_string())?, here()));
    }
    let [((one, again), first), ((other, _), second)] = &made[..] else { return Err("two were made".into()) };
    let shown = |line, namespace| Shown { line, namespace };
    let lines = [one, again, other].map(|attachment| line_at(std::ptr::from_ref(&**attachment).addr()));
    let [one, again, other] = &lines;
    let ask = |expected, a, b, what| {
        let yours = is_one_segment(a, b);
        check(yours == expected, format!("{what}: one segment {expected}, yours {yours}\n  {a:?}\n  {b:?}"))
    };
    ask(true, shown(one, first), shown(again, first), "one segment, attached twice")?;
    ask(false, shown(one, first), shown(other, second), "two segments, of two namespaces")
}

/// The line of a mapping that begins there.
fn line_at(start: usize) -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let start = format!("{start:x}-");
    maps.lines().find(|line| line.starts_with(&start)).expect("it is mapped").to_owned()
}

fn a_memory_file_with_the_same_number() -> Verdict {
    let namespace = "ipc:[4026531839]";
    let segment =
        Shown { line: "7f00-7f10 rw-s 00000000 00:01 98305      /SYSV0000abcd (deleted)", namespace };
    let reader =
        Shown { line: "7e50-7e60 r--s 00000000 00:01 98305      /SYSV0000abcd (deleted)", namespace };
    let memfd =
        Shown { line: "7d00-7d10 rw-s 00000000 00:01 98305      /memfd:SYSV0000abcd (deleted)", namespace };
    check(is_one_segment(segment, reader), "a writer's attachment and a reader's: yours false")?;
    check(!is_one_segment(segment, memfd), "a segment, and a memory file with its number: yours true")
}
