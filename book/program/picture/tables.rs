//! Two processes' tables as time goes by: a column for each moment.

use super::drawing::{Anchor, Drawing, Face, Ink, count};
use super::lifetime::halves;

/// The entries of a table, number and file; nothing as long as there is no such process.
pub type Entries = Option<Vec<(String, String)>>;

/// What both tables hold at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// What has just happened.
    pub event: String,
    /// The two tables.
    pub tables: [Entries; 2],
}

const WIDTH: f64 = 900.0;
const LEFT: f64 = 76.0;
const TOP: f64 = 70.0;
const ROW: f64 = 24.0;

/// Draws the moments from left to right. An entry that the other table has too, under the same number and for the same
/// file, has the file's colour; a number that stands for another file there is marked.
pub fn draw(title: &str, processes: [&str; 2], moments: &[Moment]) -> String {
    let column = (WIDTH - LEFT) / count(moments.len().max(1));
    let entries = |moment: &Moment| moment.tables.iter().flatten().map(Vec::len).max().unwrap_or(0);
    let height = ROW * count(moments.iter().map(entries).max().unwrap_or(0)) + 14.0;
    let mut drawing = Drawing::new(WIDTH, TOP + 2.0 * height + 34.0, title);
    for (n, name) in processes.iter().enumerate() {
        let y = TOP + (height + 20.0) * count(n) + height / 2.0 + 5.0;
        drawing.text((14.0, y), Anchor::Start, Face::Heading, Ink::Plain, name);
    }
    for (n, moment) in moments.iter().enumerate() {
        let x = LEFT + column * count(n);
        let (upper, lower) = halves(&moment.event);
        drawing.text((x + 6.0, 28.0), Anchor::Start, Face::Words, Ink::Plain, upper);
        drawing.text((x + 6.0, 48.0), Anchor::Start, Face::Words, Ink::Plain, lower);
        let [one, other] = &moment.tables;
        for (row, (ours, theirs)) in [(one, other), (other, one)].into_iter().enumerate() {
            let at = (x + 4.0, TOP + (height + 20.0) * count(row));
            table(&mut drawing, at, (column - 12.0, height), ours, theirs);
        }
    }
    drawing.finish()
}

/// One table at one moment.
fn table(drawing: &mut Drawing, at: (f64, f64), size: (f64, f64), ours: &Entries, theirs: &Entries) {
    let Some(entries) = ours else { return };
    drawing.boxed(at, size, Ink::Plain);
    let theirs = theirs.as_deref().unwrap_or_default();
    let mut y = at.1 + 24.0;
    for (number, file) in entries {
        let ink = match theirs.iter().find(|(other, _)| other == number) {
            None => Ink::Plain,
            Some((_, same)) if same == file => Ink::File,
            Some(_) => Ink::Accent,
        };
        drawing.text((at.0 + 22.0, y), Anchor::Middle, Face::Code, ink, number);
        drawing.text((at.0 + 44.0, y), Anchor::Start, Face::Code, ink, file);
        y += ROW;
    }
}
