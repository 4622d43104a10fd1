//! `cargo run -p book`: checks that the book tells the truth, then builds and serves it.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use book::recorded::Difference;
use book::{examples, generated, pages, quoted, render, serve};
use clap::{Parser, Subcommand};

/// Runs every example, compares what it prints with what the book quotes, and serves the book.
#[derive(Debug, Parser)]
#[command(name = "book")]
struct Arguments {
    /// Open the book in a browser.
    #[arg(long)]
    open: bool,
    #[command(subcommand)]
    command: Option<Task>,
}

/// What to do instead of serving.
#[derive(Debug, Subcommand)]
enum Task {
    /// Only check and build, and print where the pages are.
    Build,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A half-written progress line must not run into the error.
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let pages = build()?;
    let index = pages.join("index.html");
    if let Some(Task::Build) = arguments.command {
        println!("\nThe book is in {}", index.display());
        return if arguments.open { open_in_browser(&index) } else { Ok(()) };
    }
    let listener = serve::listen(serve::FIRST_PORT).context("looking for a free port")?;
    let address = format!("http://{}", listener.local_addr()?);
    println!("\nThe book is at {address} (Ctrl-C ends it)");
    if arguments.open
        && let Err(error) = open_in_browser(Path::new(&address))
    {
        eprintln!("{error:#}"); // the pages are served all the same
    }
    serve::serve(listener, &pages)
}

/// The whole way from the listings to the pages, each step announced.
fn build() -> Result<PathBuf> {
    println!("1/5  building the examples");
    let examples = examples::build()?;
    println!("2/5  running the {} examples", examples.len());
    let all_must_show = env::var_os("CI").is_some();
    let mut progress = io::stdout();
    quoted::check(&examples, Difference::Fails, all_must_show, &mut progress)?;
    println!("3/5  making the pictures and tables again");
    generated::check(Difference::Fails)?;
    println!("4/5  checking the pages");
    let problems = pages::problems()?;
    anyhow::ensure!(problems.is_empty(), "the pages have problems:\n{}", problems.join("\n"));
    print!("5/5  rendering");
    io::stdout().flush()?;
    let rendered = render::render()?;
    println!();
    Ok(rendered)
}

fn open_in_browser(place: &Path) -> Result<()> {
    open::that_detached(place).with_context(|| format!("opening {} in a browser", place.display()))
}
