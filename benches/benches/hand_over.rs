//! Criterion over one question; run with `cargo bench --bench hand_over`.

use std::process::ExitCode;

fn main() -> ExitCode {
    benches::criterion_main(benches::Question::HandOver)
}
