//! Criterion over one question; run with `cargo bench --bench scale`.

mod frame;

use std::process::ExitCode;

fn main() -> ExitCode {
    frame::main_of(benches::Question::Scale)
}
