//! Figures that others change as well, taken until enough of them agree.

/// The fewest rounds.
const FEWEST: usize = 9;

/// On a machine that never comes to rest the figures are then what they are.
const MOST: usize = 40;

// ANCHOR: settle
/// What each step has changed by its end, in whole `units`: the middle one of several lives.
///
/// A counter of the system is everybody's. Whoever allocates while a step is taken spoils that one figure,
/// up or down, and seldom the middle one. So a busy machine needs more rounds, and gets them: until two
/// thirds of the lives agree on every figure.
pub(crate) fn settle<E, const N: usize>(
    unit: i64,
    mut live: impl FnMut() -> Result<Vec<[i64; N]>, E>,
) -> Result<Vec<[i64; N]>, E> {
    let mut changes = Vec::<[Vec<i64>; N]>::new();
    for round in 1..=MOST {
        for (step, life) in live()?.into_iter().enumerate() {
            if step == changes.len() {
                changes.push([const { Vec::new() }; N]);
            }
            for (changes, change) in changes[step].iter_mut().zip(life) {
                let at = changes.partition_point(|other| *other < change);
                changes.insert(at, change);
            }
        }
        if round >= FEWEST && changes.iter().flatten().all(|changes| agree(changes, unit / 4)) {
            break;
        }
    }
    Ok(totals(unit, &changes))
}

/// Whether two thirds of them are near the middle one.
fn agree(changes: &[i64], near: i64) -> bool {
    let agreeing = changes.iter().filter(|change| change.abs_diff(middle(changes)) <= near.unsigned_abs());
    agreeing.count() * 3 >= changes.len() * 2
}

/// The middle one; they are in order.
fn middle(changes: &[i64]) -> i64 {
    changes[changes.len() / 2]
}

/// The sums of the middle changes, step by step, each to the nearest whole unit.
fn totals<const N: usize>(unit: i64, changes: &[[Vec<i64>; N]]) -> Vec<[i64; N]> {
    let mut since = [0; N];
    let step = |changes: &[Vec<i64>; N]| {
        since.iter_mut().zip(changes).for_each(|(since, changes)| *since += middle(changes));
        since.map(|since| (since + unit / 2).div_euclid(unit))
    };
    changes.iter().map(step).collect()
}
// ANCHOR_END: settle
