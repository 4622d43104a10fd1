//! The kernel's rules for operations on semaphores, seen through this crate.

mod support;

use std::num::NonZeroI16;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use rustix::time::{ClockId, clock_gettime};
use support::actor::{self, Actor, until};
use support::namespace::{private, semaphore_sets};
use sysv_shm::{Key, Operation, Result, Segment, SemaphoreSet, SemaphoreSetOptions};

const KEY: Key = Key::new(0x0001_2345);
/// Long enough for anything that will happen.
const PATIENCE: Duration = Duration::from_secs(60);

fn change(index: u16, by: i16) -> Operation {
    NonZeroI16::new(by).map_or(Operation::wait_for_zero(index), |by| Operation::change(index, by))
}

/// A set with these values.
fn set(values: &[u16]) -> sysv_shm::OwnedSemaphoreSet {
    let count = values.len().try_into().unwrap();
    let set = SemaphoreSet::create_new(Key::PRIVATE, count).unwrap().remove_on_drop();
    set.set_all(values).unwrap();
    set
}

#[test]
fn actor() {
    actor::act();
}

#[repr(C)]
struct Account {
    left: AtomicU32,
    right: AtomicU32,
}
sysv_shm::shareable!(Account { left: AtomicU32, right: AtomicU32 });

#[test]
fn a_lock_survives_its_owner_and_the_data_tells_the_rest() {
    private(|| {
        // Two words that belong together, under a lock; another process takes the lock.
        let segment = Segment::create(Key::PRIVATE, 4096).unwrap().remove_on_drop();
        let account = segment.attach::<Account>().unwrap();
        let set = SemaphoreSet::create_new(Key::PRIVATE, 1).unwrap().remove_on_drop();
        set.initialise(&[1]).unwrap();
        let mut other = Actor::start(&set);
        other.does("0 -1 undo");
        assert!(set.try_lock(0).unwrap_err().is_would_block());
        assert_eq!(set.last_pid(0).unwrap(), Some(other.pid()));

        // It is killed when half of its work is done (which we do for it). The kernel releases the lock.
        account.left.store(1, Ordering::Relaxed);
        other.kill();
        let lock = set.lock_for(0, PATIENCE).unwrap();

        // Nothing but the data says that something is wrong.
        assert_ne!(account.left.load(Ordering::Relaxed), account.right.load(Ordering::Relaxed));
        account.right.store(1, Ordering::Relaxed);
        lock.unlock().unwrap();
        assert_eq!(set.get(0).unwrap(), 1);
    });
}

#[test]
fn all_operations_of_a_call_or_none() {
    private(|| {
        // Values before, operations, and the values after, or those before when it would have to wait.
        type Rule = (&'static [u16], &'static [(u16, i16)], Option<&'static [u16]>);
        let rules: [Rule; 12] = [
            (&[1, 0], &[(0, -1)], Some(&[0, 0])),
            (&[1, 0], &[(0, -1), (1, -1)], None),
            (&[1, 0], &[(1, -1), (0, -1)], None),
            (&[1, 1], &[(1, -1), (0, -1)], Some(&[0, 0])),
            (&[1, 0], &[(1, 1), (0, -1)], Some(&[0, 1])),
            (&[0, 0], &[(0, -1), (0, 1)], None), // in order, though the sum is nothing
            (&[0, 0], &[(0, 1), (0, -1)], Some(&[0, 0])),
            (&[0, 0], &[(0, 0), (0, 1)], Some(&[1, 0])), // zero now, one afterwards
            (&[0, 0], &[(0, 1), (0, 0)], None),
            (&[3, 3], &[(0, -3), (0, 0), (1, -4)], None),
            (&[32767, 0], &[(0, -32767), (1, 32767)], Some(&[0, 32767])),
            (&[32767, 0], &[(0, i16::MIN)], None), // 32768 can never be there
        ];
        for (before, operations, after) in rules {
            let set = set(before);
            let operations: Vec<Operation> = operations.iter().map(|&(at, by)| change(at, by)).collect();
            match (set.try_operate(&operations), after) {
                (Ok(()), Some(after)) => assert_eq!(set.get_all().unwrap(), after, "{before:?}"),
                (Err(error), None) if error.is_would_block() => {
                    assert_eq!(set.get_all().unwrap(), before, "{error}");
                    assert_eq!(set.stat().unwrap().operated_at, None, "a refusal is no operation");
                }
                (result, _) => panic!("{before:?} {operations:?}: {result:?}"),
            }
        }
    });
}

#[test]
fn a_call_that_waits_holds_nothing_meanwhile() {
    private(|| {
        let set = set(&[1, 0]);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| set.operate(&[Operation::take(0), Operation::take(1)]));
            until(|| set.waiting_for_more(1).unwrap() == 1);
            // It waits for the first operation that cannot be done, and has not taken what could be.
            assert_eq!((set.waiting_for_more(0).unwrap(), set.get_all().unwrap()), (0, vec![1, 0]));
            set.try_operate(&[Operation::take(0)]).unwrap();
            set.operate(&[Operation::add(1)]).unwrap();
            until(|| set.waiting_for_more(0).unwrap() == 1); // now it waits for the other
            assert_eq!(set.get_all().unwrap(), [0, 1]);
            set.operate(&[Operation::add(0)]).unwrap();
            waiter.join().unwrap().unwrap();
        });
        assert_eq!(set.get_all().unwrap(), [0, 0]);
    });
}

#[test]
fn who_waits_longest_is_served_first() {
    private(|| {
        // Two wait for the second semaphore after having queued for the first, one after the other.
        let set = set(&[0, 0]);
        thread::scope(|scope| {
            for (number, by) in [(1, 2), (2, 1)] {
                let set = &set;
                scope.spawn(move || set.operate(&[change(0, -by), change(1, by)]).unwrap());
                until(|| set.waiting_for_more(0).unwrap() == number);
            }
            set.operate(&[change(0, 2)]).unwrap();
            until(|| set.get(0).unwrap() == 0);
            assert_eq!(set.get(1).unwrap(), 2, "the first, who wanted two, has them");
            set.operate(&[Operation::add(0)]).unwrap();
        });
        assert_eq!(set.get_all().unwrap(), [0, 3]);
    });
}

#[test]
fn a_big_request_is_passed_by_small_ones() {
    private(|| {
        let set = set(&[0]);
        thread::scope(|scope| {
            let big = scope.spawn(|| set.operate(&[change(0, -2)]));
            until(|| set.waiting_for_more(0).unwrap() == 1);
            for _ in 0..100 {
                set.operate(&[Operation::add(0)]).unwrap();
                set.try_operate(&[Operation::take(0)]).unwrap();
            }
            assert_eq!(set.waiting_for_more(0).unwrap(), 1, "no protection from starving");
            set.operate(&[change(0, 2)]).unwrap();
            big.join().unwrap().unwrap();
        });
    });
}

#[test]
fn waiting_for_zero_is_counted_apart_and_lets_all_go_at_once() {
    private(|| {
        let set = set(&[2]);
        thread::scope(|scope| {
            let waiters: Vec<_> =
                (0..3).map(|_| scope.spawn(|| set.operate(&[Operation::wait_for_zero(0)]))).collect();
            until(|| set.waiting_for_zero(0).unwrap() == 3);
            assert_eq!(set.waiting_for_more(0).unwrap(), 0);
            set.operate(&[Operation::take(0)]).unwrap();
            assert_eq!(set.waiting_for_zero(0).unwrap(), 3);
            set.operate(&[Operation::take(0)]).unwrap();
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap().unwrap());
        });
        assert_eq!(set.waiting_for_zero(0).unwrap(), 0);
    });
}

#[test]
fn removal_wakes_who_waits() {
    private(|| {
        let set = set(&[1]);
        type Wait = fn(&SemaphoreSet) -> Result<()>;
        let waits: [Wait; 3] = [
            |set| set.operate(&[change(0, -2)]),
            |set| set.operate(&[Operation::wait_for_zero(0)]),
            |set| set.operate_for(&[change(0, -3)], PATIENCE),
        ];
        let id = set.id();
        thread::scope(|scope| {
            let waiters = waits.map(|wait| scope.spawn(move || wait(&SemaphoreSet::from_id(id).unwrap())));
            until(|| set.waiting_for_more(0).unwrap() == 2 && set.waiting_for_zero(0).unwrap() == 1);
            set.remove().unwrap();
            for waiter in waiters {
                let error = waiter.join().unwrap().unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EIDRM), "{error}");
                assert!(error.is_removed());
            }
        });
    });
}

#[test]
fn a_signal_ends_the_waiting_and_is_never_restarted() {
    private(|| {
        let set = set(&[0]);
        let mut other = Actor::start(&set);
        other.tell("0 -1");
        until(|| set.waiting_for_more(0).unwrap() == 1);
        // Even one that no handler sees: stopping it, and letting it go on.
        let pid = Pid::from_raw(other.pid().cast_signed());
        kill_process(pid.unwrap(), Signal::STOP).unwrap();
        let (_, status) = waitpid(pid, WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped());
        kill_process(pid.unwrap(), Signal::CONT).unwrap();
        let id = set.id();
        assert_eq!(
            other.reply(),
            format!(
                "semop({id}, [{{0, -1, 0}}]): EINTR, a signal came while it waited; nothing was done, \
                 and nothing restarts it"
            )
        );
        assert_eq!((set.waiting_for_more(0).unwrap(), set.get(0).unwrap()), (0, 0));
        other.exit();
    });
}

#[test]
fn a_time_limit_ends_the_waiting() {
    private(|| {
        let set = set(&[0]);
        for timeout in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(20)] {
            let begin = std::time::Instant::now();
            let error = set.operate_for(&[Operation::take(0)], timeout).unwrap_err();
            assert!(error.is_timed_out() && error.raw_os_error() == Some(libc::EAGAIN));
            assert!(begin.elapsed() >= timeout, "{timeout:?}");
        }
        assert!(set.lock_for(0, Duration::ZERO).unwrap_err().is_timed_out());
        let at_once = set.operate_for(&[Operation::take(0).no_wait()], Duration::MAX).unwrap_err();
        assert!(at_once.is_would_block(), "{at_once}");
        set.operate_for(&[Operation::add(0)], Duration::MAX).unwrap();
        set.operate_for(&[Operation::take(0)], Duration::ZERO).unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| set.operate_for(&[Operation::take(0)], Duration::MAX));
            until(|| set.waiting_for_more(0).unwrap() == 1);
            set.operate(&[Operation::add(0)]).unwrap();
            waiter.join().unwrap().unwrap();
        });
    });
}

#[test]
fn setting_a_value_wakes_who_can_go_on() {
    private(|| {
        let set = set(&[0, 0]);
        thread::scope(|scope| {
            let one = scope.spawn(|| set.operate(&[change(0, -2)]));
            until(|| set.waiting_for_more(0).unwrap() == 1);
            set.set(0, 1).unwrap();
            assert_eq!(set.waiting_for_more(0).unwrap(), 1, "not enough");
            set.set(0, 5).unwrap();
            one.join().unwrap().unwrap();
            let both = scope.spawn(|| set.operate(&[change(0, -4), change(1, -4)]));
            until(|| set.waiting_for_more(0).unwrap() == 1);
            set.set_all(&[7, 7]).unwrap();
            both.join().unwrap().unwrap();
        });
        assert_eq!(set.get_all().unwrap(), [3, 3]);
    });
}

/// The time by the clock that the kernel reads for a set: whole seconds, of a clock that goes on at its ticks
/// only.
fn now() -> SystemTime {
    let seconds = clock_gettime(ClockId::RealtimeCoarse).tv_sec;
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).expect("after 1970"))
}

#[test]
fn what_the_kernel_knows_of_a_set() {
    private(|| {
        let before = now();
        let set = SemaphoreSetOptions::new().mode(0o640).create_new(KEY, 3).unwrap().remove_on_drop();
        let stat = set.stat().unwrap();
        assert_eq!((stat.id, stat.key, stat.count, stat.mode), (set.id(), KEY, 3, 0o640));
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        assert_eq!((stat.uid, stat.gid, stat.creator_uid, stat.creator_gid), (uid, gid, uid, gid));
        assert!(stat.operated_at.is_none() && stat.changed_at >= before);
        assert_eq!((set.get_all().unwrap(), set.last_pid(0).unwrap()), (vec![0; 3], None));

        // SETVAL and SETALL leave a pid, and are no operations; waiting for zero is one.
        set.set(0, 3).unwrap();
        set.set_all(&[1, 0, 0]).unwrap();
        assert_eq!(set.stat().unwrap().operated_at, None);
        assert_eq!(set.last_pid(0).unwrap(), Some(std::process::id()));
        set.operate(&[Operation::wait_for_zero(1)]).unwrap();
        assert!(set.stat().unwrap().operated_at.is_some_and(|time| time >= before));

        set.set_mode(0o600).unwrap();
        set.set_owner(uid, gid).unwrap();
        let changed = set.stat().unwrap();
        assert_eq!((changed.mode, changed.uid, changed.gid, changed.count), (0o600, uid, gid, 3));
        // Making it again finds it, and changes nothing.
        let again = SemaphoreSetOptions::new().mode(0o400).create(KEY, 0).unwrap();
        assert_eq!((again.id(), again.stat().unwrap().mode), (set.id(), 0o600));
        assert_eq!(SemaphoreSet::from_id(set.id()).unwrap(), again);
    });
}

#[test]
fn sets_and_segments_have_keys_and_ids_of_their_own() {
    private(|| {
        let segment = Segment::create_new(KEY, 4096).unwrap().remove_on_drop();
        let set = SemaphoreSet::create_new(KEY, 1).unwrap().remove_on_drop();
        assert_eq!(set.id().number(), segment.id().number(), "both are the first of their namespace");
        segment.remove().unwrap();
        assert_eq!(SemaphoreSet::open(KEY, 1).unwrap(), *set);

        // Removal is at once, whoever still uses it, and the key is free.
        let (one, two) = (SemaphoreSet::create(Key::PRIVATE, 1), SemaphoreSet::create(Key::PRIVATE, 1));
        let (one, two) = (one.unwrap().remove_on_drop(), two.unwrap().remove_on_drop());
        assert_ne!(one.id(), two.id(), "private sets are always new");
        let handle = *set;
        drop(set);
        assert!(SemaphoreSet::open(KEY, 0).unwrap_err().is_not_found());
        assert!(handle.stat().unwrap_err().is_removed());
        drop((one, two.keep().remove_on_drop()));
        assert_eq!(semaphore_sets(), [""; 0]);
    });
}

#[test]
fn a_set_of_many_semaphores_is_read_and_set_as_a_whole() {
    private(|| {
        // 32000 is the default SEMMSL; sizes around a page of values, whose end is guarded.
        for count in [1, 255, 256, 257, 2047, 2048, 2049, 32000] {
            let values: Vec<u16> = (0..count).map(|number| number % 32768).collect();
            let set = set(&values);
            assert_eq!(set.get_all().unwrap(), values);
            set.operate(&[Operation::add(count - 1)]).unwrap();
            assert_eq!(set.get(count - 1).unwrap(), values[usize::from(count) - 1] + 1);
        }
    });
}
