//! The glossary: in order, each term once, and each link leads to a section that uses the term.
//!
//! An entry is an item of a definition list. It ends with where the term is shown: `Chapter 5, [Server and
//! client](ashmem-and-memfd.md#server-and-client).` What is in the link's text is the heading, or the page's title.

use std::collections::BTreeMap;
use std::fs;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use regex::Regex;

use super::{Page, includes, links};

/// The page that this is about.
const PAGE: &str = "glossary.md";

/// One entry.
#[derive(Debug, Default)]
struct Entry {
    /// What is explained.
    term: String,
    /// The explanation, as text.
    text: String,
    /// Its links: where each leads, and what it says.
    links: Vec<(String, String)>,
}

/// Every breach of the rules, for the glossary among these pages.
pub(super) fn problems(pages: &[Page]) -> Vec<String> {
    let named =
        |name: &str| pages.iter().find(|page| page.path.file_name().is_some_and(|found| found == name));
    let (Some(glossary), Some(summary)) = (named(PAGE), named("SUMMARY.md")) else {
        return vec![format!("{PAGE} is missing")];
    };
    let entries = entries(&glossary.text);
    let chapters = chapters(&summary.text);
    let unordered = entries.windows(2).filter(|pair| sorted_by(&pair[0].term) >= sorted_by(&pair[1].term));
    let unordered = unordered.map(|pair| format!("\"{}\" stands before \"{}\"", pair[0].term, pair[1].term));
    let broken = entries.iter().flat_map(|entry| in_entry(entry, glossary, &chapters));
    let mut problems: Vec<_> = unordered.chain(broken).collect();
    if entries.is_empty() {
        problems.push("there is no entry".into());
    }
    problems.into_iter().map(|problem| format!("{PAGE}: {problem}")).collect()
}

/// What is wrong with one entry.
fn in_entry(entry: &Entry, glossary: &Page, chapters: &BTreeMap<String, String>) -> Vec<String> {
    let Entry { term, text, links } = entry;
    let Some((target, says)) = links.last() else {
        return vec![format!("\"{term}\" says nothing of where it is shown")];
    };
    let (file, id) = target.split_once('#').map_or((target.as_str(), None), |(file, id)| (file, Some(id)));
    let Ok(page) = fs::read_to_string(glossary.resolve(file)) else {
        return vec![format!("\"{term}\" leads to {file}, which is not there")];
    };
    let mut problems = Vec::new();
    if links::heading(&page, id).as_ref() != Some(says) {
        problems.push(format!("\"{term}\" leads to {target}, which is not called \"{says}\""));
    }
    let place = chapters.get(file).map(|place| format!("{place}, {says}."));
    if !place.as_ref().is_some_and(|place| text.ends_with(place.as_str())) {
        problems.push(format!("\"{term}\" does not end with {}", place.unwrap_or("a chapter".into())));
    }
    if !uses(&glossary.resolve(file), &page, term) {
        problems.push(format!("\"{term}\" leads to {file}, where the term does not occur"));
    }
    problems
}

/// Whether a page, or a file that it quotes, has the term as a word, inflected or not, in any letters.
fn uses(path: &std::path::Path, text: &str, term: &str) -> bool {
    let words: Vec<_> = term.split_whitespace().map(regex::escape).collect();
    let Ok(term) = Regex::new(&format!(r"(?i)\b{}(?:e?s|d|n?ed|n?ing)?\b", words.join(r"\s+"))) else {
        return false;
    };
    let page = Page { path: path.to_owned(), text: text.to_owned() };
    let quoted = includes::files(&page).into_iter().filter_map(|path| fs::read_to_string(path).ok());
    term.is_match(text) || quoted.into_iter().any(|text| term.is_match(&text))
}

/// The key by which terms are in order: letters and digits alone, small.
fn sorted_by(term: &str) -> String {
    term.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase()
}

/// What each page is called in an entry: `Chapter 5`, `Chapter 11.1`, `Appendix B`.
fn chapters(summary: &str) -> BTreeMap<String, String> {
    let line = Regex::new(r"^( *- )?\[(Appendix \w)?[^]]*\]\(([^)]*)\)$").expect("a pattern of this file");
    let (mut chapter, mut part) = (0, 0);
    let mut found = BTreeMap::new();
    for line in summary.lines().filter_map(|text| line.captures(text)) {
        let place = match (line.get(1).map(|mark| mark.len()), line.get(2)) {
            (Some(2), _) => {
                (chapter, part) = (chapter + 1, 0);
                format!("Chapter {chapter}")
            }
            (Some(_), _) => {
                part += 1;
                format!("Chapter {chapter}.{part}")
            }
            (None, Some(appendix)) => appendix.as_str().to_owned(),
            (None, None) => continue,
        };
        found.insert(line[3].to_owned(), place);
    }
    found
}

/// The items of the page's definition lists.
fn entries(text: &str) -> Vec<Entry> {
    let (mut entries, mut entry, mut place) = (Vec::new(), None::<Entry>, Place::Text);
    for event in Parser::new_ext(text, Options::all()) {
        match event {
            Event::Start(Tag::DefinitionListTitle) => (entry, place) = (Some(Entry::default()), Place::Term),
            Event::End(TagEnd::DefinitionListTitle | TagEnd::Link) => place = Place::Text,
            Event::End(TagEnd::DefinitionListDefinition) => entries.extend(entry.take()),
            Event::Start(Tag::Link { dest_url, .. }) => {
                place = Place::Link;
                if let Some(entry) = &mut entry {
                    entry.links.push((dest_url.into_string(), String::new()));
                }
            }
            Event::Text(text) | Event::Code(text) => {
                entry.iter_mut().for_each(|entry| entry.add(place, &text))
            }
            Event::SoftBreak => entry.iter_mut().for_each(|entry| entry.add(place, " ")),
            _ => {}
        }
    }
    entries
}

/// Where in an entry the text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the term.
    Term,
    /// In the explanation.
    Text,
    /// In a link of the explanation.
    Link,
}

impl Entry {
    fn add(&mut self, place: Place, text: &str) {
        if place == Place::Term {
            return self.term.push_str(text);
        }
        self.text.push_str(text);
        if let (Place::Link, Some((_, says))) = (place, self.links.last_mut()) {
            says.push_str(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Page, problems};
    use crate::workspace;

    /// What is wrong with a glossary of these entries.
    fn of(entries: &str) -> Vec<String> {
        let page =
            |name: &str, text: &str| Page { path: workspace::pages().join(name), text: text.to_owned() };
        let summary = "# Summary\n\n[About](introduction.md)\n\n- [One](three-ways-in.md)\n- [Two]()\n  \
                       - [Deep](how-we-know.md)\n\n[Appendix B: more](ashmem-to-memfd.md)\n";
        problems(&[page("glossary.md", entries), page("SUMMARY.md", summary)])
    }

    const KEY: &str = "key\n: A number. Chapter 1, [The stranger](three-ways-in.md#the-stranger).\n";

    #[test]
    fn what_is_in_order_passes() {
        let script = "`script`\n: Calls, a line each; see [here](introduction.md). Chapter 2.1,\n  \
                      [How we know](how-we-know.md).\n";
        let memory = "memory file\n: A file. Appendix B, [Call by call](ashmem-to-memfd.md#call-by-call).\n";
        assert_eq!(of(&[KEY, memory, script].join("\n")), [""; 0]);
    }

    #[test]
    fn every_breach_is_found() {
        let again = format!("{KEY}\n{KEY}");
        for (entries, expected) in [
            ("Nothing.\n", "there is no entry"),
            ("key\n: A number.\n", "says nothing of where"),
            (again.as_str(), "\"key\" stands before \"key\""),
            (&KEY.replace("Chapter 1", "Chapter 2"), "does not end with Chapter 1, The stranger."),
            (&KEY.replace("[The stranger]", "[The owner]"), "which is not called \"The owner\""),
            (&KEY.replace("#the-stranger", "#nobody"), "which is not called"),
            (&KEY.replace("three-ways-in", "absent"), "leads to absent.md, which is not there"),
            (&KEY.replace("key\n", "keystone\n"), "where the term does not occur"),
        ] {
            let found = of(entries);
            assert!(found.iter().any(|found| found.contains(expected)), "{entries}: {found:?}");
        }
    }
}
