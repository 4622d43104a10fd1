//! What a number leads to as time goes by: a row per number, a column per event.

use super::drawing::{Anchor, Drawing, Face, Ink, count};

/// One row: a number, and what it leads to after each event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What kind of number it is.
    pub number: String,
    /// What it leads to after each event.
    pub leads_to: Vec<String>,
}

const WIDTH: f64 = 860.0;
const LEFT: f64 = 90.0;
const TOP: f64 = 78.0;
const ROW: f64 = 50.0;

/// Draws `rows` under `events`; `first` is what the numbers lead to in the beginning, and has the calmer colour.
pub fn draw(title: &str, events: &[String], rows: &[Row], first: &str) -> String {
    let column = (WIDTH - LEFT - 10.0) / count(events.len().max(1));
    let mut drawing = Drawing::new(WIDTH, TOP + ROW * count(rows.len()) + 10.0, title);
    for (n, event) in events.iter().enumerate() {
        let x = LEFT + column * count(n);
        let (upper, lower) = halves(event);
        drawing.text((x + 6.0, 30.0), Anchor::Start, Face::Words, Ink::Plain, upper);
        drawing.text((x + 6.0, 50.0), Anchor::Start, Face::Words, Ink::Plain, lower);
        drawing.line((x, 16.0), (x, TOP - 14.0), Ink::Faint);
    }
    for (n, row) in rows.iter().enumerate() {
        let y = TOP + ROW * count(n);
        drawing.text((14.0, y + 24.0), Anchor::Start, Face::Heading, Ink::Plain, &row.number);
        let mut start = 0;
        for run in row.leads_to.chunk_by(|one, next| one == next) {
            let at = (LEFT + column * count(start) + 4.0, y);
            bar(&mut drawing, at, column * count(run.len()) - 8.0, &run[0], first);
            start += run.len();
        }
    }
    drawing.finish()
}

/// One stretch of time: a box when there is a segment, the kernel's word for it when there is none.
fn bar(drawing: &mut Drawing, at: (f64, f64), width: f64, leads_to: &str, first: &str) {
    let middle = (at.0 + width / 2.0, at.1 + 24.0);
    if !leads_to.contains(' ') {
        return drawing.text(middle, Anchor::Middle, Face::Code, Ink::Faint, leads_to);
    }
    let ink = if leads_to == first { Ink::File } else { Ink::Accent };
    drawing.boxed(at, (width, 36.0), ink);
    drawing.text(middle, Anchor::Middle, Face::Words, ink, leads_to);
}

/// An event in two lines, divided at the space that is nearest to its middle.
pub(super) fn halves(event: &str) -> (&str, &str) {
    let middle = event.len() / 2;
    let spaces = event.match_indices(' ').map(|(at, _)| at);
    spaces.min_by_key(|at| at.abs_diff(middle)).map_or((event, ""), |at| (&event[..at], &event[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::halves;

    #[test]
    fn an_event_is_divided_near_its_middle() {
        assert_eq!(halves("attached again, by its id"), ("attached again,", "by its id"));
        assert_eq!(halves("removed"), ("removed", ""));
        assert_eq!(halves(""), ("", ""));
    }
}
