//! Questions in the order in which they decide, and what to take where the answer is yes.

use super::drawing::{Anchor, Drawing, Face, Ink, count};
use super::sequence::wrapped;

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What is the case.
    pub case: String,
    /// What to take then.
    pub take: String,
}

const WIDTH: f64 = 900.0;
const TOP: f64 = 8.0;
/// The boxes: a question's and an answer's.
const ASK: f64 = 440.0;
const TAKE: f64 = 330.0;
const HEIGHT: f64 = 50.0;
const GAP: f64 = 24.0;
/// Letters that fit into a line of each, and how far apart lines are.
const ASKED: usize = 58;
const TAKEN: usize = 40;
const LINE: f64 = 18.0;

/// Draws the questions downwards.
pub fn draw(title: &str, choices: &[Choice]) -> String {
    let mut drawing = Drawing::new(WIDTH, TOP + (HEIGHT + GAP) * count(choices.len()) - GAP + 8.0, title);
    for (n, choice) in choices.iter().enumerate() {
        let y = TOP + (HEIGHT + GAP) * count(n);
        boxed(&mut drawing, (10.0, y), (ASK, ASKED), &choice.case, Ink::Plain);
        boxed(&mut drawing, (WIDTH - 10.0 - TAKE, y), (TAKE, TAKEN), &choice.take, Ink::File);
        let (from, to) = (10.0 + ASK, WIDTH - 10.0 - TAKE);
        drawing.arrow((from, y + HEIGHT / 2.0), (to, y + HEIGHT / 2.0), Ink::File);
        let middle = (f64::midpoint(from, to), y + HEIGHT / 2.0 - 7.0);
        drawing.text(middle, Anchor::Middle, Face::Words, Ink::File, "yes");
        if n + 1 < choices.len() {
            let x = 10.0 + ASK / 2.0;
            drawing.line((x, y + HEIGHT), (x, y + HEIGHT + GAP), Ink::Plain);
            drawing.text((x + 8.0, y + HEIGHT + 17.0), Anchor::Start, Face::Words, Ink::Plain, "no");
        }
    }
    drawing.finish()
}

/// A box with its words in the middle, in as many lines as they take.
fn boxed(drawing: &mut Drawing, at: (f64, f64), (width, letters): (f64, usize), words: &str, ink: Ink) {
    drawing.boxed(at, (width, HEIGHT), ink);
    let lines = wrapped(words, letters);
    let mut y = at.1 + HEIGHT / 2.0 + 5.0 - LINE / 2.0 * count(lines.len() - 1);
    for line in lines {
        drawing.text((at.0 + width / 2.0, y), Anchor::Middle, Face::Words, ink, &line);
        y += LINE;
    }
}
