//! Claims that are checked: what a table says is to be seen, is to be seen where it says.
//!
//! A table whose last column is headed *see*, or whose first is headed *where*, cites programs. Each phrase that it puts
//! in quotation marks must stand in what those programs printed. A program is cited by its name, or by a link to the
//! page or the section that quotes it or its output; a row that cites none goes on with the program of the row above. A
//! script of ashmem's is cited by its name as well, and stands for what the driver answered.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use regex::Regex;

use super::{Page, includes, links};
use crate::{examples, workspace};

/// What ashmem's driver answered to each script.
const TRANSCRIPTS: &str = "fd-shm/tests/ashmem/recorded";

/// What the programs printed, by the programs' names.
#[derive(Debug)]
pub(super) struct Outputs(BTreeMap<String, PathBuf>);

impl Outputs {
    /// Of every example, and of every script.
    pub(super) fn of_all() -> Result<Self> {
        let sources = examples::sources()?.into_iter();
        let mut outputs: BTreeMap<_, _> =
            sources.map(|(name, source)| (name, source.with_extension("out"))).collect();
        for entry in fs::read_dir(workspace::root().join(TRANSCRIPTS)).context(TRANSCRIPTS)? {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            outputs.insert(name, path);
        }
        Ok(Self(outputs))
    }
}

/// One row of a table that cites programs.
#[derive(Debug, Default)]
struct Row {
    /// The words of all cells, quotation marks among them.
    text: String,
    /// What stands in code style.
    codes: Vec<String>,
    /// Where its links lead.
    links: Vec<String>,
}

/// The phrases that are cited on this page and are not to be found.
pub(super) fn problems(page: &Page, outputs: &Outputs) -> Vec<String> {
    let quoted = Regex::new("\"([^\"]+)\"").expect("a pattern of this file");
    let mut problems = Vec::new();
    for table in tables(&page.text) {
        let mut printed = Vec::new();
        for row in table {
            let here = cited(page, &row, outputs);
            if !here.is_empty() {
                printed = here;
            }
            let phrases = quoted.captures_iter(&row.text).map(|found| found.extract().1);
            let missing =
                phrases.filter(|[phrase]| !printed.iter().any(|text| text.contains(&in_one_line(phrase))));
            problems.extend(
                missing.map(|[phrase]| format!("{}: no cited program prints \"{phrase}\"", page.name())),
            );
        }
    }
    problems
}

/// The rows of each table that cites programs.
fn tables(text: &str) -> Vec<Vec<Row>> {
    let (mut found, mut rows, mut row) = (Vec::new(), Vec::new(), Row::default());
    let (mut head, mut cell) = (Vec::new(), String::new());
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. }) => row.links.push(dest_url.into_string()),
            Event::Text(text) | Event::InlineHtml(text) => cell.push_str(&text),
            Event::Code(code) => {
                cell.push_str(&code);
                row.codes.push(code.into_string());
            }
            Event::SoftBreak => cell.push(' '),
            Event::Start(Tag::Table(_)) => (rows, head) = (Vec::new(), Vec::new()),
            Event::Start(Tag::TableHead | Tag::TableRow) => row = Row::default(),
            Event::Start(Tag::TableCell) => cell.clear(),
            Event::End(TagEnd::TableCell) => {
                head.push(cell.trim().to_owned());
                row.text.push_str(&cell);
                row.text.push_str(" | ");
            }
            Event::End(TagEnd::TableHead) => {
                let cites = head.first().is_some_and(|first| first == "where")
                    || head.last().is_some_and(|last| last == "see");
                rows = if cites { vec![Row::default()] } else { Vec::new() };
            }
            Event::End(TagEnd::TableRow) if !rows.is_empty() => rows.push(std::mem::take(&mut row)),
            Event::End(TagEnd::Table) if !rows.is_empty() => found.push(std::mem::take(&mut rows)),
            _ => {}
        }
    }
    found
}

/// What the programs printed that a row cites, each in one line.
fn cited(page: &Page, row: &Row, outputs: &Outputs) -> Vec<String> {
    let named = row.codes.iter().filter_map(|code| outputs.0.get(code).cloned());
    let linked = row.links.iter().flat_map(|link| outputs_in(page, link));
    let files = named.chain(linked).filter_map(|path| fs::read_to_string(path).ok());
    files.map(|text| in_one_line(&text)).collect()
}

/// The outputs of the programs that are quoted where a link leads: in one section, or on the whole page.
fn outputs_in(page: &Page, link: &str) -> Vec<PathBuf> {
    let (file, fragment) = link.split_once('#').map_or((link, None), |(file, part)| (file, Some(part)));
    let path = if file.is_empty() { page.path.clone() } else { page.resolve(file) };
    let Ok(text) = fs::read_to_string(&path) else { return Vec::new() };
    let text = fragment.map_or(text.as_str(), |fragment| links::section(&text, fragment));
    let quoted = includes::files(&Page { path, text: text.to_owned() });
    // What is no program has no such file, and is passed over when it is read.
    quoted.into_iter().map(|path| path.with_extension("out")).collect()
}

/// The text with single spaces: an output breaks its lines where it must.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Outputs, Page, problems};

    #[test]
    fn a_phrase_is_looked_for_where_the_row_says() {
        let outputs = Outputs::of_all().expect("the examples");
        let table = |row: &str| format!("| it sounds as if | but | see |\n| --- | --- | --- |\n{row}\n");
        for (row, sound) in [
            ("| a | b | \"One file: no\" in `fd_09_one_label` |", true),
            ("| a | b | \"One file: yes\" in `fd_09_one_label` |", false),
            ("| a | b | \"One file: no\" |", false),
            ("| a | b | \"A pin r 3p 1p -> WAS PURGED\" in `ranges_merged_inherit_the_flag` |", true),
            ("| a | b | `fd_09_one_label` |\n| c | d | the line \"One file: no\" |", true),
            (
                "| a | b | [there](ashmem-and-memfd.md#one-step-left-out): \"two additions of 1 make 1\" |",
                true,
            ),
            (
                "| a | b | [there](ashmem-and-memfd.md#server-and-client): \"two additions of 1 make 1\" |",
                false,
            ),
        ] {
            let found = problems(&Page::made_up(&table(row)), &outputs);
            assert_eq!(found.is_empty(), sound, "{row}: {found:?}");
        }
        let other = "| it | says |\n| --- | --- |\n| a | \"nothing of a program\" |\n";
        assert_eq!(problems(&Page::made_up(other), &outputs), [""; 0]);
    }
}
