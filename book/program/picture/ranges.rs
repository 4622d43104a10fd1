//! The pages of a region as time goes by: a row for each call, a box round each unpinned range.

use super::drawing::{Anchor, Drawing, Face, Ink, count};

/// A range of pages, as one box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Its first page.
    pub first: usize,
    /// Its last.
    pub last: usize,
    /// Whether it counts as purged.
    pub purged: bool,
}

/// What a call left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The call.
    pub call: String,
    /// What it answered.
    pub answer: String,
    /// What is unpinned then.
    pub ranges: Vec<Range>,
    /// What each page holds; nothing where its memory was taken.
    pub pages: Vec<Option<char>>,
}

const WIDTH: f64 = 900.0;
const LEFT: f64 = 150.0;
const TOP: f64 = 36.0;
const ROW: f64 = 38.0;
const PAGE: f64 = 38.0;

/// Draws the moments downwards.
pub fn draw(title: &str, moments: &[Moment]) -> String {
    let mut drawing = Drawing::new(WIDTH, TOP + ROW * count(moments.len()) + 6.0, title);
    let pages = moments.iter().map(|moment| moment.pages.len()).max().unwrap_or(0);
    for page in 0..pages {
        drawing.text((middle(page), 22.0), Anchor::Middle, Face::Code, Ink::Faint, &page.to_string());
    }
    for (n, moment) in moments.iter().enumerate() {
        let y = TOP + ROW * count(n);
        drawing.line((10.0, y), (WIDTH - 10.0, y), Ink::Faint);
        drawing.text((14.0, y + 24.0), Anchor::Start, Face::Words, Ink::Plain, &moment.call);
        for range in &moment.ranges {
            let ink = if range.purged { Ink::Accent } else { Ink::File };
            let width = PAGE * count(range.last + 1 - range.first) - 4.0;
            drawing.boxed((LEFT + PAGE * count(range.first) + 2.0, y + 5.0), (width, ROW - 10.0), ink);
        }
        for (page, letter) in moment.pages.iter().enumerate() {
            if let Some(letter) = letter {
                let at = (middle(page), y + 24.0);
                drawing.text(at, Anchor::Middle, Face::Code, Ink::Plain, &letter.to_string());
            }
        }
        let ink = if moment.answer.starts_with("WAS") { Ink::Accent } else { Ink::Plain };
        let at = (LEFT + PAGE * count(pages) + 16.0, y + 24.0);
        drawing.text(at, Anchor::Start, Face::Code, ink, &moment.answer);
    }
    drawing.finish()
}

/// Where the middle of a page is.
fn middle(page: usize) -> f64 {
    LEFT + PAGE * (count(page) + 0.5)
}
