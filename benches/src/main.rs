//! Measures all questions, prints one table, and writes it as JSON or as a page where asked.

use std::fmt::Display;
use std::fs::File;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use benches::table::Table;
use benches::{
    Comparison, Effort, Environment, Failure, Findings, Place, Question, Report, SCHEMA, become_if_asked,
    page, prepare,
};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

/// Compares ways in which processes share memory, and holds this workspace's libraries against raw system
/// calls.
///
/// Takes less than a minute, or with --full some minutes. Close other programs first: with less than two idle
/// CPUs the figures are about the others.
#[derive(Debug, Parser)]
#[command(name = "benches", version)]
struct Arguments {
    /// Measure more, larger and three times over: the run that figures are quoted from
    #[arg(long, conflicts_with = "quick")]
    full: bool,

    /// A run of a few seconds, which shows that everything works; its figures are not worth quoting
    #[arg(long)]
    quick: bool,

    /// Answer these questions only
    #[arg(long, value_name = "QUESTION", value_delimiter = ',')]
    only: Vec<Question>,

    /// Write the environment and all rows to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write a page with plots to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Measure nothing, but say what changed from one run to another, beyond noise
    #[arg(long, num_args = 2, value_names = ["A.json", "B.json"], exclusive = true)]
    compare: Option<Vec<PathBuf>>,
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
    if let Some([before, after]) = arguments.compare.as_deref() {
        let (before, after) = (read(before)?, read(after)?);
        return print(&Comparison(&before, &after));
    }
    // Opened before the work, so that a name that cannot be written to costs nobody half a minute.
    let opened = |path: &Option<PathBuf>| {
        path.as_deref().map(|path| create(path).map(|file| (path.to_owned(), file))).transpose()
    };
    let (json, html) = (opened(&arguments.json)?, opened(&arguments.html)?);
    if cfg!(debug_assertions) {
        eprintln!("benches: built without --release; the figures are about the debug build");
    }
    let effort = match (arguments.full, arguments.quick) {
        (true, _) => Effort::FULL,
        (_, true) => Effort::QUICK,
        _ => Effort::MINUTE,
    };
    let place = Place::take()?;
    let questions = if arguments.only.is_empty() { Question::ALL.to_vec() } else { arguments.only.clone() };
    let report = measure(&questions, place, effort)?;
    if let Some((path, file)) = json {
        let text =
            serde_json::to_string_pretty(&report).map_err(|e| Failure::new(format!("the report: {e}")))?;
        write(&path, file, &text)?;
    }
    if let Some((path, file)) = html {
        write(&path, file, page(&report)?.trim_end())?;
    }
    print(&Table(&report))
}

fn print(text: &impl Display) -> Result<(), Failure> {
    write!(stdout(), "{text}").map_err(|e| Failure::call("write(standard output)", &e))
}

/// A report that an earlier run has written.
fn read(path: &Path) -> Result<Report, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::call(format!("open({}, O_RDONLY)", path.display()), &e))?;
    let report: Report = serde_json::from_str(&text)
        .map_err(|e| Failure::new(format!("{}: no report of this program's shape: {e}", path.display())))?;
    match report.schema {
        SCHEMA => Ok(report),
        other => {
            Err(Failure::new(format!("{}: schema {other}, this program knows {SCHEMA}", path.display())))
        }
    }
}

/// Answers one question after the other, each in as many rounds as the effort says.
fn measure(questions: &[Question], place: Place, effort: Effort) -> Result<Report, Failure> {
    let environment = Environment::look(place);
    let bar = progress_bar(questions, place, effort);
    let (mut rows, mut missing) = (Vec::new(), Vec::new());
    for &question in questions {
        bar.set_message(question.title());
        let mut findings = Findings::new(question);
        for _ in 0..effort.rounds {
            for group in prepare(question, place, effort) {
                findings.add(group()?, effort)?;
                bar.inc(1);
            }
        }
        rows.extend(findings.rows()?);
        missing.extend(findings.into_missing());
    }
    bar.finish_and_clear();
    Ok(Report { schema: SCHEMA, environment, rows, missing })
}

/// A bar on standard error, for somebody who watches: it hides where that is no terminal.
fn progress_bar(questions: &[Question], place: Place, effort: Effort) -> ProgressBar {
    let groups: usize = questions.iter().map(|&question| prepare(question, place, effort).len()).sum();
    let bar = ProgressBar::new((groups * effort.rounds) as u64);
    let style = ProgressStyle::with_template("{msg:12} [{bar:40}] {pos}/{len} groups, {elapsed}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|e| Failure::call(format!("open({}, O_CREAT | O_TRUNC)", path.display()), &e))
}

fn write(path: &Path, mut file: File, text: &str) -> Result<(), Failure> {
    writeln!(file, "{text}").map_err(|e| Failure::call(format!("write({})", path.display()), &e))
}
