//! Two processes that meet under a number: nothing passes between them, each asks the kernel.

use super::drawing::{Anchor, Drawing, Face, Ink};

/// What the picture shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendezvous {
    /// The two processes.
    pub processes: [String; 2],
    /// The key that both know.
    pub key: String,
    /// What the namespace's table says of the segment, a line each.
    pub segment: Vec<String>,
}

const WIDTH: f64 = 860.0;
const SIDE: f64 = 220.0;
const MIDDLE: f64 = 260.0;
const TOP: f64 = 20.0;

/// Draws the two processes, and between them the table that belongs to neither.
pub fn draw(rendezvous: &Rendezvous) -> String {
    let [left, right] = &rendezvous.processes;
    let title = format!("{left} and {right} both say the key {}, and get one segment", rendezvous.key);
    let mut drawing = Drawing::new(WIDTH, 165.0, &title);
    let middle = WIDTH / 2.0 - MIDDLE / 2.0;
    for (name, x) in [(left, 20.0), (right, WIDTH - 20.0 - SIDE)] {
        drawing.boxed((x, TOP + 22.0), (SIDE, 80.0), Ink::Plain);
        drawing.text((x + 14.0, TOP + 49.0), Anchor::Start, Face::Heading, Ink::Plain, name);
        drawing.text((x + 14.0, TOP + 79.0), Anchor::Start, Face::Words, Ink::Plain, "knows");
        drawing.text((x + 70.0, TOP + 79.0), Anchor::Start, Face::Code, Ink::Accent, &rendezvous.key);
    }
    drawing.boxed((middle, TOP), (MIDDLE, 125.0), Ink::File);
    let heading = "the IPC namespace's table";
    drawing.text((WIDTH / 2.0, TOP + 26.0), Anchor::Middle, Face::Heading, Ink::Plain, heading);
    drawing.text((WIDTH / 2.0, TOP + 56.0), Anchor::Middle, Face::Code, Ink::Accent, &rendezvous.key);
    let mut y = TOP + 82.0;
    for line in &rendezvous.segment {
        drawing.text((WIDTH / 2.0, y), Anchor::Middle, Face::Words, Ink::File, line);
        y += 24.0;
    }
    let at = TOP + 62.0;
    drawing.arrow((20.0 + SIDE, at), (middle, at), Ink::Accent);
    drawing.arrow((WIDTH - 20.0 - SIDE, at), (middle + MIDDLE, at), Ink::Accent);
    drawing.finish()
}
