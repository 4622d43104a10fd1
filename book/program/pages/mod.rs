//! The rules for the pages: nothing missing, nothing unquoted, nothing dead, nothing claimed that no program prints.
//!
//! mdBook says nothing when a quoted anchor does not exist, and leaves a hole in the page. So each rule here looks at
//! the Markdown itself, and at the files that it names.

mod claims;
mod glossary;
mod includes;
mod links;
mod prose;
mod summary;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{examples, workspace};

/// One page's Markdown.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

impl Page {
    /// A page that a test made up.
    #[cfg(test)]
    fn made_up(text: &str) -> Self {
        Self { path: workspace::pages().join("made-up.md"), text: text.to_owned() }
    }

    /// The page's name in messages.
    fn name(&self) -> String {
        self.path.strip_prefix(workspace::root()).unwrap_or(&self.path).display().to_string()
    }

    /// Its file's name.
    fn name_alone(&self) -> PathBuf {
        self.path.file_name().unwrap_or_default().into()
    }

    /// A path that the page gives, seen from where the page is.
    fn resolve(&self, target: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(target)
    }
}

/// Every breach of a rule, a line each; none when the pages are in order.
///
/// # Errors
///
/// A page or an example cannot be read at all.
pub fn problems() -> Result<Vec<String>> {
    let (tables, pages): (Vec<_>, Vec<_>) =
        read_all(&workspace::pages())?.into_iter().partition(|page| page.path.starts_with(tables()));
    let listings = examples::sources()?.into_values();
    let mut quotable: Vec<_> = listings.flat_map(|source| [source.with_extension("out"), source]).collect();
    quotable.extend(examples::exercises()?);
    quotable.extend(tables.iter().map(|table| table.path.clone()));
    let mut problems = summary::problems(&pages);
    problems.extend(includes::unquoted(&pages, &quotable));
    problems.extend(glossary::problems(&pages));
    // What a table links to is seen from the page that quotes it.
    let quoted =
        tables.into_iter().map(|table| Page { path: workspace::pages().join(table.name_alone()), ..table });
    let outputs = claims::Outputs::of_all()?;
    for page in pages.into_iter().chain(quoted) {
        let page = &page;
        problems.extend(claims::problems(page, &outputs));
        problems.extend(includes::problems(page));
        problems.extend(links::problems(page));
        problems.extend(prose::problems(page));
    }
    Ok(problems)
}

/// The folder of what tests write in Markdown, to be quoted by pages.
fn tables() -> PathBuf {
    workspace::pages().join("tables")
}

/// Every Markdown file below `folder`, in the order of their names.
fn read_all(folder: &Path) -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    let mut entries: Vec<_> = folder.read_dir()?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for path in entries.into_iter().map(|entry| entry.path()) {
        if path.is_dir() {
            pages.extend(read_all(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            pages.push(Page { path, text });
        }
    }
    Ok(pages)
}
