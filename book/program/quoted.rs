//! Every example, run, normalised, and compared with the output that the pages quote.

use std::io::Write;

use anyhow::{Context, Result};

use crate::examples::Example;
use crate::normalise::normalise;
use crate::recorded::{self, Difference};
use crate::run::{self, Outcome};

/// Examples that may say "not shown here" where everything else must be shown, each with its reason.
pub const MAY_BE_MISSING: [(&str, &str); 0] = [];

/// Runs every example in turn and says on `progress` how each went.
///
/// # Errors
///
/// An example fails, prints something else than its committed output, or cannot be shown while `all_must_show`
/// and is not in [`MAY_BE_MISSING`]. The message names it.
pub fn check(
    examples: &[Example],
    on_difference: Difference,
    all_must_show: bool,
    progress: &mut dyn Write,
) -> Result<()> {
    let width = examples.iter().map(|example| example.name.len()).max().unwrap_or(0);
    for example in examples {
        write!(progress, "  {:width$}  ", example.name)?;
        progress.flush()?;
        let verdict = check_one(example, on_difference, all_must_show)
            .with_context(|| format!("the example {} is not what the book says", example.name))?;
        writeln!(progress, "{verdict}")?;
    }
    Ok(())
}

fn check_one(example: &Example, on_difference: Difference, all_must_show: bool) -> Result<String> {
    match run::run(&example.program)? {
        Outcome::Printed(printed) => {
            recorded::compare(&example.recorded(), &normalise(&printed), on_difference)?;
            Ok("prints what the book quotes".into())
        }
        Outcome::NotShownHere(reason) => {
            let excused = MAY_BE_MISSING.iter().any(|(name, _)| *name == example.name);
            anyhow::ensure!(excused || !all_must_show, "it printed: {reason}");
            Ok(format!("{reason}; the book keeps the committed output"))
        }
    }
}
