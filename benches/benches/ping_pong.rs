//! Criterion over one question; run with `cargo bench --bench ping_pong`.

use std::process::ExitCode;

fn main() -> ExitCode {
    benches::criterion_main(benches::Question::PingPong)
}
