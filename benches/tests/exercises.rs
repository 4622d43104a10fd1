//! The exercises of the chapter on benchmarks: each test tells whether one is solved.
//!
//! `cargo test -p benches --test exercises NAME` judges what is in `exercises/NAME.rs`; with `--features
//! solutions`, the solutions.

#[path = "../../sysv-shm/tests/support/exercise.rs"]
mod exercise;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/turns.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/turns.rs")]
mod turns;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/on_schedule.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/on_schedule.rs")]
mod on_schedule;

use exercise::{Verdict, check, judge};
use on_schedule::waits;
use turns::{Subject, turns};

#[test]
fn turns_are_fair() {
    judge("turns", [2, 4, 10, 50].into_iter().try_for_each(both_wait_equally_long));
}

/// On a machine on which each batch takes a little longer than the one before, two equal subjects look equal.
fn both_wait_equally_long(batches: usize) -> Verdict {
    let order = turns(batches);
    for subject in [Subject::One, Subject::Other] {
        let count = order.iter().filter(|turn| **turn == subject).count();
        check(count == batches, format!("{subject:?} has {count} turns instead of {batches}"))?;
    }
    let time = |subject| -> usize {
        order.iter().enumerate().filter(|(_, turn)| **turn == subject).map(|(at, _)| 1000 + at).sum()
    };
    let (one, other) = (time(Subject::One), time(Subject::Other));
    check(
        one == other,
        format!("of two equals one takes {one} and the other {other}, with {batches} batches each"),
    )
}

#[test]
fn waits_are_those_of_a_schedule() {
    judge("on_schedule", idle_servers_hide_nothing().and_then(|()| a_stall_is_felt_by_all_who_are_due()));
}

fn idle_servers_hide_nothing() -> Verdict {
    check(waits(&[], 10).is_empty(), "nobody waits, and somebody is said to")?;
    let found = waits(&[3, 4, 5], 10);
    check(found == [3, 4, 5], format!("with an idle server they wait {found:?}, not as long as it works"))
}

fn a_stall_is_felt_by_all_who_are_due() -> Verdict {
    let mut work = vec![1; 100];
    work[10] = 50;
    let found = waits(&work, 2);
    check(found[10] == 50, format!("the one that stalls waits {} instead of 50", found[10]))?;
    check(found[11] == 49, format!("the next, due 2 after it, waits {} instead of 49", found[11]))?;
    check(found[99] == 1, format!("the last, long after, waits {} instead of 1", found[99]))?;
    let late = found.iter().filter(|wait| **wait > 1).count();
    check(
        late == 49,
        format!("{late} of 100 wait longer than the work takes, not 49: one stall, felt by many"),
    )
}
