//! The exercises of the book's chapter on how we know: scripts, judged by playing them and by what real kernels
//! answered.
//!
//! `cargo test -p binder-sim --test exercises_scripts NAME` judges what is in `exercises/NAME.rs`; with
//! `--features solutions`, the solutions.

#[path = "../../sysv-shm/tests/support/exercise.rs"]
mod exercise;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/what_it_answers.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/what_it_answers.rs")]
mod what_it_answers;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/which_kernel.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/which_kernel.rs")]
mod which_kernel;

use binder_sim::driver::Profile;
use binder_sim::script::{ParseError, Recorded, Script};
use exercise::{Verdict, check, judge};

fn in_words(error: ParseError) -> String {
    error.to_string()
}

#[test]
fn what_it_answers() {
    judge("what_it_answers", the_real_kernel_answered_this());
}

/// What the real kernel answered is not told.
fn the_real_kernel_answered_this() -> Verdict {
    const RECORD: &str = include_str!("../scripts/call_of_a_server_that_kept_its_mapping.txt");
    let truth: Recorded = RECORD.parse().map_err(in_words)?;
    let yours: Recorded = what_it_answers::SCRIPT.parse().map_err(in_words)?;
    let steps = truth.script.steps == yours.script.steps;
    check(steps, "the steps are not those of the exercise any more")?;
    let answers = yours.on("6.1").ok_or("the line `seen on 6.1` is missing")?;
    let wrong = truth.compare("6.1", answers);
    let told: Vec<String> =
        wrong.iter().map(|one| format!("`{}` is not answered `{}`", one.did, one.seen.join("; "))).collect();
    check(wrong.is_empty(), told.join(", "))
}

#[test]
fn which_kernel() {
    judge("which_kernel", the_script_tells_them_apart_and_is_the_shortest());
}

fn the_script_tells_them_apart_and_is_the_shortest() -> Verdict {
    let tells = |script: &Script| script.play_as(Profile::V6_12) != script.play_as(Profile::V7_3);
    let script: Script = which_kernel::SCRIPT.parse().map_err(in_words)?;
    check(tells(&script), "the two answer every step alike")?;
    for step in 0..script.steps.len() {
        let mut shorter = script.clone();
        shorter.steps.remove(step);
        check(!tells(&shorter), format!("without `{}` they still differ", script.text_of(step + 1)))?;
    }
    Ok(())
}
