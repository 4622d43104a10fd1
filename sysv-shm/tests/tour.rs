//! The tour's ways to go wrong: no server, Ctrl-C, a stale segment, a second server, a client killed in the
//! middle.

mod support;

use std::env;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process};
use support::Leashed;
use support::namespace::{private, segments};
use sysv_shm::{Key, Segment};

const KEY: Key = Key::new(0x5348_4d31);

/// The built example, from cargo itself: a path that is guessed is sometimes yesterday's.
fn example() -> &'static PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let mut cargo = Command::new(env::var_os("CARGO").expect("run by cargo"));
        cargo.args(["build", "--package=sysv-shm", "--example=sysv_shm", "--message-format=json"]);
        let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "cargo build");
        let messages = String::from_utf8(output.stdout).unwrap();
        let messages = messages.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let mut built = messages.filter(|message| message["target"]["name"] == "sysv_shm");
        let path = built.find_map(|message| message["executable"].as_str().map(PathBuf::from));
        path.expect("an executable called sysv_shm")
    })
}

fn run(arguments: &[&str]) -> Output {
    Command::new(example()).args(arguments).output().unwrap()
}

/// A role that runs, and what it has said so far.
struct Role {
    child: Leashed,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    said: String,
}

impl Role {
    fn start(role: &str) -> Self {
        let mut child: Child =
            Command::new(example()).arg(role).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child: Leashed(child), lines, said: String::new() }
    }

    /// Reads on to the line with `words`.
    fn until(mut self, words: &str) -> Self {
        loop {
            let line =
                self.lines.next().unwrap_or_else(|| panic!("no \"{words}\" in:\n{}", self.said)).unwrap();
            self.said += &format!("{line}\n");
            if line.contains(words) {
                return self;
            }
        }
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit code and what it said to standard error.
    fn end(mut self) -> (Option<i32>, String) {
        let complaints = std::io::read_to_string(self.child.stderr.take().unwrap()).unwrap();
        (self.child.wait().unwrap().code(), complaints)
    }
}

#[track_caller]
fn complains(output: &Output, sentences: &[&str]) {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    for sentence in sentences {
        assert!(complaint.contains(sentence), "no \"{sentence}\" in:\n{complaint}");
    }
}

#[test]
fn the_tour_leaves_nothing_and_says_so() {
    private(|| {
        let output = run(&[]);
        let (said, complaints) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && complaints.is_empty(), "{said}{complaints}");
        for seen in [
            "sees the server's writes: 42, \"a text from the server\"",
            "sees the client's writes: 43, \"a text from the client\"",
            "only how many mappings: 2",
            "in /proc/sysvipc/shm         0",
            "processes that attach it     0",
        ] {
            assert!(said.contains(seen), "no {seen} in:\n{said}");
        }
        assert_eq!(said.matches("/SYSV53484d31 (deleted)").count(), 2, "a maps line for each side:\n{said}");
    });
}

#[test]
fn a_client_without_a_server_says_what_to_start() {
    private(|| {
        complains(
            &run(&["client"]),
            &[
                "there is no server (shmget(0x53484d31, 4096, 0400): ENOENT, ",
                "Start one first, in another terminal: cargo run --example sysv_shm -- server",
            ],
        );
        complains(&run(&["clinet"]), &["unknown arguments [\"clinet\"]", "`server` and `client`"]);
    });
}

#[test]
fn a_signal_to_a_server_removes_what_it_made() {
    private(|| {
        for signal in [Signal::INT, Signal::TERM] {
            let server = Role::start("server").until("waits for a client");
            assert_eq!(segments().len(), 1);
            server.send(signal);
            let (code, complaints) = server.end();
            assert_eq!(code, Some(130));
            assert!(complaints.starts_with("interrupted: removed the segment, id "), "{complaints}");
            assert!(Segment::open(KEY, 0).unwrap_err().is_not_found());
        }
    });
}

#[test]
fn a_stale_segment_is_named_and_taken_over() {
    private(|| {
        let victim = Role::start("server").until("waits for a client");
        let pid = victim.child.id();
        victim.send(Signal::KILL);
        victim.end();
        let id = Segment::open(KEY, 0).expect("kill -9 leaks the segment").id();

        // A client does not wait for a dead server.
        complains(
            &run(&["client"]),
            &[&format!("its server, pid {pid}, is gone"), "cargo run --example sysv_shm"],
        );

        let server = Role::start("server").until("waits for a client");
        let named = format!(
            "found a stale segment under the key 0x53484d31, of 4096 bytes, id {id}; pid {pid}, which made \
             it, is gone"
        );
        assert!(server.said.contains(&named), "no \"{named}\" in:\n{}", server.said);
        assert!(server.said.contains("takes the key over"));
        let taken = Segment::open(KEY, 0).unwrap();
        assert_ne!(taken.id(), id);
        assert_eq!((segments().len(), taken.stat().unwrap().creator_pid), (1, server.child.id()));

        // It serves a client as if nothing had been.
        let client = run(&["client"]);
        assert!(client.status.success(), "{}", String::from_utf8_lossy(&client.stderr));
        assert_eq!(server.until("removed the segment").end(), (Some(0), String::new()));
    });
}

#[test]
fn a_segment_in_use_is_left_alone() {
    private(|| {
        // Its maker lives.
        let ours = Segment::create_new(KEY, 100).unwrap().remove_on_drop();
        let (id, pid) = (ours.id(), std::process::id());
        let found = format!("a segment of 100 bytes, id {id}; pid {pid}, which made it, still runs");
        complains(&run(&["server"]), &[&found, "it is attached 0 times", &format!("ipcrm -m {id}")]);
        complains(&run(&["client"]), &["has 100 bytes, 4096 were asked for"]);
        drop(ours);

        // Its maker is gone, and somebody else has it attached.
        let victim = Role::start("server").until("waits for a client");
        let left = Segment::open(KEY, 0).unwrap().remove_on_drop();
        let _attachment = left.attach::<()>().unwrap();
        victim.send(Signal::KILL);
        victim.end();
        complains(&run(&["server"]), &["which made it, is gone; it is attached 1 times"]);
    });
}

#[test]
fn a_server_whose_client_was_killed_ends_with_ctrl_c() {
    private(|| {
        let server = Role::start("server").until("waits for a client");
        // We are the client, join (step 2), and are never heard of again.
        let joined = Segment::open(KEY, 0).unwrap().attach::<std::sync::atomic::AtomicU32>().unwrap();
        joined.store(2, std::sync::atomic::Ordering::Release);
        drop(joined);
        complains(&run(&["client"]), &["the server is talking to another client"]);
        server.send(Signal::INT);
        assert_eq!(server.end().0, Some(130));
    });
}
