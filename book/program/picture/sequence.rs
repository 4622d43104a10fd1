//! A transaction step by step: who acts, in which kernel function, and what comes of it.

use super::drawing::{Anchor, Drawing, Face, Ink};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// In whose thread it happens: an index into the lanes.
    pub lane: usize,
    /// The kernel function it stands for.
    pub function: String,
    /// What happened, in a few words.
    pub text: String,
    /// Whether this is the step to look at.
    pub accent: bool,
}

const FIRST_LANE: f64 = 60.0;
const LANE: f64 = 105.0;
const TOP: f64 = 56.0;
const ROW: f64 = 30.0;

/// Draws the steps downwards, each a dot in the lane of the thread that takes it.
pub fn draw(title: &str, lanes: &[&str], steps: &[Step]) -> String {
    let index = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let height = TOP + ROW * index(steps.len()) + 16.0;
    let mut drawing = Drawing::new(980.0, height, title);
    let x = |lane: usize| FIRST_LANE + LANE * index(lane);
    for (lane, name) in lanes.iter().enumerate() {
        drawing.text((x(lane), 24.0), Anchor::Middle, Face::Heading, Ink::Plain, name);
        drawing.line((x(lane), 36.0), (x(lane), height - 10.0), Ink::Faint);
    }
    let functions = x(lanes.len()) - 30.0;
    let words = functions + 230.0;
    for (number, step) in steps.iter().enumerate() {
        let y = TOP + ROW * index(number);
        let ink = if step.accent { Ink::Accent } else { Ink::Plain };
        drawing.line((x(step.lane), y), (functions - 10.0, y), Ink::Faint);
        drawing.dot((x(step.lane), y), ink);
        drawing.text((functions, y + 5.0), Anchor::Start, Face::Code, ink, &step.function);
        drawing.text((words, y + 5.0), Anchor::Start, Face::Words, ink, &step.text);
    }
    drawing.finish()
}
