//! One script, two players, one comparison.

use super::drawing::{Anchor, Drawing, Face, Ink, count};

/// Who plays a script, and what the drawn steps came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Player {
    /// What it is.
    pub name: String,
    /// What it is made of, a line each.
    pub made_of: [String; 2],
    /// What each of the steps came to.
    pub saw: Vec<String>,
}

const WIDTH: f64 = 860.0;
/// A line of text, and what a box leaves round its lines.
const LINE: f64 = 22.0;
const PAD: f64 = 14.0;
const TOP: f64 = 10.0;
/// What lies between the rows of boxes.
const GAP: f64 = 46.0;
const SCRIPT: f64 = 300.0;
const PLAYER: f64 = 380.0;
const VERDICT: f64 = 460.0;

/// Draws the steps above, a box for each player under them, and what the comparison says at the bottom.
pub fn draw(title: &str, heading: &str, steps: &[String], players: &[Player; 2], verdict: &str) -> String {
    let middle = WIDTH / 2.0;
    let rows = count(steps.len());
    let (script, player) = (PAD + LINE * (rows + 1.0), PAD + LINE * (rows + 3.0));
    let (second, third) = (TOP + script + GAP, TOP + script + GAP + player + GAP);
    let mut drawing = Drawing::new(WIDTH, third + PAD + LINE + 6.0, title);

    drawing.boxed((middle - SCRIPT / 2.0, TOP), (SCRIPT, script), Ink::File);
    let mut lines = Lines { drawing: &mut drawing, at: (middle - SCRIPT / 2.0 + PAD, TOP + LINE) };
    lines.add(Face::Heading, Ink::Plain, heading);
    steps.iter().for_each(|step| lines.add(Face::Code, Ink::File, step));

    for (left, player_of) in [10.0, WIDTH - 10.0 - PLAYER].into_iter().zip(players) {
        let center = left + PLAYER / 2.0;
        drawing.hang((middle, TOP + script), (center, second), Ink::File);
        drawing.boxed((left, second), (PLAYER, player), Ink::Plain);
        drawing.hang((center, second + player), (middle, third), Ink::Accent);
        let mut lines = Lines { drawing: &mut drawing, at: (left + PAD, second + LINE) };
        lines.add(Face::Heading, Ink::Plain, &player_of.name);
        player_of.made_of.iter().for_each(|line| lines.add(Face::Words, Ink::Faint, line));
        player_of.saw.iter().for_each(|line| lines.add(Face::Code, Ink::Accent, line));
    }

    drawing.boxed((middle - VERDICT / 2.0, third), (VERDICT, PAD + LINE), Ink::Accent);
    drawing.text((middle, third + LINE + 1.0), Anchor::Middle, Face::Words, Ink::Plain, verdict);
    drawing.finish()
}

/// Lines of text, one under the other.
struct Lines<'a> {
    /// Where they are drawn.
    drawing: &'a mut Drawing,
    /// Where the next one begins.
    at: (f64, f64),
}

impl Lines<'_> {
    fn add(&mut self, face: Face, ink: Ink, words: &str) {
        self.drawing.text(self.at, Anchor::Start, face, ink, words);
        self.at.1 += LINE;
    }
}
