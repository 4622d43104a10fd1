//! A transaction step by step: in whose call it runs, in which kernel function, and what comes of it.

use super::drawing::{Anchor, Drawing, Face, Ink, count};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// In whose call it happens: an index into the lanes.
    pub lane: usize,
    /// The kernel function it stands for.
    pub function: String,
    /// What happened.
    pub text: String,
    /// Whether this is the step to look at.
    pub accent: bool,
}

const WIDTH: f64 = 980.0;
const FIRST_LANE: f64 = 50.0;
const LANE: f64 = 90.0;
const TOP: f64 = 60.0;
const LINE: f64 = 18.0;
const GAP: f64 = 12.0;
/// From the left edge of the functions to that of the words.
const FUNCTION: f64 = 250.0;
/// Letters that fit into what is left for the words.
const LETTERS: usize = 68;

/// Draws the steps downwards, each a dot in the lane of the process in whose call it happens.
pub fn draw(title: &str, lanes: &[String], steps: &[Step]) -> String {
    let texts: Vec<_> = steps.iter().map(|step| wrapped(&step.text, LETTERS)).collect();
    let height = |lines: &Vec<String>| LINE * count(lines.len()) + GAP;
    let bottom = TOP + texts.iter().map(height).sum::<f64>();
    let mut drawing = Drawing::new(WIDTH, bottom + 10.0, title);
    let x = |lane: usize| FIRST_LANE + LANE * count(lane);
    for (lane, name) in lanes.iter().enumerate() {
        drawing.text((x(lane), 24.0), Anchor::Middle, Face::Heading, Ink::Plain, name);
        drawing.line((x(lane), 36.0), (x(lane), bottom), Ink::Faint);
    }
    let functions = x(lanes.len()) - 30.0;
    let mut y = TOP;
    for (step, lines) in steps.iter().zip(&texts) {
        let ink = if step.accent { Ink::Accent } else { Ink::Plain };
        drawing.line((x(step.lane), y), (functions - 10.0, y), Ink::Faint);
        drawing.dot((x(step.lane), y), ink);
        drawing.text((functions, y + 5.0), Anchor::Start, Face::Code, ink, &step.function);
        for (number, line) in lines.iter().enumerate() {
            let at = (functions + FUNCTION, y + 5.0 + LINE * count(number));
            drawing.text(at, Anchor::Start, Face::Words, ink, line);
        }
        y += height(lines);
    }
    drawing.finish()
}

/// The text in lines of so many `letters` at most, broken between words.
pub(super) fn wrapped(text: &str, letters: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= letters => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
