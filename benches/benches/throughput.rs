//! Criterion over one question; run with `cargo bench --bench throughput`.

use std::process::ExitCode;

fn main() -> ExitCode {
    benches::criterion_main(benches::Question::Throughput)
}
