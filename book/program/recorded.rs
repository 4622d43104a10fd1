//! Comparing a text with the committed one, or rewriting the committed one.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use similar::TextDiff;

/// What to do about a committed text that is not what a program makes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// It is an error, and the message holds the diff.
    Fails,
    /// The committed text is rewritten: `BLESS=1`.
    IsRecorded,
}

impl Difference {
    /// `IsRecorded` when the environment holds `BLESS=1`.
    pub fn from_environment() -> Self {
        match std::env::var_os("BLESS") {
            Some(value) if value == "1" => Self::IsRecorded,
            _ => Self::Fails,
        }
    }
}

/// Compares `now` with the committed file at `path`.
///
/// # Errors
///
/// The file is missing or differs, and differences fail; or it cannot be read or written.
pub fn compare(path: &Path, now: &str, on_difference: Difference) -> Result<()> {
    let committed = match fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    if committed.as_deref() == Some(now) {
        return Ok(());
    }
    if on_difference == Difference::IsRecorded {
        return fs::write(path, now).with_context(|| format!("writing {}", path.display()));
    }
    match committed {
        None => bail!("{} is missing; BLESS=1 records it:\n{now}", path.display()),
        Some(committed) => {
            let diff = TextDiff::from_lines(committed.as_str(), now);
            bail!(
                "{} is not what the program makes now (- committed, + now):\n{}",
                path.display(),
                diff.unified_diff().context_radius(3)
            )
        }
    }
}
