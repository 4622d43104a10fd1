//! Ways to hand a descriptor over, side by side: two numbers each, and what is behind them.

use super::drawing::{Anchor, Drawing, Face, Ink, count};

/// One way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// What it is called.
    pub name: String,
    /// Who acts.
    pub who: &'static str,
    /// The holder's number and the receiver's.
    pub numbers: [String; 2],
    /// Whether the two numbers lead to one open file.
    pub is_one_open_file: bool,
}

const WIDTH: f64 = 900.0;
/// The height of a process's table, and where it begins.
const TABLE: f64 = 62.0;
const TABLES: f64 = 62.0;
/// Where the open files begin, and the one file.
const OPEN: f64 = 168.0;
const FILE: f64 = 246.0;

/// Draws the ways from left to right.
pub fn draw(title: &str, ways: &[Way]) -> String {
    let column = WIDTH / count(ways.len().max(1));
    let mut drawing = Drawing::new(WIDTH, FILE + 46.0, title);
    for (n, way) in ways.iter().enumerate() {
        one(&mut drawing, way, column * count(n), column);
    }
    drawing.finish()
}

/// One way, in a column of its own.
fn one(drawing: &mut Drawing, way: &Way, left: f64, width: f64) {
    let (middle, part) = (left + width / 2.0, (width - 24.0) / 2.0 - 8.0);
    drawing.text((middle, 22.0), Anchor::Middle, Face::Heading, Ink::Plain, &way.name);
    drawing.text((middle, 44.0), Anchor::Middle, Face::Words, Ink::Faint, way.who);
    let (holder, receiver) = (left + 12.0, left + width - 12.0 - part);
    for (x, process, number) in [(holder, "holder", &way.numbers[0]), (receiver, "receiver", &way.numbers[1])]
    {
        drawing.boxed((x, TABLES), (part, TABLE), Ink::Plain);
        let center = x + part / 2.0;
        drawing.text((center, TABLES + 22.0), Anchor::Middle, Face::Words, Ink::Plain, process);
        drawing.text((center, TABLES + 47.0), Anchor::Middle, Face::Code, Ink::File, number);
    }
    let (from, to) = ((holder + part / 2.0, TABLES + TABLE), (receiver + part / 2.0, TABLES + TABLE));
    if way.is_one_open_file {
        drawing.hang(from, (middle - 20.0, OPEN), Ink::File);
        drawing.hang(to, (middle + 20.0, OPEN), Ink::File);
        boxed(drawing, (middle, OPEN), "one open file", Ink::File);
        drawing.hang((middle, OPEN + 32.0), (middle, FILE), Ink::Faint);
    } else {
        for (x, name, ink) in [(from.0, "open file", Ink::File), (to.0, "a new one", Ink::Accent)] {
            drawing.hang((x, from.1), (x, OPEN), ink);
            narrow(drawing, (x, OPEN), name, ink, part + 10.0);
            drawing.hang((x, OPEN + 32.0), (middle, FILE), Ink::Faint);
        }
    }
    boxed(drawing, (middle, FILE), "the file", Ink::Plain);
}

/// A box with its name, in the middle of the column.
fn boxed(drawing: &mut Drawing, top: (f64, f64), name: &str, ink: Ink) {
    narrow(drawing, top, name, ink, 110.0);
}

/// A box of that width.
fn narrow(drawing: &mut Drawing, top: (f64, f64), name: &str, ink: Ink, width: f64) {
    drawing.boxed((top.0 - width / 2.0, top.1), (width, 32.0), ink);
    drawing.text((top.0, top.1 + 21.0), Anchor::Middle, Face::Words, ink, name);
}
