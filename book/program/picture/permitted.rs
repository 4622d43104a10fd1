//! What is permitted as time goes by: a row for each thing that is tried, a column for each step.

use super::drawing::{Anchor, Drawing, Face, Ink, count};

/// One thing that is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is.
    pub what: String,
    /// What came of it after each step; nothing where there was nothing to try.
    pub answers: Vec<Option<String>>,
}

/// The answer that means it was done.
const DONE: &str = "done";

const WIDTH: f64 = 900.0;
const LEFT: f64 = 196.0;
const TOP: f64 = 44.0;
const ROW: f64 = 30.0;

/// Draws a bar for as long as a thing can be done, and the kernel's word for it from then on.
pub fn draw(title: &str, steps: &[String], rows: &[Row]) -> String {
    let column = (WIDTH - LEFT - 10.0) / count(steps.len().max(1));
    let mut drawing = Drawing::new(WIDTH, TOP + ROW * count(rows.len()) + 10.0, title);
    for (n, step) in steps.iter().enumerate() {
        let x = LEFT + column * count(n);
        drawing.text((x + 6.0, 26.0), Anchor::Start, Face::Code, Ink::Plain, step);
        drawing.line((x, 12.0), (x, TOP + ROW * count(rows.len())), Ink::Faint);
    }
    for (n, row) in rows.iter().enumerate() {
        let y = TOP + ROW * count(n);
        drawing.text((14.0, y + 20.0), Anchor::Start, Face::Words, Ink::Plain, &row.what);
        let mut start = 0;
        for run in row.answers.chunk_by(|one, next| one == next) {
            let (x, width) = (LEFT + column * count(start) + 4.0, column * count(run.len()) - 8.0);
            match run[0].as_deref() {
                Some(DONE) => drawing.boxed((x, y + 5.0), (width, ROW - 10.0), Ink::File),
                Some(answer) => {
                    drawing.text((x + 2.0, y + 20.0), Anchor::Start, Face::Code, Ink::Accent, answer);
                }
                None => {}
            }
            start += run.len();
        }
    }
    drawing.finish()
}
