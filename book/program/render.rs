//! mdBook as a library.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};
use mdbook_driver::MDBook;
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use crate::workspace;

/// Renders the pages and returns the folder they are in.
///
/// # Errors
///
/// mdBook fails, or warns: a warning (a file that could not be included, say) would otherwise leave a hole in a page
/// that still builds.
pub fn render() -> Result<PathBuf> {
    let warnings = Warnings::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::WARN)
        .with_writer(warnings.clone())
        .with_ansi(false)
        .without_time()
        .finish();
    let pages = tracing::subscriber::with_default(subscriber, || -> Result<PathBuf> {
        let book = MDBook::load(workspace::book())?;
        book.build()?;
        Ok(book.build_dir_for("html"))
    })?;
    let warned = warnings.text();
    if !warned.is_empty() {
        bail!("mdBook warned about the pages:\n{warned}");
    }
    Ok(pages.canonicalize()?)
}

/// What mdBook logged at the level of a warning or above.
#[derive(Debug, Clone, Default)]
struct Warnings(Arc<Mutex<Vec<u8>>>);

impl Warnings {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Warnings {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Warnings {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
