//! Creation is not initialisation: nobody uses a set before its creator has said that its values are meant.

mod support;

use std::num::NonZeroI16;
use std::thread;
use std::time::Duration;

use support::actor::until;
use support::namespace::{private, semaphore_sets};
use sysv_shm::{Key, Operation, SemaphoreSet};

const KEY: Key = Key::new(0x0001_2345);
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_set_can_be_found_before_it_is_initialised() {
    private(|| {
        let set = SemaphoreSet::create_new(KEY, 2).unwrap().remove_on_drop();
        let found = SemaphoreSet::open(KEY, 2).unwrap();
        assert_eq!((found.stat().unwrap().operated_at, found.get_all().unwrap()), (None, vec![0, 0]));
        set.set_all(&[1, 7]).unwrap();
        assert_eq!(found.stat().unwrap().operated_at, None, "values, and no word that they are meant");
        drop(set);
    });
}

#[test]
fn an_opener_waits_for_the_creator() {
    private(|| {
        for values in [[1, 7], [32767, 0], [0, 0], [0, 7]] {
            let set = SemaphoreSet::create_new(KEY, 2).unwrap().remove_on_drop();
            thread::scope(|scope| {
                let opener = scope.spawn(|| {
                    let found = SemaphoreSet::create_initialised(KEY, &[9, 9], PATIENCE).unwrap();
                    assert_eq!(found.get_all().unwrap(), values);
                    found
                });
                until(|| set.waiting_for_more(0).unwrap() == 1);
                assert_eq!(set.stat().unwrap().operated_at, None, "waiting is no operation");
                set.initialise(&values).unwrap();
                assert_eq!(opener.join().unwrap(), *set);
            });
            assert_eq!(set.get_all().unwrap(), values, "and takes nothing");
        }
    });
}

#[test]
fn what_wakes_an_opener_is_looked_at_again() {
    private(|| {
        // A value without the word that it is meant: as from a creator that sets them one by one.
        let set = SemaphoreSet::create_new(KEY, 1).unwrap().remove_on_drop();
        set.set(0, 3).unwrap();
        let error = set.wait_until_initialised(Duration::from_millis(30)).unwrap_err();
        assert!(error.is_uninitialised());
        assert_eq!((set.stat().unwrap().operated_at, set.get(0).unwrap()), (None, 3));

        // The same, set while the opener sleeps: it wakes, and must not leave the word itself.
        set.set(0, 0).unwrap();
        thread::scope(|scope| {
            let opener = scope.spawn(|| set.wait_until_initialised(Duration::from_millis(200)));
            until(|| set.waiting_for_more(0).unwrap() == 1);
            set.set(0, 3).unwrap();
            assert!(opener.join().unwrap().unwrap_err().is_uninitialised());
        });
        assert_eq!((set.stat().unwrap().operated_at, set.get(0).unwrap()), (None, 3));
    });
}

#[test]
fn one_of_many_initialises() {
    private(|| {
        const MANY: u16 = 8;
        for _ in 0..100 {
            let (first, count) = (MANY, NonZeroI16::new(1).unwrap());
            let all: Vec<SemaphoreSet> = thread::scope(|scope| {
                let start = || {
                    let set = SemaphoreSet::create_initialised(KEY, &[first, 0], PATIENCE).unwrap();
                    // Each takes one, which a second initialisation would give back.
                    set.operate(&[Operation::take(0), Operation::change(1, count)]).unwrap();
                    set
                };
                let threads: Vec<_> = (0..MANY).map(|_| scope.spawn(start)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let set = all[0].remove_on_drop();
            assert!(all.iter().all(|other| *other == *set));
            assert_eq!(set.get_all().unwrap(), [0, MANY]);
        }
    });
}

#[test]
fn a_creator_that_never_comes_back_is_reported() {
    private(|| {
        let set = SemaphoreSet::create_new(KEY, 1).unwrap().remove_on_drop();
        let patience = Duration::from_millis(25);
        let error = SemaphoreSet::create_initialised(KEY, &[1], patience).unwrap_err();
        let (id, uid) = (set.id(), rustix::process::geteuid().as_raw());
        assert_eq!(
            error.to_string(),
            format!(
                "semctl({id}, 0, IPC_STAT): refused, nobody has done an operation on the set (id {id}, made \
                 by uid {uid}) within 25ms: whoever makes a set says so that its values are meant; he may \
                 have been killed before"
            )
        );
        assert!(error.is_uninitialised());
        assert_eq!(semaphore_sets().len(), 1, "it is not ours to remove");
    });
}

#[test]
fn a_removal_ends_the_waiting() {
    private(|| {
        let set = SemaphoreSet::create_new(KEY, 1).unwrap().remove_on_drop();
        let handle = *set;
        thread::scope(|scope| {
            let opener = scope.spawn(|| handle.wait_until_initialised(PATIENCE));
            until(|| set.waiting_for_more(0).unwrap() == 1);
            set.remove().unwrap();
            assert!(opener.join().unwrap().unwrap_err().is_removed());
        });
    });
}

#[test]
fn values_that_no_semaphore_can_have_leave_no_set() {
    private(|| {
        for values in [&[32768, 0][..], &[0, 32768]] {
            let error = SemaphoreSet::create_initialised(KEY, values, PATIENCE).unwrap_err();
            assert!(error.is_invalid_input() && error.raw_os_error() == Some(libc::ERANGE), "{error}");
            assert_eq!(semaphore_sets(), [""; 0]);
        }
        assert!(SemaphoreSet::create_initialised(KEY, &[], PATIENCE).unwrap_err().is_invalid_input());
        assert!(SemaphoreSet::create_initialised(KEY, &[0; 65536], PATIENCE).unwrap_err().is_invalid_input());
    });
}
