//! Quoted files: each exists, each anchor in it exists, and no listing or output is left out of the book.

use std::fs;
use std::path::PathBuf;

use regex::Regex;

use super::Page;

/// One `{{#include path:anchor}}`.
#[derive(Debug, PartialEq, Eq)]
struct Include {
    /// The directive: `include`, or one of mdBook's others.
    verb: String,
    /// The file, as the page names it.
    path: String,
    /// What follows the first colon.
    anchor: Option<String>,
}

/// What is wrong with the files that this page quotes.
pub(super) fn problems(page: &Page) -> Vec<String> {
    let of_page = |problem| format!("{}: {problem}", page.name());
    includes(&page.text).iter().filter_map(|include| problem(page, include)).map(of_page).collect()
}

/// The files of `quotable` that no page quotes.
pub(super) fn unquoted(pages: &[Page], quotable: &[PathBuf]) -> Vec<String> {
    let quoted: Vec<PathBuf> = pages
        .iter()
        .flat_map(|page| includes(&page.text).into_iter().map(|include| page.resolve(&include.path)))
        .filter_map(|path| path.canonicalize().ok())
        .collect();
    let missing =
        quotable.iter().filter(|path| path.canonicalize().map_or(true, |path| !quoted.contains(&path)));
    missing.map(|path| format!("{}: no page quotes it", path.display())).collect()
}

/// The files that this page quotes.
pub(super) fn files(page: &Page) -> Vec<PathBuf> {
    includes(&page.text).iter().map(|include| page.resolve(&include.path)).collect()
}

fn includes(text: &str) -> Vec<Include> {
    let directive =
        Regex::new(r"(\\?)\{\{\s*#(\w+)\s+([^}:]+)(?::([^}]*))?\}\}").expect("a pattern of this file");
    directive
        .captures_iter(text)
        .filter(|found| found[1].is_empty()) // a backslash shows the directive itself
        .map(|found| Include {
            verb: found[2].to_owned(),
            path: found[3].trim().to_owned(),
            anchor: found.get(4).map(|anchor| anchor.as_str().trim().to_owned()),
        })
        .collect()
}

fn problem(page: &Page, include: &Include) -> Option<String> {
    let Include { verb, path, anchor } = include;
    if verb != "include" {
        return Some(format!("#{verb} is not used here, only #include"));
    }
    let Ok(text) = fs::read_to_string(page.resolve(path)) else {
        return Some(format!("quotes {path}, which cannot be read"));
    };
    let anchor = anchor.as_deref()?;
    if anchor.contains(':') || anchor.parse::<usize>().is_ok() {
        return Some(format!("quotes lines {anchor} of {path}: name an anchor, lines move"));
    }
    match anchored(&text, anchor) {
        Some(quoted) if !quoted.trim().is_empty() => None,
        Some(_) => Some(format!("quotes {path}:{anchor}, which is empty")),
        None => Some(format!("quotes {path}:{anchor}, and there is no such anchor")),
    }
}

/// The text between an anchor's two marks; `None` unless both are there, in order, once each.
fn anchored<'a>(text: &'a str, anchor: &str) -> Option<&'a str> {
    let only = |mark: &str| {
        let pattern = format!(r"(?m)\b{mark}: *{}\s*(?:-->)?\s*$", regex::escape(anchor));
        let pattern = Regex::new(&pattern).expect("an escaped anchor");
        let mut found = pattern.find_iter(text);
        found.next().filter(|_| found.next().is_none())
    };
    let (start, end) = (only("ANCHOR")?, only("ANCHOR_END")?);
    // What is left at the end opens the comment of the second mark: of Rust, or of Markdown.
    text.get(start.end()..end.start()).map(|quoted| quoted.trim_end_matches(['/', ' ', '<', '!', '-']))
}

#[cfg(test)]
mod tests {
    use super::{Page, anchored, problems};

    #[test]
    fn an_anchor_needs_both_its_marks() {
        let text = "// ANCHOR: whole\nfn whole() {}\n// ANCHOR_END: whole\n// ANCHOR: open\nfn open() {}\n";
        assert_eq!(anchored(text, "whole").map(str::trim), Some("fn whole() {}"));
        let text = format!("{text}<!-- ANCHOR: table -->\n| a |\n<!-- ANCHOR_END: table -->\n");
        assert_eq!(anchored(&text, "table").map(str::trim), Some("| a |"));
        let text = &text;
        assert_eq!(anchored(text, "open"), None);
        assert_eq!(anchored(text, "absent"), None);
    }

    #[test]
    fn every_way_to_quote_nothing_is_found() {
        for (text, expected) in [
            ("{{#include absent.rs}}", "quotes absent.rs, which cannot be read"),
            ("{{#include ../program/lib.rs:absent}}", "and there is no such anchor"),
            ("{{#include ../program/lib.rs:3:9}}", "name an anchor, lines move"),
            ("{{#rustdoc_include ../program/lib.rs}}", "#rustdoc_include is not used here"),
        ] {
            let found = problems(&Page::made_up(text));
            assert!(found.len() == 1 && found[0].contains(expected), "{text}: {found:?}");
        }
        assert_eq!(problems(&Page::made_up("{{#include ../program/lib.rs}} \\{{#include x}}")), [""; 0]);
    }
}
