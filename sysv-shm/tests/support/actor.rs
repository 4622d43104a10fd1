//! Another process, which does what it is told: operations on a set of semaphores, an exec, an exit.
//!
//! It is the test program itself, which needs a test called `actor` that calls [`act`].

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::num::NonZeroI16;
use std::os::unix::process::CommandExt;
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sysv_shm::{Operation, SemaphoreSet, SemaphoreSetId};

use super::Leashed;

/// Tells the program, started by itself, which set to work on.
const SET: &str = "SYSV_SHM_TEST_SET";
/// What a reply begins with: the harness prints other things.
const REPLY: &str = "reply: ";

/// A process that waits for commands; killed when dropped.
#[derive(Debug)]
pub(crate) struct Actor {
    child: Leashed,
    commands: ChildStdin,
    replies: BufReader<ChildStdout>,
}

impl Actor {
    /// Starts one that works on `set`.
    pub(crate) fn start(set: &SemaphoreSet) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["actor", "--exact", "--nocapture"]);
        command.env(SET, set.id().to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = Leashed(command.spawn().unwrap());
        let commands = child.stdin.take().unwrap();
        let replies = BufReader::new(child.stdout.take().unwrap());
        let mut actor = Self { child, commands, replies };
        assert_eq!(actor.reply(), "ready");
        actor
    }

    /// Gives a command: `INDEX CHANGE`, `INDEX CHANGE undo`, `lock`, `spawn`, `exec` or `exit`.
    pub(crate) fn tell(&mut self, command: &str) {
        writeln!(self.commands, "{command}").unwrap();
    }

    /// What the process says to its oldest command.
    pub(crate) fn reply(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.replies.read_line(&mut line).unwrap(), 0, "the other process ended");
            if let Some((_, reply)) = line.trim_end().split_once(REPLY) {
                return reply.to_owned();
            }
        }
    }

    /// Gives a command and waits until it is done.
    #[track_caller]
    pub(crate) fn does(&mut self, command: &str) {
        self.tell(command);
        assert_eq!(self.reply(), "done", "{command}");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it in the regular way. What the kernel does at an exit has been done when this returns.
    pub(crate) fn exit(mut self) {
        self.tell("exit");
        assert!(self.child.wait().unwrap().success());
    }

    /// `kill -9`. What the kernel does at an exit has been done when this returns.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The other process. Nothing, when this is the test itself.
pub(crate) fn act() {
    let Ok(id) = env::var(SET) else { return };
    let set = SemaphoreSet::from_id(SemaphoreSetId::new(id.parse().unwrap())).unwrap();
    reply("ready");
    for line in io::stdin().lines() {
        let line = line.unwrap();
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["exit"] => process::exit(0),
            ["exec"] => {
                let error = Command::new(env::current_exe().unwrap()).args(env::args().skip(1)).exec();
                panic!("exec: {error}");
            }
            ["lock"] => {
                set.lock(0).unwrap().unlock().unwrap();
                reply("done");
            }
            ["spawn"] => {
                let mut child = Command::new(env::current_exe().unwrap());
                child.args(["actor", "--exact"]).env_remove(SET).stdout(Stdio::null());
                assert!(child.status().unwrap().success());
                reply("done");
            }
            [index, change, ref undo @ ..] => {
                let (index, change) = (index.parse().unwrap(), change.parse::<NonZeroI16>().unwrap());
                let operation = Operation::change(index, change);
                let operation = if undo.is_empty() { operation } else { operation.undo() };
                match set.operate(&[operation]) {
                    Ok(()) => reply("done"),
                    Err(error) => reply(&error.to_string()),
                }
            }
            _ => panic!("unknown command {line:?}"),
        }
    }
}

fn reply(text: &str) {
    println!("{REPLY}{text}");
}

/// Gives up the processor until something has happened that others do.
#[track_caller]
pub(crate) fn until(mut happened: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !happened() {
        assert!(begin.elapsed() < Duration::from_secs(60), "it never happens");
        thread::yield_now();
    }
}
