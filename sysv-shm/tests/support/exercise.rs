//! Exercises: a hole that compiles and gives a wrong answer, and a test that tells when it is filled.
//!
//! `exercises/NAME.rs` holds the hole, which a comment with the word `HOLE` marks; a reader fills it and takes
//! the comment out. `exercises/solutions/NAME.rs` holds a solution, which the feature `solutions` puts in its
//! place. A test compiles whichever it is and judges its answers:
//!
//! | the mark is | the answers are | the test |
//! | --- | --- | --- |
//! | there | wrong | passes, and says on standard error what is wrong |
//! | there | right | fails: a hole that needs no filling, or a reader who forgot the mark |
//! | gone | wrong | fails, and says what is wrong |
//! | gone | right | passes |
//!
//! So the tests of an untouched workspace pass and show that each of them can tell wrong from right.

use std::fs;
use std::io::{self, Write};

/// What is wrong with an answer, in a sentence, or nothing.
pub(crate) type Verdict = Result<(), String>;

/// Passes or fails the exercise called `name` of the crate that is being tested.
pub(crate) fn judge(name: &str, verdict: Verdict) {
    let file = format!("exercises/{name}.rs");
    match (has_hole(&file), verdict) {
        (true, Err(wrong)) => {
            // The real standard error: the harness swallows what a passing test prints.
            writeln!(io::stderr(), "exercise {name} is open: {wrong}").expect("standard error");
        }
        (true, Ok(())) => panic!("{name} gives the right answers: take the line with the mark out of {file}"),
        (false, Err(wrong)) => panic!("{name}: {wrong}"),
        (false, Ok(())) => {}
    }
}

/// Whether what was compiled has a hole: never a solution, else a file with the mark in it.
fn has_hole(file: &str) -> bool {
    let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    !cfg!(feature = "solutions") && text.contains("HOLE")
}

/// `Ok` when `holds`, else `otherwise` as the verdict.
pub(crate) fn check(holds: bool, otherwise: impl Into<String>) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}
