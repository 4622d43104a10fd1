//! Measures all questions, prints one table, and writes it as JSON where asked.

use std::fs::File;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use benches::table::Table;
use benches::{Effort, Environment, Failure, Place, Question, Report, become_if_asked, measure, prepare};
use clap::Parser;

/// Compares ways in which processes share memory, and holds this workspace's libraries against raw system
/// calls.
///
/// Takes about a minute. Close other programs first: with less than two idle CPUs the figures are
/// about the others.
#[derive(Debug, Parser)]
#[command(name = "benches", version)]
struct Arguments {
    /// Write the environment and all rows to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// A run of a few seconds, which shows that everything works; its figures are not worth quoting
    #[arg(long)]
    quick: bool,
}

fn main() -> ExitCode {
    if let Some(code) = become_if_asked() {
        return code;
    }
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("benches: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    // Opened before the work, so that a name that cannot be written to costs nobody half a minute.
    let json = arguments.json.as_deref().map(|path| create(path).map(|file| (path, file))).transpose()?;
    if cfg!(debug_assertions) {
        eprintln!("benches: built without --release; the figures are about the debug build");
    }
    let effort = if arguments.quick { Effort::QUICK } else { Effort::FULL };
    let place = Place::take()?;
    let report = Report { environment: Environment::look(place), rows: rows(place, effort)? };
    if let Some((path, file)) = json {
        write(path, file, &report)?;
    }
    write!(stdout(), "{}", Table(&report)).map_err(|e| Failure::call("write(standard output)", &e))
}

/// Answers one question after the other, and says which on a terminal.
fn rows(place: Place, effort: Effort) -> Result<Vec<benches::Row>, Failure> {
    let mut rows = Vec::new();
    for question in Question::ALL {
        say(question.title());
        for mut group in prepare(question, place, effort)? {
            rows.extend(measure(question, &mut group, effort)?);
        }
    }
    say("");
    Ok(rows)
}

/// Shows what is being measured on a line that the next call replaces; only for somebody who watches.
fn say(what: &str) {
    if stderr().is_terminal() {
        let dots = if what.is_empty() { "" } else { " ..." };
        eprint!("\r\x1b[K{what}{dots}");
    }
}

fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|e| Failure::call(format!("open({}, O_CREAT | O_TRUNC)", path.display()), &e))
}

fn write(path: &Path, mut file: File, report: &Report) -> Result<(), Failure> {
    let mut text =
        serde_json::to_string_pretty(report).map_err(|e| Failure::new(format!("the report: {e}")))?;
    text.push('\n');
    file.write_all(text.as_bytes()).map_err(|e| Failure::call(format!("write({})", path.display()), &e))
}
