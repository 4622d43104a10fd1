//! The lock for strangers: it excludes, it ends every wait, it tells of a death, whatever a peer writes.

#![allow(unsafe_code)]

use std::fs::OpenOptions;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use std::{io, panic, thread};

use fd_shm::handover::{Pull, procfs};
use fd_shm::lock::{Lock, LockWord};
use fd_shm::{Mapping, Memfd, Region, shareable};
use proptest::prelude::*;
use rustix::fs::{Mode, fchmod};

#[path = "support/alone.rs"]
mod alone;

#[path = "support/party.rs"]
mod party;

/// Far longer than any wait here takes.
const LONG: Duration = Duration::from_secs(60);

/// A number that is only right if nobody is inside at the same time: it is added to in two steps.
#[repr(C)]
struct Counter {
    lock: LockWord,
    number: AtomicU32,
}
shareable!(Counter { lock: LockWord, number: AtomicU32 });

/// Two views of one region: as a party to the lock sees it, and as one who writes what it likes.
fn region() -> (Region, Mapping<Counter>, Mapping<[AtomicU32; 2]>) {
    let region = Region::create("counter", 4096).expect("a region");
    let (counter, words) = (region.map().expect("a mapping"), region.map().expect("a mapping"));
    (region, counter, words)
}

/// Adds `times`, each time in two steps under the lock.
fn add(region: &Region, times: u32) {
    let counter = region.map::<Counter>().expect("a mapping");
    let mut lock = Lock::open(region, 0).expect("a lock");
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
        return add(&region, 2000);
    }
    alone::alone(name, || {
        let (region, counter, _) = region();
        let children = [(); 3].map(|()| party::again(name, &region));
        add(&region, 2000);
        for mut child in children {
            assert!(child.wait().expect("it ends").success());
        }
        assert_eq!(counter.number.load(Ordering::Relaxed), 8000, "no update was lost");
    });
}

#[test]
fn a_peer_that_scribbles_over_the_word_lets_nobody_in() {
    let (region, counter, words) = region();
    let over = AtomicBool::new(false);
    let mut late = 0_u32;
    thread::scope(|scope| {
        scope.spawn(|| party::scribble(&words[0], &over));
        let adding = [(); 2].map(|()| {
            scope.spawn(|| {
                let mut lock = Lock::open(&region, 0).expect("a lock");
                for _ in 0..300 {
                    let _inside = lock.lock(&counter.lock, LONG).expect("a turn for everybody");
                    let number = counter.number.load(Ordering::Relaxed);
                    thread::yield_now();
                    counter.number.store(number + 1, Ordering::Relaxed);
                }
            })
        });
        for thread in adding {
            thread.join().expect("nobody is refused");
        }
        // And who is kept out while it is scribbled, is told so in the end.
        let (mut ours, mut theirs) = (Lock::open(&region, 0).unwrap(), Lock::open(&region, 0).unwrap());
        let inside = ours.lock(&counter.lock, LONG).expect("it is free");
        while late < 3 {
            let refused = theirs.lock(&counter.lock, Duration::from_millis(30)).expect_err("it is taken");
            assert!(refused.is_timed_out(), "{refused}");
            late += 1;
        }
        drop(inside);
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(counter.number.load(Ordering::Relaxed), 600, "no update was lost");
}

#[test]
fn a_lock_reads_as_free_taken_or_left_by_the_dead_whatever_the_word_holds() {
    let (region, counter, words) = region();
    let mut lock = Lock::open(&region, 0).expect("a lock");
    let mut check = |value: u32| {
        words[0].store(value, Ordering::Relaxed);
        let inside = lock.lock(&counter.lock, Duration::ZERO).expect("the kernel knows that it is free");
        assert_eq!(inside.owner_died(), value & 1 == 1, "{value:#x}");
        drop(inside);
        assert_eq!(words[0].load(Ordering::Relaxed), 0, "{value:#x} is cleared");
    };
    (0..32).for_each(|bit| check(1 << bit));
    let random = proptest::collection::vec(any::<u32>(), 1..10_000);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(20));
    let checked = std::cell::RefCell::new(check);
    let all = |values: Vec<u32>| {
        values.into_iter().for_each(|value| checked.borrow_mut()(value));
        Ok(())
    };
    runner.run(&random, all).expect("any value will do");
}

#[test]
fn a_wait_ends_with_its_time_and_says_who_cannot_be_asked_twice() {
    let (region, counter, words) = region();
    let (mut ours, mut theirs) = (Lock::open(&region, 7).unwrap(), Lock::open(&region, 7).unwrap());
    let inside = ours.lock(&counter.lock, Duration::MAX).expect("it is free");
    for wait in [Duration::ZERO, Duration::from_millis(25)] {
        let refused = theirs.lock(&counter.lock, wait).expect_err("it is taken");
        assert!(refused.is_timed_out() && refused.raw_os_error().is_none());
        let text = format!("Lock::lock(7, {wait:?}): somebody else held it all the while");
        assert_eq!(refused.to_string(), text);
    }
    // Another byte is another lock.
    let other = LockWord::default();
    drop(Lock::open(&region, 8).unwrap().lock(&other, Duration::ZERO).expect("another lock"));
    drop(inside);
    drop(theirs.lock(&counter.lock, Duration::ZERO).expect("it is free"));
    assert_eq!(words[0].load(Ordering::Relaxed), 0);
}

#[test]
fn a_forgotten_guard_is_reported_as_a_death() {
    // Alone: a process that another test starts has a copy of every open file until it execs.
    alone::alone("a_forgotten_guard_is_reported_as_a_death", || {
        let (region, counter, _) = region();
        let (mut ours, mut theirs) = (Lock::open(&region, 0).unwrap(), Lock::open(&region, 0).unwrap());
        std::mem::forget(ours.lock(&counter.lock, LONG).expect("it is free"));
        assert!(theirs.lock(&counter.lock, Duration::ZERO).is_err_and(|refused| refused.is_timed_out()));
        drop(ours);
        assert!(theirs.lock(&counter.lock, Duration::ZERO).expect("it is free").owner_died());
        assert!(!theirs.lock(&counter.lock, Duration::ZERO).expect("it is free").owner_died(), "told once");
    });
}

#[test]
fn a_child_of_a_fork_is_not_taken_for_its_parent() {
    alone::alone("a_child_of_a_fork_is_not_taken_for_its_parent", || {
        let (region, counter, _) = region();
        let (mut ours, mut theirs) = (Lock::open(&region, 0).unwrap(), Lock::open(&region, 0).unwrap());
        let inside = ours.lock(&counter.lock, LONG).expect("it is free");
        // SAFETY: no other thread of this process holds a lock of libc's that the child will need: it runs
        // one test in its main thread.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let refused = theirs.lock(&counter.lock, LONG).expect_err("opened by the parent");
            let well = refused.is_invalid_input();
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
fn what_cannot_be_opened_again_is_refused_and_nothing_is_left() {
    alone::alone("what_cannot_be_opened_again_is_refused_and_nothing_is_left", || {
        let region = Region::create("refused", 4096).expect("a region");
        let check = |descriptor: &dyn AsFdDyn, byte: u64, text: &str| {
            let refused = Lock::open(descriptor.fd(), byte).expect_err(text);
            assert!(refused.to_string().ends_with(text), "{refused}");
            refused
        };
        assert!(check(&region, u64::MAX, "no file has so many bytes").is_invalid_input());
        assert!(check(&region, i64::MAX as u64, "no file has so many bytes").is_invalid_input());
        drop(Lock::open(&region, i64::MAX as u64 - 1).expect("the last byte"));
        let null = OpenOptions::new().read(true).write(true).open("/dev/null").expect("/dev/null");
        assert!(check(&null, 0, "it is no memory region").is_not_a_region());
        let (reader, _writer) = io::pipe().expect("a pipe");
        assert!(check(&reader, 0, "it is no memory region").is_not_a_region());
        let (one, _other) = std::os::unix::net::UnixStream::pair().expect("sockets");
        assert_eq!(Lock::open(&one, 0).expect_err("a socket").raw_os_error(), Some(libc::ENXIO));
    });
}

/// `AsFd` for a list of different things.
trait AsFdDyn {
    fn fd(&self) -> std::os::fd::BorrowedFd<'_>;
}

impl<T: AsFd> AsFdDyn for T {
    fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.as_fd()
    }
}

#[test]
fn a_panic_inside_unlocks_and_is_no_death() {
    let region = Region::create("panic", 4096).expect("a region");
    let word = region.map::<LockWord>().expect("a mapping");
    let inside = || {
        let mut ours = Lock::open(&region, 0).expect("a party");
        let _inside = ours.lock(&word, LONG).expect("nobody has it");
        panic::resume_unwind(Box::new("inside")); // as a panic does, but for the message
    };
    assert!(panic::catch_unwind(inside).is_err());
    let mut theirs = Lock::open(&region, 0).expect("a party");
    assert!(!theirs.lock(&word, Duration::ZERO).expect("it is free").owner_died());
}

#[test]
fn a_lease_keeps_nobody_waiting() {
    let name = "a_lease_keeps_nobody_waiting";
    alone::alone(name, || {
        let memfd = Memfd::create("leased").expect("a memory file");
        fchmod(&memfd, Mode::from_raw_mode(0o600)).expect("our file");
        // With nobody left who has it open for writing, one who reads may ask to be told before somebody
        // writes; and whoever opens it then has to wait, 45 seconds long, unless it says that it will not.
        let path = format!("/proc/self/fd/{}", memfd.as_fd().as_raw_fd());
        let reader = OpenOptions::new().read(true).open(path).expect("opened again");
        drop(memfd);
        // SAFETY: a descriptor of ours and two numbers. SIGIO would end this process.
        unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
        // SAFETY: a descriptor of ours and a number.
        assert_eq!(unsafe { libc::fcntl(reader.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) }, 0, "a lease");
        let refused = Lock::open(&reader, 0).expect_err("a lease is in the way");
        assert!(refused.is_would_block(), "{refused}");
        let holder = procfs::Process::open(std::process::id()).expect("its folder");
        let refused = holder.pull(reader.as_raw_fd()).expect_err("a lease is in the way");
        assert!(
            refused.is_would_block() && refused.to_string().ends_with("would be waited for"),
            "{refused}"
        );
        assert!(holder.pull_read_only(reader.as_raw_fd()).is_ok(), "it is a lease against writers");
    });
}
