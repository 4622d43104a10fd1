//! SEM_UNDO: what the kernel takes back when a process ends, and what it does not.

mod support;

use std::num::NonZeroI16;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use support::actor::{self, Actor, until};
use support::namespace::private;
use sysv_shm::{Key, Operation, OwnedSemaphoreSet, SemaphoreSet};

fn set(values: &[u16]) -> OwnedSemaphoreSet {
    let count = values.len().try_into().unwrap();
    let set = SemaphoreSet::create_new(Key::PRIVATE, count).unwrap().remove_on_drop();
    set.set_all(values).unwrap();
    set
}

#[test]
fn actor() {
    actor::act();
}

#[test]
fn the_sum_of_what_is_marked_is_taken_back_at_any_end() {
    private(|| {
        // The value before, what another process does, and the value after its end.
        let rules: [(u16, &[&str], u16); 7] = [
            (1, &["0 -1 undo"], 1),
            (1, &["0 -1"], 0), // not marked: gone with it
            (1, &["0 -1 undo", "0 1 undo"], 1),
            (1, &["0 -1 undo", "0 1"], 2), // taken marked, added unmarked: added twice
            (1, &["0 -1", "0 1 undo"], 0),
            (5, &["0 -2 undo", "0 -3 undo"], 5),
            (0, &["0 7 undo"], 0),
        ];
        for (before, commands, after) in rules {
            for end in [Actor::exit, Actor::kill] {
                let set = set(&[before]);
                let mut other = Actor::start(&set);
                commands.iter().for_each(|command| other.does(command));
                let pid = other.pid();
                end(other);
                assert_eq!(set.get(0).unwrap(), after, "{before}: {commands:?}");
                assert_eq!(set.last_pid(0).unwrap(), Some(pid));
            }
        }
    });
}

#[test]
fn what_is_taken_back_wakes_who_waits() {
    private(|| {
        let set = set(&[1]);
        let mut other = Actor::start(&set);
        other.does("0 -1 undo");
        thread::scope(|scope| {
            let waiter = scope.spawn(|| set.lock(0).map(|lock| lock.unlock()));
            until(|| set.waiting_for_more(0).unwrap() == 1);
            other.kill();
            waiter.join().unwrap().unwrap().unwrap();
        });
    });
}

#[test]
fn a_value_stays_in_its_range_when_something_is_taken_back() {
    private(|| {
        // It would become -5, and is 0: what others did meanwhile wins.
        let set = set(&[0, 32767]);
        let mut other = Actor::start(&set);
        other.does("0 5 undo");
        other.does("1 -1 undo");
        set.operate(&[Operation::change(0, NonZeroI16::new(-5).unwrap()), Operation::add(1)]).unwrap();
        other.kill();
        assert_eq!(set.get_all().unwrap(), [0, 32767]);
    });
}

#[test]
fn setting_a_value_clears_what_all_would_take_back() {
    private(|| {
        let set = set(&[2, 2]);
        for (by_setting, after) in [("one", [9, 2]), ("all", [9, 9])] {
            set.set_all(&[2, 2]).unwrap();
            let mut others = [Actor::start(&set), Actor::start(&set)];
            for other in &mut others {
                other.does("0 -1 undo");
                other.does("1 -1 undo");
            }
            assert_eq!(set.get_all().unwrap(), [0, 0]);
            match by_setting {
                "one" => set.set(0, 9).unwrap(),
                _ => set.set_all(&[9, 9]).unwrap(),
            }
            others.into_iter().for_each(Actor::kill);
            assert_eq!(set.get_all().unwrap(), after, "setting {by_setting}");
        }
    });
}

#[test]
fn fork_does_not_inherit_it_and_exec_keeps_it() {
    private(|| {
        let set = set(&[1]);
        let mut other = Actor::start(&set);
        other.does("0 -1 undo");
        other.does("spawn"); // a child of the owner, which has ended by now
        assert_eq!(set.get(0).unwrap(), 0, "not the child's to take back");
        other.tell("exec");
        assert_eq!(other.reply(), "ready");
        assert_eq!(set.get(0).unwrap(), 0, "another program, the same process");
        other.kill();
        assert_eq!(set.get(0).unwrap(), 1);
    });
}

#[test]
fn removal_forgets_it_and_the_next_set_is_untouched() {
    private(|| {
        let first = set(&[1]);
        let mut other = Actor::start(&first);
        other.does("0 -1 undo");
        first.remove().unwrap();
        let next = set(&[0]);
        other.exit();
        assert_eq!(next.get(0).unwrap(), 0);
    });
}

#[test]
fn threads_share_it_unless_they_say_otherwise() {
    private(|| {
        let set = set(&[2]);
        let take = || {
            set.operate(&[Operation::take(0).undo()]).unwrap();
            rustix::thread::gettid()
        };
        // A thread that ends takes nothing back: the others of its process may hold what it took.
        let ended = thread::scope(|scope| scope.spawn(take).join().unwrap());
        until(|| !Path::new(&format!("/proc/self/task/{ended}")).exists());
        assert_eq!(set.get(0).unwrap(), 1);

        // One that leaves the common list (CLONE_SYSVSEM) counts as a process of its own.
        let apart = thread::scope(|scope| {
            let alone = scope.spawn(|| {
                unshare(CloneFlags::CLONE_SYSVSEM).unwrap();
                take()
            });
            alone.join().unwrap()
        });
        until(|| !Path::new(&format!("/proc/self/task/{apart}")).exists());
        assert_eq!(set.get(0).unwrap(), 1, "its one is back, the other is not");
    });
}

#[test]
fn a_lock_is_released_once_in_each_way() {
    private(|| {
        let set = set(&[1]);
        drop(set.lock(0).unwrap());
        assert_eq!(set.get(0).unwrap(), 1);
        set.try_lock(0).unwrap().unlock().unwrap();
        assert_eq!(set.get(0).unwrap(), 1);
        let panicked = std::panic::catch_unwind(|| {
            let _lock = set.lock_for(0, Duration::ZERO).unwrap();
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert!(panicked.is_err());
        assert_eq!(set.get(0).unwrap(), 1);

        // And not once more when the process ends: what was taken and put back adds up to nothing.
        let mut other = Actor::start(&set);
        other.does("lock");
        assert_eq!(set.get(0).unwrap(), 1);
        other.exit();
        assert_eq!(set.get(0).unwrap(), 1);

        let lock = set.lock(0).unwrap();
        set.remove().unwrap();
        assert!(lock.unlock().unwrap_err().is_removed(), "unlocking says what dropping keeps to itself");
    });
}
