//! Prose: sentences end, and nothing is left as a reminder.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::Page;

/// Words that mark something as unfinished.
const REMINDERS: [&str; 5] = ["TODO", "FIXME", "TBD", "XXX", "lorem ipsum"];

/// The paragraphs of this page that end in the middle of a sentence, and the reminders left in it.
///
/// The summary is a list of titles, not prose.
pub(super) fn problems(page: &Page) -> Vec<String> {
    if page.path.ends_with("SUMMARY.md") {
        return Vec::new();
    }
    let unfinished = paragraphs(&page.text).into_iter().filter(|text| !is_finished(text));
    let unfinished = unfinished.map(|text| format!("{}: a sentence does not end: \"{text}\"", page.name()));
    let reminders = REMINDERS.into_iter().filter(|word| page.text.contains(word));
    let reminders = reminders.map(|word| format!("{}: \"{word}\" is left in it", page.name()));
    unfinished.chain(reminders).collect()
}

/// The text of each paragraph outside lists, tables and headings.
fn paragraphs(text: &str) -> Vec<String> {
    let (mut found, mut paragraph, mut lists) = (Vec::new(), None::<String>, 0_usize);
    for event in Parser::new_ext(text, Options::all()) {
        match event {
            Event::Start(Tag::List(_)) => lists += 1,
            Event::End(TagEnd::List(_)) => lists = lists.saturating_sub(1),
            Event::Start(Tag::Paragraph) if lists == 0 => paragraph = Some(String::new()),
            Event::End(TagEnd::Paragraph) => found.extend(paragraph.take()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(paragraph) = &mut paragraph {
                    paragraph.push_str(&text);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some(paragraph) = &mut paragraph {
                    paragraph.push(' ');
                }
            }
            _ => {}
        }
    }
    found
}

fn is_finished(paragraph: &str) -> bool {
    let text = paragraph.trim();
    let quotes_a_file = text.starts_with("{{#") && text.ends_with("}}");
    text.is_empty() || quotes_a_file || text.trim_end_matches([')', '"', '*']).ends_with(['.', ':', '?', '!'])
}

#[cfg(test)]
mod tests {
    use super::{Page, problems};

    #[test]
    fn sentences_end() {
        for sound in
            ["# Heading\n\n- item\n\nA sentence.\n", "Like this:\n\n```\ncode\n```\n", "{{#include x.svg}}\n"]
        {
            assert_eq!(problems(&Page::made_up(sound)), [""; 0], "{sound}");
        }
        assert_eq!(problems(&Page::made_up("This one does not\n")).len(), 1);
        assert_eq!(problems(&Page::made_up("A reminder: TODO.\n")).len(), 1);
    }
}
