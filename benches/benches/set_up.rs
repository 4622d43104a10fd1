//! Criterion over one question; run with `cargo bench --bench set_up`.

use std::process::ExitCode;

fn main() -> ExitCode {
    benches::criterion_main(benches::Question::SetUp)
}
