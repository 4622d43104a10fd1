//! The files that programs here make and pages quote: committed, and compared with what is made now.

use std::path::PathBuf;

use anyhow::{Context, Result};
use binder_sim::driver::Translation;
use binder_sim::fd_table::FdRow;
use binder_sim::story;
use binder_sim::trace::Trace;

use crate::picture::sequence::{self, Step};
use crate::picture::translation::{self, Table};
use crate::recorded::{self, Difference};
use crate::workspace;

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

/// Every generated file with the text it should hold.
fn files() -> Result<Vec<(PathBuf, String)>> {
    let (_, classic) = story::one_descriptor(Translation::Classic)?;
    let (_, deferred) = story::one_descriptor(Translation::Deferred)?;
    let pictures = [
        ("translation.svg", tables(&deferred)?),
        ("transaction-classic.svg", steps(&classic)?),
        ("transaction-deferred.svg", steps(&deferred)?),
    ];
    Ok(pictures.map(|(name, text)| (workspace::pages().join("pictures").join(name), text)).into())
}

/// The two tables after the transaction, and the one open file.
fn tables(trace: &Trace) -> Result<String> {
    let row = trace.translations.first().context("the story translates a descriptor")?;
    let table = |process: &str, entries: &[FdRow]| Table {
        process: process.to_owned(),
        entries: entries.iter().map(|entry| (entry.fd, entry.file.clone())).collect(),
    };
    let (sender, receiver) = trace.after();
    let translation =
        translation::Translation { sent: row.sender_fd, file: row.file.clone(), received: row.receiver_fd };
    Ok(translation::draw(&table(&trace.sender, sender), &table(&trace.receiver, receiver), &translation))
}

/// The steps, with the one at which the receiver's number is chosen marked.
fn steps(trace: &Trace) -> Result<String> {
    let chosen = trace.translations.first().context("the story translates a descriptor")?.chosen_at_step;
    let steps: Vec<_> = trace
        .rows
        .iter()
        .map(|row| Step {
            lane: usize::from(row.in_call_of == trace.receiver),
            function: row.function.clone(),
            text: row.text.clone(),
            accent: row.step == chosen,
        })
        .collect();
    let title = format!("One transaction with a descriptor, in the {} scheme", trace.translation);
    Ok(sequence::draw(&title, &[&trace.sender, &trace.receiver], &steps))
}
