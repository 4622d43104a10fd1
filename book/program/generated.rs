//! The files that programs here make and pages quote: committed, and compared with what is made now.

use std::path::PathBuf;

use anyhow::Result;

use crate::recorded::{self, Difference};

/// Every generated file with the text it should hold.
fn files() -> Result<Vec<(PathBuf, String)>> {
    Ok(Vec::new())
}

/// Compares every generated file with what the programs make now.
///
/// # Errors
///
/// A file is missing or differs, and differences fail.
pub fn check(on_difference: Difference) -> Result<()> {
    for (path, text) in files()? {
        recorded::compare(&path, &text, on_difference)?;
    }
    Ok(())
}
