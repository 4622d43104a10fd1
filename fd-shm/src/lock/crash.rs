//! `kill -9` at every point of a section, what the next owner is told, and that nobody waits for ever.
//!
//! A child runs one update under a lock. At the point in question it stops itself; it is killed there, and
//! then a newcomer asks for the lock once, without waiting. A second run has a sleeper that was waiting for
//! the child. What was seen is a table of the book: `BLESS=1` rewrites it.

use std::fmt::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use std::{env, fs, io, thread};

use nix::sys::signal::{self, raise};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::{Lock, LockWord};
use crate::{Mapping, Region};

/// Set in the child: the points at which it stops.
pub(crate) const STOPS: &str = "FD_SHM_CRASH_STOPS";

/// Far longer than any wait here takes: a bound for what would otherwise hang.
const LONG: Duration = Duration::from_secs(60);

/// The lock's word, and behind it the two bytes that an update writes: it is whole when they are equal.
type Ledger = Mapping<LockWord>;

/// In a child, stops at `point` if that is one of its points.
pub(crate) fn reach(point: &str) {
    if env::var(STOPS).is_ok_and(|stops| stops.split(';').any(|stop| stop == point)) {
        // This thread, so that it stops here: a signal to the process may be another thread's to take.
        raise(signal::SIGSTOP).expect("this thread can be stopped");
    }
}

/// Every point, in the order in which a process comes by them.
const POINTS: [&str; 9] = [
    "before it asks",
    "asleep, while another has it",
    "the kernel has granted it, the word is not marked",
    "inside, nothing written",
    "inside, half an update",
    "inside, a whole update",
    "the word is cleared, the kernel has it locked",
    "unlocked, a sleeper not yet woken",
    "after all of it",
];

/// Where in it the sleeper arrives, if the child has not come to its end there already.
const INSIDE: &str = "inside, nothing written";

/// What the child does.
fn update(region: &Region) {
    let ledger: Ledger = region.map().expect("a mapping");
    let mut lock = Lock::open(region, 0).expect("a lock");
    reach("before it asks");
    let inside = lock.lock(&ledger, LONG).expect("nobody keeps it for so long");
    reach("inside, nothing written");
    ledger.copy_in(0, &[1]).expect("it fits");
    reach("inside, half an update");
    ledger.copy_in(1, &[1]).expect("it fits");
    reach("inside, a whole update");
    drop(inside);
    reach("after all of it");
}

/// In a child, the region that it was started with.
pub(crate) fn inherited() -> Region {
    let region = io::stdin().as_fd().try_clone_to_owned().expect("the region, as standard input");
    Region::from_fd(region).expect("a region")
}

/// This test, which starts itself again.
const NAME: &str = "lock::crash::a_kill_at_every_point_tells_the_next_what_the_table_says";

#[test]
fn a_kill_at_every_point_tells_the_next_what_the_table_says() {
    if env::var_os(STOPS).is_some() {
        return update(&inherited());
    }
    let mut table = String::from(
        "| killed | what it leaves | the next one, who does not wait | one who slept meanwhile |\n\
         | --- | --- | --- | --- |\n",
    );
    for point in POINTS {
        let (left, newcomer) = newcomer_after(point);
        let sleeper = sleeper_during(point);
        writeln!(table, "| {point} | {left} | {newcomer} | {sleeper} |").expect("a string takes all");
    }
    compare("../book/src/tables/fd-lock-crash.md", &table);
}

/// Kills a child at `point`: what it leaves in the ledger, and what a newcomer gets.
fn newcomer_after(point: &str) -> (String, &'static str) {
    let region = Region::create("ledger", 4096).expect("a region");
    let ledger: Ledger = region.map().expect("a mapping");
    let mut ours = Lock::open(&region, 0).expect("a lock");
    let waits = point == "asleep, while another has it";
    let before = waits.then(|| ours.lock(&ledger, Duration::ZERO).expect("it is free"));
    Victim::start(&region, NAME, point).run_to_the_next_stop().kill();
    drop(before);

    let mut written = [0; 2];
    ledger.copy_out(0, &mut written).expect("inside");
    let left = match written {
        [0, 0] => "nothing",
        [1, 0] => "half an update",
        [1, 1] => "a whole update",
        other => panic!("no child leaves {other:?}"),
    };
    let told = told(&mut ours, &ledger, Duration::ZERO);
    assert_eq!(self::told(&mut ours, &ledger, Duration::ZERO), "gets in", "it is told once");
    (left.to_owned(), told)
}

/// Kills a child at `point` while a thread sleeps for the lock: what the thread gets.
fn sleeper_during(point: &str) -> &'static str {
    let place = |name| POINTS.iter().position(|point| *point == name);
    if place(point) < place(INSIDE) {
        return "-"; // nobody was inside, so nobody had to wait
    }
    let region = Region::create("ledger", 4096).expect("a region");
    let ledger: Ledger = region.map().expect("a mapping");
    let mut victim = Victim::start(&region, NAME, &format!("{INSIDE};{point}"));
    victim.run_to_the_next_stop();
    thread::scope(|scope| {
        let mut theirs = Lock::open(&region, 0).expect("a lock");
        let word = &*ledger;
        let sleeper = scope.spawn(move || told(&mut theirs, word, LONG));
        while word.state.load(SeqCst) != 3 {
            assert!(!sleeper.is_finished(), "let in beside another, or refused");
            thread::yield_now(); // until HELD and WAITERS: announced, and asleep or about to be
        }
        if point != INSIDE {
            victim.go_on();
            victim.run_to_the_next_stop();
        }
        victim.kill();
        sleeper.join().expect("a sleeper that is not refused")
    })
}

/// What the lock tells one who asks.
fn told(lock: &mut Lock, word: &LockWord, timeout: Duration) -> &'static str {
    match lock.lock(word, timeout) {
        Ok(inside) if inside.owner_died() => "gets in, is told of the death",
        Ok(_) => "gets in",
        Err(refused) => panic!("nobody is left who could have it: {refused}"),
    }
}

/// The child. Killed and reaped when dropped.
pub(crate) struct Victim(Child);

impl Victim {
    /// Starts this program again, for the test `name`, which goes by [`inherited`] and [`reach`].
    pub(crate) fn start(region: &Region, name: &str, stops: &str) -> Self {
        let descriptor: OwnedFd = region.as_fd().try_clone_to_owned().expect("dup");
        let program = env::current_exe().expect("this program has a path");
        let mut command = Command::new(program);
        command.args([name, "--exact", "--nocapture"]).env(STOPS, stops);
        Self(command.stdin(descriptor).stdout(Stdio::null()).spawn().expect("a second process"))
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    /// Waits until it has stopped itself.
    pub(crate) fn run_to_the_next_stop(&mut self) -> &mut Self {
        let status =
            waitpid(Some(self.pid()), WaitOptions::UNTRACED).expect("a child").expect("no WNOHANG").1;
        assert!(status.stopped(), "it ended before its point: {status:?}");
        self
    }

    pub(crate) fn go_on(&mut self) {
        kill_process(self.pid(), Signal::CONT).expect("a child that is there");
    }

    /// SIGKILL, and waits until nothing of it is left.
    pub(crate) fn kill(&mut self) {
        self.0.kill().expect("a child that is there");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Compares with the committed file, or rewrites it.
fn compare(path: &str, now: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if env::var_os("BLESS").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder of tables");
        fs::write(&path, now).expect("the table");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == now, "BLESS=1 records it:\n{now}\ncommitted:\n{committed}");
}
