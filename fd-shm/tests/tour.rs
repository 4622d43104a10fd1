//! The tour's roles by hand: what they say when the other one is missing, and what a killed server leaves.

use std::io::{BufRead, BufReader, Read};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process};

/// The built example. `cargo test --test tour` does not build examples, so it is asked for, and its path with
/// it.
fn example() -> &'static PathBuf {
    static EXAMPLE: OnceLock<PathBuf> = OnceLock::new();
    EXAMPLE.get_or_init(|| {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--package", "fd-shm", "--example", "fd_shm", "--message-format=json"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo runs");
        assert!(built.status.success(), "cargo build ended with {}", built.status);
        let messages = String::from_utf8(built.stdout).expect("JSON");
        let values = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut paths = values.filter_map(|value| Some(PathBuf::from(value.get("executable")?.as_str()?)));
        paths.next().expect("cargo names the executable")
    })
}

/// A socket name that only this test uses.
fn place(meeting: &str) -> String {
    format!("fd-shm-test-{}-{meeting}", std::process::id())
}

/// A role of the tour at a meeting place of this test's own.
fn role(role: &str, meeting: &str) -> Command {
    let mut command = Command::new(example());
    command.arg(role).env("FD_SHM_SOCKET", place(meeting)).stdin(Stdio::null());
    command
}

/// A server that is listening.
struct Server {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Server {
    fn start(meeting: &str) -> Self {
        let mut process =
            role("server", meeting).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a server");
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut line = String::new();
        while !line.contains("is listening") {
            line.clear();
            assert!(output.read_line(&mut line).expect("text") > 0, "the server ended before it listened");
        }
        Self { process, output }
    }

    /// The rest of what it prints, its complaints included, and whether it succeeded.
    fn finish(mut self) -> (String, bool) {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("text");
        self.process.stderr.take().expect("a pipe").read_to_string(&mut rest).expect("text");
        (rest, self.process.wait().expect("it ends").success())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail harmlessly when it has ended and was waited for.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn failed_with(output: &Output, words: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(words), "{text}");
}

#[test]
fn a_server_and_a_client_started_by_hand_meet() {
    let server = Server::start("meet");
    let client = role("client", "meet").output().expect("a client");
    let text = String::from_utf8_lossy(&client.stdout).into_owned();
    assert!(client.status.success(), "{text}");
    assert!(text.contains("sees the server's writes: 42"), "{text}");
    let (text, succeeded) = server.finish();
    assert!(succeeded && text.contains("sees the client's writes: 43"), "{text}");
    assert!(text.contains("one open file: yes, under two numbers"), "{text}");
}

#[test]
fn the_tour_plays_both_and_leaves_nothing() {
    let mut tour = Command::new(example());
    let tour = tour.env("FD_SHM_SOCKET", place("tour")).stdin(Stdio::null()).output().expect("the tour");
    let text = String::from_utf8_lossy(&tour.stdout);
    assert!(tour.status.success(), "{text}");
    for words in ["one open file: yes", "processes that map it      0", "descriptors open on it     0"] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
}

#[test]
fn a_client_without_a_server_says_what_to_start() {
    let words = "start one first: cargo run --example fd_shm -- server";
    failed_with(&role("client", "nobody").output().expect("a client"), words);
}

#[test]
fn a_second_server_says_that_there_is_one() {
    let first = Server::start("second");
    failed_with(
        &role("server", "second").output().expect("a second server"),
        "another server is running already",
    );
    let client = role("client", "second").output().expect("a client");
    assert!(client.status.success() && first.finish().1, "the first server was not disturbed");
}

#[test]
fn an_unknown_role_is_told_the_known_ones() {
    failed_with(
        &role("broker", "unknown").output().expect("started"),
        "say server, client, or nothing for both",
    );
}

#[test]
fn a_server_ended_by_ctrl_c_leaves_nothing() {
    for signal in [Signal::INT, Signal::KILL] {
        let mut server = Server::start("killed");
        let inode = inode_of_region(&server.process);
        let pid = Pid::from_child(&server.process);
        assert!(holders_of(&inode).contains(&server.process.id().to_string()));
        kill_process(pid, signal).expect("the server gets the signal");
        assert!(!server.process.wait().expect("it ends").success());
        assert_eq!(holders_of(&inode), Vec::<String>::new(), "after {signal:?}");
        // The name is free as well: the next round starts another server under it.
    }
    failed_with(&role("client", "killed").output().expect("a client"), "no server is running");
}

#[test]
fn a_server_whose_client_dies_in_the_middle_ends() {
    let server = Server::start("dies");
    // A client that takes the descriptor, never answers, and goes.
    let address = SocketAddr::from_abstract_name(place("dies")).expect("a name");
    let socket = UnixStream::connect_addr(&address).expect("connected");
    let message = fd_shm::scm_rights::receive(&socket, &mut [0; 16], 1).expect("a message");
    drop((message, socket));
    let (text, succeeded) = server.finish();
    assert!(!succeeded && text.contains("the other process ended in the middle"), "{text}");
}

/// The inode of the region that a server has mapped.
fn inode_of_region(server: &Child) -> String {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", server.id())).expect("maps");
    let line = maps.lines().find(|line| line.contains("/memfd:frames")).expect("the region is mapped");
    line.split_whitespace().nth(4).expect("a maps line has an inode").to_owned()
}

/// The processes that map the memory file with this inode.
fn holders_of(inode: &str) -> Vec<String> {
    let maps_it = |process: &std::fs::DirEntry| {
        let maps = std::fs::read_to_string(process.path().join("maps")).unwrap_or_default();
        maps.lines().any(|line| line.contains("/memfd:") && line.split_whitespace().nth(4) == Some(inode))
    };
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten().filter(maps_it);
    let mut found: Vec<String> = processes.map(|process| process.file_name().display().to_string()).collect();
    found.retain(|name| name.bytes().all(|b| b.is_ascii_digit())); // not /proc/self
    found
}
