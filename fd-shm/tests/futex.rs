//! Wait and wake on a word in a region: each way in which a wait ends, and that none of them is lost.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fd_shm::futex::{Wait, wait, wake};
use fd_shm::{Mapping, Region};

/// One word under two addresses.
fn words() -> [Mapping<AtomicU32>; 2] {
    let region = Region::create("word", 4096).expect("a region");
    [(); 2].map(|()| region.map().expect("a mapping"))
}

#[test]
fn a_wait_says_why_it_ended() {
    let [word, _] = words();
    assert_eq!(wait(&word, 1, None), Ok(Wait::Changed), "no sleep on a word that is another already");
    let (nap, before) = (Duration::from_millis(5), Instant::now());
    assert_eq!(wait(&word, 0, Some(nap)), Ok(Wait::TimedOut));
    assert!(before.elapsed() >= nap);
    assert_eq!(wait(&word, 0, Some(Duration::ZERO)), Ok(Wait::TimedOut));
    for most in [0, 1, u32::MAX] {
        assert_eq!(wake(&word, most), Ok(0), "nobody sleeps");
    }
}

#[test]
fn a_wake_reaches_sleepers_at_another_address_and_counts_them() {
    let [ours, theirs] = words();
    thread::scope(|scope| {
        // Longer than time can be counted is without end.
        let sleeper = scope.spawn(|| wait(&theirs, 0, Some(Duration::MAX)));
        assert_eq!(wake(&ours, 0), Ok(0), "none is none");
        // Until it sleeps, nobody is woken; then exactly one is.
        while wake(&ours, u32::MAX).expect("a wake-up") == 0 {
            assert!(!sleeper.is_finished(), "nobody has woken it");
            thread::yield_now();
        }
        assert_eq!(sleeper.join().expect("it ends"), Ok(Wait::Woken), "with the word as it was");
    });
}

#[test]
fn no_turn_is_lost_between_two_who_alternate() {
    let [ours, theirs] = words();
    let play = |word: &AtomicU32, mine: u32| {
        for turn in (mine..20_000).step_by(2) {
            loop {
                let now = word.load(Ordering::Acquire);
                if now == turn {
                    break;
                }
                wait(word, now, None).expect("a wait");
            }
            word.store(turn + 1, Ordering::Release);
            wake(word, 1).expect("a wake-up");
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| play(&theirs, 1));
        play(&ours, 0);
    });
    assert_eq!(ours.load(Ordering::Acquire), 20_000);
}
