//! Links within the book and mentions of the workspace's files: what they point at is there.

use std::fs;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use regex::Regex;

use super::Page;
use crate::workspace;

/// The links of this page that lead nowhere, and the files it mentions that are not there.
pub(super) fn problems(page: &Page) -> Vec<String> {
    let mut problems = Vec::new();
    for event in Parser::new_ext(&page.text, Options::all()) {
        let problem = match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                dead_link(page, &dest_url)
            }
            Event::Code(code) => missing_file(&code),
            _ => None,
        };
        problems.extend(problem.map(|problem| format!("{}: {problem}", page.name())));
    }
    problems
}

fn dead_link(page: &Page, target: &str) -> Option<String> {
    if target.starts_with("https://") || target.starts_with("mailto:") {
        return None;
    }
    if target.is_empty() && page.path.ends_with("SUMMARY.md") {
        return None; // a chapter that is planned: mdBook shows its title in grey
    }
    if target.is_empty() || target.contains("://") {
        return Some(format!("links to \"{target}\""));
    }
    let (file, fragment) = target.split_once('#').map_or((target, None), |(file, part)| (file, Some(part)));
    let path = if file.is_empty() { page.path.clone() } else { page.resolve(file) };
    let Ok(text) = fs::read_to_string(&path) else {
        return Some(format!("links to {file}, which is not there"));
    };
    let fragment = fragment?;
    let there = headings(&text).iter().any(|heading| heading == fragment);
    (!there).then(|| format!("links to {target}, and there is no such heading"))
}

/// The part of a page under the heading with this id, up to the next heading.
pub(super) fn section<'a>(text: &'a str, id: &str) -> &'a str {
    let headings = headings_at(text);
    let Some(place) = headings.iter().position(|(words, _)| slug(words) == id) else { return "" };
    let end = headings.get(place + 1).map_or(text.len(), |(_, start)| *start);
    text.get(headings[place].1..end).unwrap_or_default()
}

/// The words of the heading with this id, or of the page's first heading.
pub(super) fn heading(text: &str, id: Option<&str>) -> Option<String> {
    let mut words = headings_at(text).into_iter().map(|(words, _)| words);
    words.find(|words| id.is_none_or(|id| id == slug(words)))
}

/// The ids that mdBook gives to the headings of a page.
fn headings(text: &str) -> Vec<String> {
    headings_at(text).into_iter().map(|(words, _)| slug(&words)).collect()
}

/// Each heading's words, and where the heading begins.
fn headings_at(text: &str) -> Vec<(String, usize)> {
    let (mut headings, mut heading) = (Vec::new(), None::<String>);
    for (event, range) in Parser::new_ext(text, Options::all()).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                headings.extend(heading.take().map(|words| (words, range.start)))
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            _ => {}
        }
    }
    headings
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// A file or folder of this workspace that the text in code style names and that does not exist.
fn missing_file(code: &str) -> Option<String> {
    let path = Regex::new(r"^(?:sysv-shm|fd-shm|binder-sim|benches|book|\.ci)/[\w./-]*$")
        .expect("a pattern of this file");
    (path.is_match(code) && !workspace::root().join(code).exists())
        .then(|| format!("mentions {code}, which is not there"))
}

#[cfg(test)]
mod tests {
    use super::{Page, problems, slug};

    #[test]
    fn dead_links_and_missing_files_are_found() {
        for (text, expected) in [
            ("[there](absent.md)", "links to absent.md, which is not there"),
            ("[there](../book.toml#absent)", "there is no such heading"),
            ("[there](http://example.org)", "links to \"http://example.org\""),
            ("![picture](pictures/absent.svg)", "links to pictures/absent.svg"),
            ("See `book/absent.rs`.", "mentions book/absent.rs, which is not there"),
        ] {
            let found = problems(&Page::made_up(text));
            assert!(found.len() == 1 && found[0].contains(expected), "{text}: {found:?}");
        }
        let sound =
            "[out](https://example.org), [here](../book.toml) and `book/main.rs`, not `a/b` or `book/<x>`.";
        assert_eq!(problems(&Page::made_up(sound)), [""; 0]);
    }

    #[test]
    fn a_heading_has_the_id_that_mdbook_gives_it() {
        assert_eq!(slug("What shmget does, and why"), "what-shmget-does-and-why");
    }
}
