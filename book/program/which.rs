//! Chapter 17's table, from what its program printed, and its picture, from the page's own advice.

use anyhow::{Context, Result, ensure};

use crate::picture::choice::{self, Choice};

/// What heads the page's advice.
const ADVICE: &str = "| if | take |";

/// The answers in Markdown: a row for each question, a column for each way.
///
/// # Errors
///
/// A question does not have the same ways as the one before it.
pub fn table(printed: &str) -> Result<String> {
    let questions: Vec<_> = printed.split("\n\n").skip(1).map(question).collect();
    let (_, first) = questions.first().context("no question was answered")?;
    let ways: Vec<_> = first.iter().map(|&(way, _)| way).collect();
    let mut text = format!("| | {} |\n|{}\n", ways.join(" | "), " --- |".repeat(ways.len() + 1));
    for (asked, answers) in &questions {
        ensure!(answers.iter().map(|&(way, _)| way).eq(ways.iter().copied()), "{asked}: by other ways");
        let answers: Vec<_> = answers.iter().map(|&(_, answer)| answer).collect();
        text.push_str(&format!("| {asked} | {} |\n", answers.join(" | ")));
    }
    Ok(text)
}

/// A question, and the answer by each way.
fn question(block: &str) -> (&str, Vec<(&str, &str)>) {
    let mut lines = block.lines();
    let asked = lines.next().unwrap_or_default();
    (
        asked,
        lines.filter_map(|line| line.trim().split_once("  ")).map(|(way, rest)| (way, rest.trim())).collect(),
    )
}

/// The picture of the advice that the page gives.
///
/// # Errors
///
/// The page has no such table.
pub fn picture(page: &str) -> Result<String> {
    let rows = page.lines().skip_while(|line| !line.starts_with(ADVICE)).skip(2);
    let choices: Vec<_> = rows.map_while(choice_of).collect();
    ensure!(!choices.is_empty(), "the page has no table headed {ADVICE}");
    Ok(choice::draw("What to ask, and what to take where the answer is yes", &choices))
}

/// The first two cells of a row.
fn choice_of(row: &str) -> Option<Choice> {
    let mut cells = row.strip_prefix('|')?.split(" | ").map(|cell| cell.trim().to_owned());
    Some(Choice { case: cells.next()?, take: cells.next()? })
}

#[cfg(test)]
mod tests {
    use super::{picture, table};

    #[test]
    fn a_cell_is_what_was_printed() {
        let printed = "Heading.\n\nit is cut\n  System V     no\n  POSIX name   yes, at once\n\nit stays\n  System V     yes\n  POSIX name   yes\n";
        let made = "| | System V | POSIX name |\n| --- | --- | --- |\n| it is cut | no | yes, at once |\n| it stays | yes | yes |\n";
        assert_eq!(table(printed).expect("a table"), made);
        assert!(table(&printed.replace("stays\n  System V ", "stays\n  System W ")).is_err());
        assert!(table("Heading.\n").is_err());
    }

    #[test]
    fn the_picture_asks_what_the_page_asks() {
        let page =
            "Text.\n\n| if | take | see |\n| --- | --- | --- |\n| it rains | an umbrella | x |\n\nMore.\n";
        let drawn = picture(page).expect("a picture");
        assert!(drawn.contains("it rains") && drawn.contains("an umbrella"), "{drawn}");
        assert!(picture("Text.\n").is_err());
    }
}
