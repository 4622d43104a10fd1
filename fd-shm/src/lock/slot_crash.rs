//! `kill -9` at every point of a section under the quicker lock, and what the next one is told.

use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use super::crash::{STOPS, Victim, inherited, reach};
use super::{SlotLock, SlotWord};
use crate::{Mapping, Region};

/// Far longer than any wait here takes: a bound for what would otherwise hang.
const LONG: Duration = Duration::from_secs(60);

/// This test, which starts itself again.
const NAME: &str = "lock::slot_crash::a_kill_at_every_point_leaves_the_lock_to_the_next";

/// What a newcomer gets who does not wait, and one who slept meanwhile.
const POINTS: [(&str, &str, Option<&str>); 8] = [
    ("before it asks", IN, None),
    ("asleep, while another has it", IN, None),
    ("the word names it, and it has not seen that", TOLD, None),
    ("inside, nothing written", TOLD, Some(TOLD)),
    ("inside, half an update", TOLD, Some(TOLD)),
    ("inside, a whole update", TOLD, Some(TOLD)),
    ("the word is free, a sleeper not yet woken", IN, Some(IN)),
    ("after all of it", IN, Some(IN)),
];
const IN: &str = "gets in";
const TOLD: &str = "gets in, is told of the death";

/// What the child does.
fn update(region: &Region) {
    let word: Mapping<SlotWord> = region.map().expect("a mapping");
    let mut lock = SlotLock::open(region, 0).expect("a lock");
    reach("before it asks");
    let inside = lock.lock(&word, LONG).expect("nobody keeps it for so long");
    reach("inside, nothing written");
    word.copy_in(0, &[1]).expect("it fits");
    reach("inside, half an update");
    word.copy_in(1, &[1]).expect("it fits");
    reach("inside, a whole update");
    drop(inside);
    reach("after all of it");
}

/// What the lock tells one who asks.
fn told(lock: &mut SlotLock, word: &SlotWord, timeout: Duration) -> &'static str {
    match lock.lock(word, timeout) {
        Ok(inside) if inside.owner_died() => TOLD,
        Ok(_) => IN,
        Err(refused) => panic!("nobody is left who could have it: {refused}"),
    }
}

#[test]
fn a_kill_at_every_point_leaves_the_lock_to_the_next() {
    if std::env::var_os(STOPS).is_some() {
        return update(&inherited());
    }
    for (point, newcomer, sleeper) in POINTS {
        // Without anybody asleep, that point is not come by.
        if point != "the word is free, a sleeper not yet woken" {
            assert_eq!(newcomer_after(point), newcomer, "{point}");
        }
        if let Some(expected) = sleeper {
            assert_eq!(sleeper_during(point), expected, "{point}");
        }
    }
}

/// Kills a child at `point`: what a newcomer gets.
fn newcomer_after(point: &str) -> &'static str {
    let region = Region::create("ledger", 4096).expect("a region");
    let word: Mapping<SlotWord> = region.map().expect("a mapping");
    let mut ours = SlotLock::open(&region, 0).expect("a lock");
    let waits = point == "asleep, while another has it";
    let before = waits.then(|| ours.lock(&word, Duration::ZERO).expect("it is free"));
    Victim::start(&region, NAME, point).run_to_the_next_stop().kill();
    drop(before);
    let told = told(&mut ours, &word, Duration::ZERO);
    assert_eq!(self::told(&mut ours, &word, Duration::ZERO), IN, "it is told once");
    told
}

/// Kills a child at `point` while a thread sleeps for the lock: what the thread gets.
fn sleeper_during(point: &str) -> &'static str {
    const INSIDE: &str = "inside, nothing written";
    let region = Region::create("ledger", 4096).expect("a region");
    let word: Mapping<SlotWord> = region.map().expect("a mapping");
    let mut victim = Victim::start(&region, NAME, &format!("{INSIDE};{point}"));
    victim.run_to_the_next_stop();
    thread::scope(|scope| {
        let mut theirs = SlotLock::open(&region, 0).expect("a lock");
        let word = &*word;
        let sleeper = scope.spawn(move || told(&mut theirs, word, LONG));
        while word.state.load(SeqCst) & 1 << 31 == 0 {
            assert!(!sleeper.is_finished(), "let in beside another, or refused");
            thread::yield_now(); // until it has announced itself
        }
        if point != INSIDE {
            victim.go_on();
            victim.run_to_the_next_stop();
        }
        victim.kill();
        sleeper.join().expect("a sleeper that is not refused")
    })
}
