//! Every example prints what the book quotes. `BLESS=1` records what they print now.

use std::env;
use std::io;

use book::recorded::Difference;
use book::{examples, quoted};

#[test]
fn every_example_prints_what_the_book_quotes() {
    let examples = examples::build().unwrap_or_else(|error| panic!("{error:#}"));
    assert!(!examples.is_empty());
    let all_must_show = env::var_os("CI").is_some();
    // The real standard error: the harness swallows what tests print, and a reason for not showing must be seen.
    quoted::check(&examples, Difference::from_environment(), all_must_show, &mut io::stderr())
        .unwrap_or_else(|error| panic!("{error:#}"));
}
