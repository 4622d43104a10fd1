//! The report.
fn main() {}
