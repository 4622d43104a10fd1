//! Criterion over one question; run with `cargo bench --bench bulk_copy`.

use std::process::ExitCode;

fn main() -> ExitCode {
    benches::criterion_main(benches::Question::BulkCopy)
}
