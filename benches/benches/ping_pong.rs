//! Criterion over one question; run with `cargo bench --bench ping_pong`.

mod frame;

use std::process::ExitCode;

fn main() -> ExitCode {
    frame::main_of(benches::Question::PingPong)
}
