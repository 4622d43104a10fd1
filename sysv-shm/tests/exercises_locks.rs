//! The exercise of the book's chapter on locks: the test tells whether it is solved.
//!
//! `cargo test -p sysv-shm --test exercises_locks` judges what is in `exercises/readers_writer.rs`; with
//! `--features solutions`, the solution.

mod support;

#[path = "support/exercise.rs"]
mod exercise;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/readers_writer.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/readers_writer.rs")]
mod readers_writer;

use std::path::Path;
use std::thread;

use exercise::{Verdict, check, judge};
use nix::sched::{CloneFlags, unshare};
use readers_writer::{READERS, WRITER, begin_reading, begin_writing, end_reading, end_writing};
use support::actor::until;
use support::namespace::private;
use sysv_shm::{Key, Operation, SemaphoreSet};

#[test]
fn readers_writer() {
    private(|| judge("readers_writer", many_read_or_one_writes().and_then(|()| the_dead_do_neither())));
}

fn many_read_or_one_writes() -> Verdict {
    let set = SemaphoreSet::create(Key::PRIVATE, 2).unwrap().remove_on_drop();
    let can = |operations: Vec<Operation>| set.try_operate(&operations).is_ok();
    check(can(begin_reading()) && can(begin_reading()), "two cannot read at a time")?;
    check(!can(begin_writing()), "one writes while others read")?;
    check(can(end_reading()) && !can(begin_writing()), "one writes while another reads")?;
    check(can(end_reading()) && can(begin_writing()), "nobody can write when all have read")?;
    check(!can(begin_writing()), "two write at a time")?;
    check(!can(begin_reading()), "one reads while another writes")?;
    check(can(end_writing()), "a writer cannot end")?;
    check(can(begin_reading()) && can(end_reading()), "nobody can read when all is written")?;
    let left = (set.get(READERS).unwrap(), set.get(WRITER).unwrap());
    check(left == (0, 0), format!("when all is done, {} read and {} write", left.0, left.1))
}

/// A thread with an undo list of its own stands for a process that is killed.
fn the_dead_do_neither() -> Verdict {
    for (what, begin) in [("reads", begin_reading()), ("writes", begin_writing())] {
        let set = SemaphoreSet::create(Key::PRIVATE, 2).unwrap().remove_on_drop();
        let died = thread::scope(|scope| {
            let user = scope.spawn(|| {
                unshare(CloneFlags::CLONE_SYSVSEM).unwrap();
                set.try_operate(&begin).unwrap();
                rustix::thread::gettid()
            });
            user.join().unwrap()
        });
        until(|| !Path::new(&format!("/proc/self/task/{died}")).exists());
        check(set.get_all().unwrap() == [0, 0], format!("one that was killed {what} for ever"))?;
    }
    Ok(())
}
