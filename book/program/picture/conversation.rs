//! Who says what to the driver, and what the driver says to whom: an arrow for each.

use super::drawing::{Anchor, Drawing, Face, Ink, count};
use super::sequence::wrapped;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A heading over what follows.
    Part(String),
    /// A process did something by itself.
    Does(usize, String),
    /// A process wrote a command to the driver.
    Writes(usize, String),
    /// A process read a return from the driver.
    Reads(usize, String),
}

const WIDTH: f64 = 980.0;
const FIRST_LANE: f64 = 50.0;
const LANE: f64 = 84.0;
const TOP: f64 = 60.0;
const ROW: f64 = 24.0;
/// What a heading takes more than a row.
const GAP: f64 = 12.0;
/// Letters that fit into what is left for the words, and how far apart their lines are.
const LETTERS: usize = 84;
const LINE: f64 = 18.0;

/// Draws the lines downwards: a lane for each process, and one for the driver to the right of them.
pub fn draw(title: &str, processes: &[String], lines: &[Line]) -> String {
    let bottom = TOP + lines.iter().map(height).sum::<f64>();
    let mut drawing = Drawing::new(WIDTH, bottom + 6.0, title);
    let x = |lane: usize| FIRST_LANE + LANE * count(lane);
    let driver = x(processes.len());
    for (lane, name) in processes.iter().map(String::as_str).chain(["driver"]).enumerate() {
        drawing.text((x(lane), 24.0), Anchor::Middle, Face::Heading, Ink::Plain, name);
        drawing.line((x(lane), 36.0), (x(lane), bottom - 8.0), Ink::Faint);
    }
    let words = driver + 30.0;
    let mut y = TOP;
    for line in lines {
        let say = |y: f64, face, ink, text: &str, drawing: &mut Drawing| {
            drawing.text((words, y + 5.0), Anchor::Start, face, ink, text);
        };
        match line {
            Line::Part(text) => say(y + GAP, Face::Heading, Ink::Plain, text, &mut drawing),
            Line::Does(lane, text) => {
                drawing.dot((x(*lane), y), Ink::Plain);
                for (n, part) in wrapped(text, LETTERS).iter().enumerate() {
                    say(y + LINE * count(n), Face::Words, Ink::Plain, part, &mut drawing);
                }
            }
            Line::Writes(lane, text) => {
                drawing.arrow((x(*lane), y), (driver, y), ink(text));
                say(y, Face::Code, ink(text), text, &mut drawing);
            }
            Line::Reads(lane, text) => {
                drawing.arrow((driver, y), (x(*lane), y), ink(text));
                say(y, Face::Code, ink(text), text, &mut drawing);
            }
        }
        y += height(line);
    }
    drawing.finish()
}

/// What a line takes.
fn height(line: &Line) -> f64 {
    match line {
        Line::Part(_) => ROW + GAP,
        Line::Does(_, text) => ROW + LINE * (count(wrapped(text, LETTERS).len()) - 1.0),
        Line::Writes(..) | Line::Reads(..) => ROW,
    }
}

/// What is translated on the way has the colour of what is shared.
fn ink(text: &str) -> Ink {
    if text.contains("[FD") || text.contains("[HANDLE") || text.contains("[BINDER") {
        Ink::File
    } else {
        Ink::Plain
    }
}
