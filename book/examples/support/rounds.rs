//! Figures that others change as well, taken until they stand still.

/// The fewest rounds, and how many in a row have to change nothing.
const FEWEST: usize = 9;
const IN_A_ROW: usize = 6;

/// On a machine that never comes to rest the figures are then what they are.
const MOST: usize = 40;

// ANCHOR: settle
/// What each step has changed by its end, in whole `units`: the middle one of several lives.
///
/// A counter of the system is everybody's. Whoever allocates while a step is taken spoils that one figure,
/// up or down, and no middle one. So a busy machine needs more rounds, and gets them: until no figure of the
/// result has moved for some of them.
pub(crate) fn settle<E, const N: usize>(
    unit: i64,
    mut live: impl FnMut() -> Result<Vec<[i64; N]>, E>,
) -> Result<Vec<[i64; N]>, E> {
    let (mut changes, mut result, mut unchanged) = (Vec::<[Vec<i64>; N]>::new(), Vec::new(), 0);
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
        let before = std::mem::replace(&mut result, totals(unit, &changes));
        unchanged = if before == result { unchanged + 1 } else { 0 };
        if round >= FEWEST && unchanged >= IN_A_ROW {
            break;
        }
    }
    Ok(result)
}

/// The sums of the middle changes, step by step, each to the nearest whole unit.
fn totals<const N: usize>(unit: i64, changes: &[[Vec<i64>; N]]) -> Vec<[i64; N]> {
    let mut since = [0; N];
    let step = |changes: &[Vec<i64>; N]| {
        for (since, changes) in since.iter_mut().zip(changes) {
            *since += changes[changes.len() / 2];
        }
        since.map(|since| (since + unit / 2).div_euclid(unit))
    };
    changes.iter().map(step).collect()
}
// ANCHOR_END: settle
