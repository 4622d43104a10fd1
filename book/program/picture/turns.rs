//! Who is inside, and when: a lane for each party, time downwards, and the party's own words beside it.

use super::drawing::{Anchor, Drawing, Face, Ink, count};

/// One line of the story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Whose it is: an index into the lanes.
    pub lane: usize,
    /// What is said of it.
    pub text: String,
    /// Whether that party is inside from here on.
    pub inside: bool,
    /// Whether this is a refusal, or an end that the party did not choose.
    pub accent: bool,
}

const WIDTH: f64 = 900.0;
const FIRST_LANE: f64 = 60.0;
const LANE: f64 = 100.0;
const TOP: f64 = 62.0;
const ROW: f64 = 26.0;

/// Draws the turns downwards.
pub fn draw(title: &str, lanes: &[String], turns: &[Turn]) -> String {
    let bottom = TOP + ROW * count(turns.len());
    let mut drawing = Drawing::new(WIDTH, bottom + 6.0, title);
    let x = |lane: usize| FIRST_LANE + LANE * count(lane);
    for (lane, name) in lanes.iter().enumerate() {
        drawing.text((x(lane), 24.0), Anchor::Middle, Face::Heading, Ink::Plain, name);
        drawing.line((x(lane), 36.0), (x(lane), bottom - 8.0), Ink::Faint);
        stays(&mut drawing, x(lane), lane, turns);
    }
    for (n, turn) in turns.iter().enumerate() {
        let y = TOP + ROW * count(n);
        let ink = if turn.accent { Ink::Accent } else { Ink::Plain };
        let words = x(lanes.len()) - 30.0;
        drawing.line((x(turn.lane) + 8.0, y), (words - 10.0, y), Ink::Faint);
        drawing.dot((x(turn.lane), y), ink);
        drawing.text((words, y + 5.0), Anchor::Start, Face::Words, ink, &turn.text);
    }
    drawing.finish()
}

/// The stays of one party inside, as bars in its lane.
fn stays(drawing: &mut Drawing, x: f64, lane: usize, turns: &[Turn]) {
    let y = |n: usize| TOP + ROW * count(n);
    let mut since = None;
    for (n, turn) in turns.iter().enumerate().filter(|(_, turn)| turn.lane == lane) {
        match (since, turn.inside) {
            (None, true) => since = Some(n),
            (Some(from), false) => {
                drawing.boxed((x - 10.0, y(from)), (20.0, y(n) - y(from)), Ink::File);
                since = None;
            }
            _ => {}
        }
    }
    if let Some(from) = since {
        let end = TOP + ROW * count(turns.len()) - 8.0;
        drawing.boxed((x - 10.0, y(from)), (20.0, end - y(from)), Ink::File);
    }
}
