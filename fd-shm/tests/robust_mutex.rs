//! pthread's robust mutex between processes: what the next owner is told when one is killed at each point.

#![allow(unsafe_code)]

use std::fmt::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

use fd_shm::lock::RobustMutex;
use fd_shm::{Region, shareable};
use nix::sys::signal::{self, raise};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

#[path = "support/alone.rs"]
mod alone;

/// Set in a child: the point at which it stops.
const STOP: &str = "ROBUST_STOP";

/// An update is whole when both numbers are equal.
#[repr(C)]
struct Ledger {
    begun: AtomicU32,
    done: AtomicU32,
}
shareable!(Ledger { begun: AtomicU32, done: AtomicU32 });

fn ledger() -> RobustMutex<Ledger> {
    // SAFETY: the descriptor goes to this program alone, here and in children of it.
    unsafe { RobustMutex::create("ledger") }.expect("a mutex")
}

/// Inside libc, where no child can stop itself: it is seen from outside that it sleeps.
const ASLEEP: &str = "asleep, while another has it";

fn reach(point: &str) {
    if env::var(STOP).is_ok_and(|stop| stop == point) {
        raise(signal::SIGSTOP).expect("this thread can be stopped");
    }
}

const POINTS: [&str; 7] = [
    "before it asks",
    ASLEEP,
    "inside, nothing written",
    "inside, half an update",
    "inside, a whole update",
    "told of another's death, before the repair",
    "after all of it",
];

/// What the child does.
fn update() {
    let descriptor = io::stdin().as_fd().try_clone_to_owned().expect("the region, as standard input");
    // SAFETY: made by `ledger` in the process that started this one.
    let ledger = unsafe { RobustMutex::<Ledger>::from_fd(descriptor) }.expect("a mutex");
    reach("before it asks");
    let mut inside = ledger.lock().expect("a mutex that is whole");
    if inside.owner_died() {
        reach("told of another's death, before the repair");
        inside.make_consistent().expect("held, after a death");
    }
    reach("inside, nothing written");
    inside.begun.fetch_add(1, Relaxed);
    reach("inside, half an update");
    inside.done.fetch_add(1, Relaxed);
    reach("inside, a whole update");
    drop(inside);
    reach("after all of it");
}

#[test]
fn a_kill_at_every_point_tells_the_next_what_the_table_says() {
    if env::var_os(STOP).is_some() {
        return update();
    }
    let mut table = String::from(
        "| killed | the next one | after a repair | unlocked without one |\n| --- | --- | --- | --- |\n",
    );
    for point in POINTS {
        let (next, repaired) = after_a_kill(point, true);
        let (same, not_repaired) = after_a_kill(point, false);
        assert_eq!(next, same);
        writeln!(table, "| {point} | {next} | {repaired} | {not_repaired} |").expect("a string takes all");
    }
    compare("../book/src/tables/fd-robust-crash.md", &table);
}

/// Kills a child at `point`, and asks twice: what the next one is told, and the one after.
fn after_a_kill(point: &str, repair: bool) -> (&'static str, &'static str) {
    let ledger = ledger();
    if point.starts_with("told") {
        killed_at(&ledger, "inside, half an update");
    }
    if point == ASLEEP {
        killed_asleep(&ledger);
    } else {
        killed_at(&ledger, point);
    }
    let mut inside = ledger.try_lock().expect("free, or left by the dead");
    if !inside.owner_died() {
        assert!(inside.make_consistent().expect_err("nothing to repair").is_invalid_input());
        drop(inside);
        drop(ledger.lock().expect("a mutex that is whole"));
        return ("gets in", "-");
    }
    if repair {
        inside.make_consistent().expect("held, after a death");
        assert!(!inside.owner_died());
    }
    drop(inside);
    let after = match (ledger.lock(), ledger.try_lock()) {
        (Ok(inside), Err(refused)) if !inside.owner_died() => {
            let held_by_this_thread = if cfg!(target_env = "musl") { libc::EBUSY } else { libc::EDEADLK };
            assert_eq!(refused.raw_os_error(), Some(held_by_this_thread));
            "gets in"
        }
        (Err(first), Err(second)) if first.is_not_recoverable() && second.is_not_recoverable() => {
            assert_eq!(first.raw_os_error(), Some(libc::ENOTRECOVERABLE));
            "ENOTRECOVERABLE, for everybody"
        }
        other => panic!("{other:?}"),
    };
    ("gets in, is told of the death", after)
}

/// Starts a child, waits until it has stopped at `point`, and kills it.
fn killed_at(ledger: &RobustMutex<Ledger>, point: &str) {
    stopped_at(ledger, point).end();
}

/// Kills a child that sleeps for the mutex, which this thread has.
fn killed_asleep(ledger: &RobustMutex<Ledger>) {
    let inside = ledger.lock().expect("a new mutex");
    let child = stopped_at(ledger, "before it asks");
    kill_process(Pid::from_child(&child.0), Signal::CONT).expect("a child that is there");
    // From its stop on, it sleeps nowhere but there.
    while !child.sleeps() {
        thread::yield_now();
    }
    child.end();
    drop(inside);
}

/// Starts a child, and waits until it has stopped at `point`.
fn stopped_at(ledger: &RobustMutex<Ledger>, point: &str) -> Killed {
    let descriptor: OwnedFd = ledger.as_fd().try_clone_to_owned().expect("dup");
    let mut command = Command::new(env::current_exe().expect("this program has a path"));
    command.args(["a_kill_at_every_point_tells_the_next_what_the_table_says", "--exact", "--nocapture"]);
    let child = command.env(STOP, point).stdin(descriptor).stdout(Stdio::null()).spawn();
    let child = Killed(child.expect("a second process"));
    let status = waitpid(Some(Pid::from_child(&child.0)), WaitOptions::UNTRACED);
    let status = status.expect("a child").expect("no WNOHANG").1;
    assert!(status.stopped(), "it ended before {point}: {status:?}");
    child
}

/// Killed and reaped when dropped.
struct Killed(Child);

impl Killed {
    /// Whether every thread of it sleeps.
    fn sleeps(&self) -> bool {
        let folder = fs::read_dir(format!("/proc/{}/task", self.0.id())).expect("a child that is there");
        folder.flatten().all(|task| {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
        })
    }

    fn end(mut self) {
        self.0.kill().expect("a child that is there");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_thread_that_ends_inside_counts_as_a_death_and_the_page_stays() {
    let ledger = ledger();
    thread::scope(|scope| {
        scope.spawn(|| std::mem::forget(ledger.lock().expect("a new mutex"))).join().expect("it ends");
    });
    let mut inside = ledger.lock().expect("left by the dead");
    assert!(inside.owner_died());
    inside.make_consistent().expect("held, after a death");
    assert!(ledger.lock().expect_err("held by this thread").raw_os_error() == Some(libc::EDEADLK));

    // A guard that is forgotten leaves the page in this thread's list: dropping the mutex must not unmap it,
    // or the next mutex that this thread locks would be linked to nowhere.
    std::mem::forget(inside);
    drop(ledger);
    let another = self::ledger();
    drop(another.lock().expect("another mutex"));
}

#[test]
fn a_wait_with_a_limit_ends_and_hears_of_a_death_like_any_other() {
    let ledger = ledger();
    let soon = Duration::from_millis(5);
    let inside = ledger.lock_for(Duration::ZERO).expect("a new mutex, asked once");
    let checked = ledger.lock_for(soon).expect_err("held by this thread");
    assert_eq!(checked.raw_os_error(), Some(libc::EDEADLK));
    let began = Instant::now();
    let (at_once, refused) = thread::scope(|scope| {
        let both = || (ledger.try_lock().expect_err("held"), ledger.lock_for(soon).expect_err("held"));
        scope.spawn(both).join().expect("it ends")
    });
    assert!(at_once.is_would_block() && at_once.raw_os_error() == Some(libc::EBUSY), "{at_once}");
    assert!(refused.is_timed_out() && began.elapsed() >= soon, "{refused}");
    let number = ledger.as_fd().as_raw_fd();
    let text = format!(
        "pthread_mutex_clocklock(descriptor {number}, 5ms): ETIMEDOUT, somebody else held it all the while"
    );
    assert_eq!(refused.to_string(), text);
    drop(inside);
    thread::scope(|scope| {
        let owner = || std::mem::forget(ledger.lock_for(Duration::MAX).expect("free, and no limit"));
        scope.spawn(owner).join().expect("it ends");
    });
    let mut inside = ledger.lock_for(Duration::from_secs(60)).expect("left by the dead");
    assert!(inside.owner_died());
    inside.make_consistent().expect("held, after a death");
}

#[test]
fn a_region_without_such_a_mutex_is_refused_and_nothing_is_left() {
    alone::alone("a_region_without_such_a_mutex_is_refused_and_nothing_is_left", || {
        let refused = |descriptor: OwnedFd| {
            // SAFETY: none of them holds a mutex, and so nobody uses one in it.
            let refused = unsafe { RobustMutex::<Ledger>::from_fd(descriptor) }.expect_err("no mutex");
            assert!(refused.is_not_a_region(), "{refused}");
        };
        refused(Region::create("zeros", 4096).expect("a region").into());
        refused(Region::create("small", 16).expect("a region").into());
        refused(io::pipe().expect("a pipe").0.into());
        // SAFETY: the descriptor is given to nobody.
        let other = unsafe { RobustMutex::<AtomicU32>::create("other") }.expect("a mutex");
        refused(other.as_fd().try_clone_to_owned().expect("dup"));
    });
}

#[test]
fn no_update_of_many_threads_is_lost() {
    let ledger = ledger();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    let inside = ledger.lock().expect("a mutex that is whole");
                    inside.done.store(inside.done.load(Relaxed) + 1, Relaxed);
                }
            });
        }
    });
    assert_eq!(ledger.lock().expect("a mutex that is whole").done.load(Relaxed), 8000);
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
