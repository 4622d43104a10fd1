//! `kill -9` at every point of create, attach, use and remove, and what is left then.
//!
//! A child runs one way of using a segment. At the point in question it says so and stops itself; it is looked
//! at and killed there, and looked for again. What was seen is a table of the book: `BLESS=1` rewrites it.

mod support;

use std::env;
use std::fmt::Write;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use nix::sys::signal::{Signal, raise};
use rustix::process::{Pid, WaitOptions, waitpid};
use support::Leashed;
use support::namespace::{private, segments};
use sysv_shm::{Key, Result, Segment, SegmentId, shareable};

/// Set in a child: the number of a way, and the point at which to stop.
const WAY: &str = "SYSV_SHM_CRASH_WAY";
const POINT: &str = "SYSV_SHM_CRASH_POINT";

const KEY: Key = Key::new(0x0c4a_5117);

// ANCHOR: ledger
/// An update is whole when both numbers are equal.
#[repr(C)]
struct Ledger {
    begun: AtomicU32,
    done: AtomicU32,
}
shareable!(Ledger { begun: AtomicU32, done: AtomicU32 });
// ANCHOR_END: ledger

/// Called at every point, with its name.
type At<'a> = &'a dyn Fn(&str);

/// A way of using a segment.
struct Way {
    /// Its anchor in the table and in this file.
    name: &'static str,
    /// What the table says above it.
    title: &'static str,
    /// Whether the segment is there before.
    to_visit: bool,
    run: fn(At<'_>) -> Result<()>,
}

const WAYS: [Way; 4] = [
    Way {
        name: "in_turn",
        title: "Create, attach, use, detach, remove: until the last line, every crash leaves the segment.",
        to_visit: false,
        run: in_turn,
    },
    Way {
        name: "removed_at_once",
        title: "Create, attach, remove at once, use: only a crash before the removal leaves anything.",
        to_visit: false,
        run: removed_at_once,
    },
    Way {
        name: "owned",
        title: "An owner that removes on drop: a killed process drops nothing.",
        to_visit: false,
        run: owned,
    },
    Way {
        name: "visited",
        title: "A client that opens what a server made: its attachment goes, and half an update stays.",
        to_visit: true,
        run: visited,
    },
];

// ANCHOR: in_turn
fn in_turn(at: At<'_>) -> Result<()> {
    let segment = Segment::create_new(KEY, 4096)?;
    at("`create_new`");
    let ledger = segment.attach::<Ledger>()?;
    at("`attach`");
    update(&ledger, at);
    drop(ledger);
    at("`detach`");
    segment.remove()?;
    at("`remove`");
    Ok(())
}
// ANCHOR_END: in_turn

// ANCHOR: removed_at_once
fn removed_at_once(at: At<'_>) -> Result<()> {
    let segment = Segment::create_new(KEY, 4096)?;
    at("`create_new`");
    let ledger = segment.attach::<Ledger>()?;
    at("`attach`");
    segment.remove()?;
    at("`remove`");
    update(&ledger, at);
    drop(ledger);
    at("`detach`");
    Ok(())
}
// ANCHOR_END: removed_at_once

// ANCHOR: owned
fn owned(at: At<'_>) -> Result<()> {
    let owner = Segment::create_new(KEY, 4096)?.remove_on_drop();
    at("`create_new`");
    let ledger = owner.attach::<Ledger>()?;
    at("`attach`");
    update(&ledger, at);
    drop(ledger);
    at("`detach`");
    drop(owner);
    at("drop of the owner");
    Ok(())
}
// ANCHOR_END: owned

// ANCHOR: visited
fn visited(at: At<'_>) -> Result<()> {
    let segment = Segment::open(KEY, 4096)?;
    at("`open`");
    let ledger = segment.attach::<Ledger>()?;
    at("`attach`");
    update(&ledger, at);
    drop(ledger);
    at("`detach`");
    Ok(())
}
// ANCHOR_END: visited

// ANCHOR: update
fn update(ledger: &Ledger, at: At<'_>) {
    ledger.begun.fetch_add(1, Relaxed);
    at("half an update");
    ledger.done.fetch_add(1, Relaxed);
    at("a whole update");
}
// ANCHOR_END: update

#[test]
fn a_kill_at_every_point_leaves_what_the_table_says() {
    be_a_child_if_asked();
    let test = "a_kill_at_every_point_leaves_what_the_table_says";
    private(|| {
        let mut text = String::new();
        for (number, way) in WAYS.iter().enumerate() {
            writeln!(text, "<!-- ANCHOR: {} -->", way.name).unwrap();
            writeln!(text, "{}\n", way.title).unwrap();
            text +=
                "| killed after | the segment before the kill | after it | in it | the next `create_new` |\n";
            text += "| --- | --- | --- | --- | --- |\n";
            for point in points(test, number, way) {
                text += &row(test, number, way, &point);
            }
            writeln!(text, "<!-- ANCHOR_END: {} -->\n", way.name).unwrap();
        }
        compare("../book/src/tables/sysv-crash.md", &format!("{}\n", text.trim_end()));
    });
}

#[test]
fn what_a_killed_creator_had_removed_lives_on_with_whoever_attached_it() {
    be_a_child_if_asked();
    private(|| {
        let test = "what_a_killed_creator_had_removed_lives_on_with_whoever_attached_it";
        let creator = stopped(test, 1, "half an update");
        let id = segments()[0].split_whitespace().nth(1).unwrap().parse().unwrap();
        let peer = Segment::from_id(SegmentId::new(id)).unwrap();
        let ledger = peer.attach::<Ledger>().unwrap();
        drop(creator); // kills it
        let stat = peer.stat().unwrap();
        assert_eq!((stat.removed, stat.key, stat.attached), (true, Key::PRIVATE, 1));
        assert_eq!((ledger.begun.load(Relaxed), ledger.done.load(Relaxed)), (1, 0));
        drop(ledger);
        assert!(peer.stat().unwrap_err().is_removed());
    });
}

/// The names of the points that a way passes when nobody stops it; it leaves nothing but what it found.
fn points(test: &str, number: usize, way: &Way) -> Vec<String> {
    let there = way.to_visit.then(|| Segment::create_new(KEY, 4096).unwrap().remove_on_drop());
    let child = child(test, number, "").output().unwrap();
    let said = String::from_utf8(child.stderr).unwrap();
    assert!(child.status.success(), "{said}");
    assert_eq!(segments().len(), usize::from(there.is_some()), "{} leaves a segment", way.title);
    said.lines().map(str::to_owned).collect()
}

/// Kills a child at `point`, and says what was seen before and after.
fn row(test: &str, number: usize, way: &Way, point: &str) -> String {
    if way.to_visit {
        Segment::create_new(KEY, 4096).unwrap();
    }
    let child = stopped(test, number, point);
    let before = seen();
    drop(child); // kills and reaps it
    let (after, inside) = (seen(), ledger());
    let next = match Segment::create_new(KEY, 4096) {
        Ok(segment) => {
            segment.remove().unwrap();
            "makes one"
        }
        Err(error) if error.is_already_exists() => "EEXIST",
        Err(error) => panic!("{error}"),
    };
    if let Ok(left) = Segment::open(KEY, 0) {
        left.remove().unwrap();
    }
    assert_eq!(segments(), [""; 0], "killed after {point}: what is left has no key");
    format!("| {point} | {before} | {after} | {inside} | {next} |\n")
}

/// The one segment of the namespace, in words.
fn seen() -> String {
    let all = segments();
    let [line] = &all[..] else {
        assert!(all.is_empty(), "{all:?}");
        return "none".to_owned();
    };
    let columns: Vec<&str> = line.split_whitespace().collect();
    let (key, mode, attached) = (columns[0], columns[2], columns[6]);
    let key = if key == KEY.number().to_string() { "key" } else { "no key" };
    let mark = if mode == "1600" { ", removed" } else { "" };
    format!("{key}{mark}, {attached} attached")
}

/// What is in the segment that has the key, in words.
fn ledger() -> String {
    let Ok(segment) = Segment::open(KEY, 4096) else { return "-".to_owned() };
    let ledger = segment.attach_read_only::<Ledger>().unwrap();
    match (ledger.begun.load(Relaxed), ledger.done.load(Relaxed)) {
        (0, 0) => "zeros".to_owned(),
        (begun, done) if begun == done => "a whole update".to_owned(),
        (begun, done) => format!("half an update: begun {begun}, done {done}"),
    }
}

/// A child that will run a way as far as `point`.
fn child(test: &str, way: usize, point: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(WAY, way.to_string()).env(POINT, point);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// A child that has stopped itself at `point`.
fn stopped(test: &str, way: usize, point: &str) -> Leashed {
    let mut child = Leashed(child(test, way, point).spawn().unwrap());
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let (_, status) = waitpid(Some(Pid::from_child(&child)), WaitOptions::UNTRACED).unwrap().unwrap();
    if !status.stopped() {
        let mut complaint = String::new();
        said.read_to_string(&mut complaint).unwrap();
        panic!("it never came to \"{point}\": {complaint}");
    }
    let here = said.lines().map(|line| line.unwrap()).find(|line| line == point);
    assert_eq!(here.as_deref(), Some(point), "it says where it is");
    child
}

/// Becomes a child if this process was started as one.
fn be_a_child_if_asked() {
    let Ok(way) = env::var(WAY) else { return };
    let wanted = env::var(POINT).unwrap();
    let at = |point: &str| {
        eprintln!("{point}");
        if point == wanted {
            // To this very thread, which so does nothing more; the process's others stop with it.
            raise(Signal::SIGSTOP).unwrap();
        }
    };
    (WAYS[way.parse::<usize>().unwrap()].run)(&at).unwrap();
    std::process::exit(0);
}

/// Compares with the committed file, or rewrites it.
fn compare(path: &str, now: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if env::var_os("BLESS").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, now).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let (now, committed): (Vec<_>, Vec<_>) = (now.lines().collect(), committed.lines().collect());
    let new = now.iter().filter(|line| !committed.contains(line)).map(|line| format!("\n+ {line}"));
    let old = committed.iter().filter(|line| !now.contains(line)).map(|line| format!("\n- {line}"));
    assert!(now == committed, "BLESS=1 records it:{}", old.chain(new).collect::<String>());
}
