//! Figures of the system's are told right although others change them.

#[path = "../examples/support/rounds.rs"]
mod rounds;

use rounds::settle;

/// What the steps change when nobody else does anything: 64 up, nothing, 64 down.
const QUIET: [[i64; 1]; 3] = [[64], [0], [-64]];

/// Settles with what others add to each figure in each round, and says how many rounds it took.
fn settled(others: impl Fn(usize, usize) -> i64) -> (Vec<[i64; 1]>, usize) {
    let mut rounds = 0;
    let totals = settle(64, || {
        rounds += 1;
        let mut changes = QUIET.to_vec();
        changes.iter_mut().enumerate().for_each(|(step, change)| change[0] += others(rounds, step));
        Ok::<_, ()>(changes)
    });
    (totals.expect("no life fails"), rounds)
}

#[test]
fn a_quiet_machine_needs_nine_rounds() {
    assert_eq!(settled(|_, _| 0), (vec![[1], [1], [0]], 9));
    // The pages of tables and stacks are less than half a unit.
    assert_eq!(settled(|_, _| 5), (vec![[1], [1], [0]], 9));
}

#[test]
fn whoever_disturbs_a_few_rounds_changes_nothing() {
    assert_eq!(settled(|round, _| if round % 3 == 0 { 500 } else { 0 }).0, [[1], [1], [0]]);
    assert_eq!(settled(|round, step| if round % 3 == step { -500 } else { 0 }).0, [[1], [1], [0]]);
}

#[test]
fn a_bad_beginning_takes_more_rounds() {
    let others =
        |round, step| if round < 8 && step == 1 { 100 * i64::try_from(round).unwrap_or(0) } else { 0 };
    assert_eq!(settled(others), (vec![[1], [1], [0]], 21));
}

#[test]
fn a_machine_that_never_rests_is_given_up_on() {
    assert_eq!(settled(|round, _| 40 * i64::try_from(round).unwrap_or(0)).1, 40);
}
