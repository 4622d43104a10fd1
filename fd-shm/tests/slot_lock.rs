//! The quicker lock for strangers: it excludes honest parties, it ends every wait, it tells of a death, and
//! whatever a peer writes into its word, nothing hangs.

#![allow(unsafe_code)]

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use fd_shm::lock::{Lock, LockWord, SlotLock, SlotWord};
use fd_shm::{Mapping, Region, shareable};

#[path = "support/alone.rs"]
mod alone;

#[path = "support/party.rs"]
mod party;

/// Far longer than any wait here takes.
const LONG: Duration = Duration::from_secs(60);

/// A number that is only right if nobody is inside at the same time: it is added to in two steps.
#[repr(C)]
struct Counter {
    lock: SlotWord,
    number: AtomicU32,
}
shareable!(Counter { lock: SlotWord, number: AtomicU32 });

/// Two views of one region: as a party to the lock sees it, and as one who writes what it likes.
fn region() -> (Region, Mapping<Counter>, Mapping<[AtomicU32; 2]>) {
    let region = Region::create("counter", 4096).expect("a region");
    let (counter, words) = (region.map().expect("a mapping"), region.map().expect("a mapping"));
    (region, counter, words)
}

/// Adds `times`, each time in two steps under the lock.
fn add(region: &Region, times: u32) {
    let counter = region.map::<Counter>().expect("a mapping");
    let mut lock = SlotLock::open(region, 0).expect("a lock");
    for _ in 0..times {
        let inside = lock.lock(&counter.lock, LONG).expect("nobody keeps it for so long");
        assert!(!inside.owner_died());
        let number = counter.number.load(Ordering::Relaxed);
        counter.number.store(number + 1, Ordering::Relaxed);
    }
}

#[test]
fn processes_that_share_a_descriptor_exclude_each_other() {
    let name = "processes_that_share_a_descriptor_exclude_each_other";
    if let Some(region) = party::inherited() {
        return add(&region, 20_000);
    }
    alone::alone(name, || {
        let (region, counter, words) = region();
        let children = [(); 3].map(|()| party::again(name, &region));
        add(&region, 20_000);
        for mut child in children {
            assert!(child.wait().expect("it ends").success());
        }
        assert_eq!(counter.number.load(Ordering::Relaxed), 80_000, "no update was lost");
        assert_eq!(words[0].load(Ordering::Relaxed) & !(1 << 31), 0, "nobody is inside");
    });
}

#[test]
fn threads_that_find_it_taken_sleep_and_are_woken() {
    let (region, counter, words) = region();
    let mut ours = SlotLock::open(&region, 0).expect("a lock");
    let inside = ours.lock(&counter.lock, LONG).expect("it is free");
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| add(&region, 100));
        }
        while words[0].load(Ordering::Relaxed) & 1 << 31 == 0 {
            thread::yield_now(); // until somebody has announced that it sleeps
        }
        drop(inside);
    });
    assert_eq!(counter.number.load(Ordering::Relaxed), 300);
}

#[test]
fn any_word_is_free_or_left_by_the_dead_when_nobody_is_there() {
    let (region, counter, words) = region();
    let mut lock = SlotLock::open(&region, 0).expect("a lock");
    let mut check = |value: u32| {
        words[0].store(value, Ordering::Relaxed);
        let inside = lock.lock(&counter.lock, Duration::ZERO).expect("nobody is there");
        assert_eq!(inside.owner_died(), value & !(1 << 31) != 0, "{value:#x}");
        drop(inside);
        assert_eq!(words[0].load(Ordering::Relaxed), 0, "{value:#x} is cleared");
    };
    (0..32).for_each(|bit| check(1 << bit));
    (0..10_000_u32).map(|number| number.wrapping_mul(0x9e37_79b1)).for_each(check);
}

#[test]
fn a_peer_that_scribbles_over_the_word_keeps_nobody_waiting_for_ever() {
    let (region, counter, words) = region();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| party::scribble(&words[0], &over));
        let adding = [(); 2].map(|()| {
            scope.spawn(|| {
                let mut lock = SlotLock::open(&region, 0).expect("a lock");
                for _ in 0..1000 {
                    // In, or refused in time: exclusion is not promised against one who writes the word.
                    let got = lock.lock(&counter.lock, Duration::from_millis(20));
                    assert!(got.is_ok() || got.is_err_and(|refused| refused.is_timed_out()));
                }
            })
        });
        for thread in adding {
            thread.join().expect("nothing but in or out");
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_wait_ends_with_its_time_and_a_hostile_claim_with_its_maker() {
    let (region, counter, words) = region();
    let (mut ours, mut theirs) = (SlotLock::open(&region, 7).unwrap(), SlotLock::open(&region, 7).unwrap());
    let inside = ours.lock(&counter.lock, Duration::MAX).expect("it is free");
    for wait in [Duration::ZERO, Duration::from_millis(25)] {
        let refused = theirs.lock(&counter.lock, wait).expect_err("it is taken");
        assert!(refused.is_timed_out() && refused.raw_os_error().is_none());
        let text = format!("SlotLock::lock(7, {wait:?}): somebody else held it all the while");
        assert_eq!(refused.to_string(), text);
    }
    drop(inside);
    drop(theirs.lock(&counter.lock, Duration::ZERO).expect("it is free"));

    // A peer locks a byte itself, and writes that it is inside.
    let mut hostile = Lock::open(&region, 7 + 5).expect("a byte");
    let (word, free) = (LockWord::default(), Duration::ZERO);
    let claim = hostile.lock(&word, free).expect("nobody else has it");
    words[0].store(5, Ordering::Relaxed);
    assert!(theirs.lock(&counter.lock, free).is_err_and(|refused| refused.is_timed_out()));
    drop(claim);
    assert!(theirs.lock(&counter.lock, free).expect("the claim is empty").owner_died());
}

#[test]
fn a_forgotten_guard_is_reported_as_a_death() {
    // Alone: a process that another test starts has a copy of every open file until it execs.
    alone::alone("a_forgotten_guard_is_reported_as_a_death", || {
        let (region, counter, _) = region();
        let (mut ours, mut theirs) =
            (SlotLock::open(&region, 0).unwrap(), SlotLock::open(&region, 0).unwrap());
        std::mem::forget(ours.lock(&counter.lock, LONG).expect("it is free"));
        assert!(theirs.lock(&counter.lock, Duration::ZERO).is_err_and(|refused| refused.is_timed_out()));
        assert!(ours.lock(&counter.lock, Duration::ZERO).expect("its own").owner_died());
        std::mem::forget(ours.lock(&counter.lock, LONG).expect("it is free"));
        drop(ours);
        assert!(theirs.lock(&counter.lock, Duration::ZERO).expect("it is free").owner_died());
        assert!(!theirs.lock(&counter.lock, Duration::ZERO).expect("it is free").owner_died(), "told once");
    });
}

#[test]
fn a_child_of_a_fork_is_not_taken_for_its_parent() {
    alone::alone("a_child_of_a_fork_is_not_taken_for_its_parent", || {
        let (region, counter, _) = region();
        let (mut ours, mut theirs) =
            (SlotLock::open(&region, 0).unwrap(), SlotLock::open(&region, 0).unwrap());
        let inside = ours.lock(&counter.lock, LONG).expect("it is free");
        // SAFETY: no other thread of this process holds a lock of libc's that the child will need: it runs
        // one test in its main thread.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let mut well = theirs.lock(&counter.lock, LONG).is_err_and(|refused| refused.is_invalid_input());
            // One of its own is another party, though the random numbers begin as the parent's go on.
            let mut own = SlotLock::open(&region, 0).expect("a lock");
            well &= own.lock(&counter.lock, Duration::ZERO).is_err_and(|refused| refused.is_timed_out());
            drop(inside); // must not unlock what the parent holds
            // SAFETY: ends the child without the harness.
            unsafe { libc::_exit(i32::from(!well)) };
        }
        let mut status = 0;
        // SAFETY: a child of ours, and room for its status.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0, "the child was refused");
        assert!(theirs.lock(&counter.lock, Duration::ZERO).is_err(), "the parent still holds it");
        drop(inside);
        assert!(!theirs.lock(&counter.lock, Duration::ZERO).expect("it is free").owner_died());
    });
}

#[test]
fn slots_that_cannot_be_had_are_refused() {
    let (region, _, _) = region();
    let refused = SlotLock::open(&region, i64::MAX as u64).expect_err("no file has so many bytes");
    assert!(refused.is_invalid_input(), "{refused}");
    // A peer locks all of the bytes.
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&region.as_fd()));
    let file = std::fs::File::options().read(true).write(true).open(path).expect("opened again");
    let all = libc::flock {
        l_type: libc::F_WRLCK.try_into().expect("1"),
        l_whence: libc::SEEK_SET.try_into().expect("0"),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_OFD_SETLK(&all)).expect("all of them");
    let refused = SlotLock::open(&region, 0).expect_err("none is left");
    assert!(refused.is_permission_denied(), "{refused}");
    drop(file);
    SlotLock::open(&region, 0).expect("and now there is");
}
