//! Random scripts on both sides: the real driver, and a world that is like this kernel.
//!
//! They are compared line by line, and no line is forgiven. What a kernel leaves open by nature is told by name in the
//! lines themselves: `script::seen` has the list, each with its reason.

use crate::generator::generate;
use crate::guest::world_like;
use crate::stage;
use binder_sim::script::{Run, Script};
use binder_sim::world::World;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What every step saw.
type SeenBy = Vec<Vec<String>>;

/// How many differences are shown before it ends.
const MOST_DIFFERENCES: usize = 8;

/// Runs `CASES` scripts from `SEED` on; says whether both sides always saw the same.
pub(crate) fn run() -> bool {
    let number =
        |name: &str, default: u64| env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (cases, seed) = (number("CASES", 200), number("SEED", 1));
    let kernel = env::var("REAL_KERNEL").expect("who runs this says which kernel it is");
    let mut differences = 0;
    for seed in seed..seed + cases {
        // Before it runs: if the machine hangs or breaks, this is the last word.
        println!("random {seed}");
        let script = generate(seed);
        if let Some(difference) = differ(&script, &kernel) {
            differences += 1;
            show(seed, script, &kernel, difference);
            if differences == MOST_DIFFERENCES {
                break;
            }
        }
    }
    println!("{kernel}: {cases} random scripts from seed {seed}, {differences} differences");
    differences == 0
}

/// Both sides; none if they saw the same.
fn differ(script: &Script, kernel: &str) -> Option<(SeenBy, SeenBy)> {
    let check = |world: &mut World| world.check().expect("every invariant holds");
    let play = || Run::new(script, world_like(kernel)).play(check);
    // A broken invariant is a difference too; what is broken stands on standard error.
    let here = catch_unwind(AssertUnwindSafe(play));
    let here = here.unwrap_or_else(|_| vec![vec!["panicked".into()]; script.steps.len()]);
    let there = stage::run(script);
    (here != there).then_some((there, here))
}

/// Makes the script as short as it can be and still differ, and shows it with what both sides saw.
fn show(seed: u64, script: Script, kernel: &str, difference: (SeenBy, SeenBy)) {
    if stage::run(&script) != difference.0 {
        println!("SEED={seed}: the real driver does not do the same twice");
    }
    let (script, (there, here)) = shrink(script, kernel, difference);
    println!("SEED={seed} differs on {kernel}:");
    script.actors.iter().for_each(|actor| println!("{actor}"));
    for (n, (there, here)) in there.iter().zip(&here).enumerate() {
        println!("{}", script.text_of(n + 1));
        there.iter().for_each(|line| println!("      -> {line}"));
        if there != here {
            here.iter().for_each(|line| println!("      simulated: {line}"));
        }
    }
}

/// Leaves steps out, many at once and then one by one, for as long as the two sides differ.
fn shrink(mut script: Script, kernel: &str, mut difference: (SeenBy, SeenBy)) -> (Script, (SeenBy, SeenBy)) {
    let mut size = script.steps.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < script.steps.len() {
            let mut shorter = script.clone();
            shorter.steps.drain(at..(at + size).min(script.steps.len()));
            match differ(&shorter, kernel) {
                Some(still) if !shorter.steps.is_empty() => (script, difference) = (shorter, still),
                _ => at += size,
            }
        }
        size /= 2;
    }
    (script, difference)
}
