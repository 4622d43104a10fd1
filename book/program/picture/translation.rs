//! One number translated: two numbers in two tables, and the one thing behind both.

use super::drawing::{Anchor, Drawing, Face, Ink, count};

/// A process's table of descriptors or of handles, as a picture shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Whose it is.
    pub process: String,
    /// What kind of table.
    pub kind: &'static str,
    /// Number of each entry, and what it names, in order.
    pub entries: Vec<(u32, String)>,
}

/// What became of one number on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translation {
    /// Who did it.
    pub by: &'static str,
    /// The number that the sender put into its message.
    pub sent: u32,
    /// What both numbers name, in kind.
    pub what: &'static str,
    /// And by its own name.
    pub file: String,
    /// The number under which the receiver has it now.
    pub received: u32,
}

const WIDTH: f64 = 860.0;
const ROW: f64 = 26.0;
const BOX: f64 = 250.0;

/// Draws the two tables after the transaction, and the translation between them.
pub fn draw(sender: &Table, receiver: &Table, translation: &Translation) -> String {
    // Room for what stands between, also where the tables are short.
    let rows = sender.entries.len().max(receiver.entries.len()).max(2);
    let bottom = 60.0 + ROW * count(rows) + 14.0;
    let title = format!(
        "The {} turns the {}'s {} into the {}'s {}: two numbers, {}",
        translation.by,
        sender.process,
        translation.sent,
        receiver.process,
        translation.received,
        translation.what
    );
    let mut drawing = Drawing::new(WIDTH, bottom + 120.0, &title);
    let right = WIDTH - 20.0 - BOX;
    let sent = table(&mut drawing, sender, 20.0, bottom, translation.sent);
    let received = table(&mut drawing, receiver, right, bottom, translation.received);
    between(&mut drawing, sent, received, translation);

    let file = (WIDTH / 2.0, bottom + 60.0);
    drawing.hang((20.0 + 30.0, sent + 9.0), (file.0 - 120.0, file.1), Ink::File);
    drawing.hang((right + 30.0, received + 9.0), (file.0 + 120.0, file.1), Ink::File);
    drawing.boxed((file.0 - 150.0, file.1), (300.0, 40.0), Ink::File);
    let label = format!("{}: {}", translation.what, translation.file);
    drawing.text((file.0, file.1 + 25.0), Anchor::Middle, Face::Heading, Ink::File, &label);
    drawing.finish()
}

/// One table as a box; returns the middle of the row that `marked` is in.
fn table(drawing: &mut Drawing, table: &Table, left: f64, bottom: f64, marked: u32) -> f64 {
    drawing.boxed((left, 20.0), (BOX, bottom - 20.0), Ink::Plain);
    drawing.text((left + 14.0, 44.0), Anchor::Start, Face::Heading, Ink::Plain, &table.process);
    drawing.text((left + 150.0, 44.0), Anchor::Start, Face::Words, Ink::Faint, table.kind);
    let (mut y, mut at) = (60.0, 60.0);
    for (number, file) in &table.entries {
        let ink = if *number == marked { Ink::File } else { Ink::Plain };
        drawing.text((left + 30.0, y + 16.0), Anchor::Middle, Face::Code, ink, &number.to_string());
        drawing.text((left + 56.0, y + 16.0), Anchor::Start, Face::Code, ink, file);
        if *number == marked {
            at = y + 12.0;
        }
        y += ROW;
    }
    at
}

/// What stands between the two, with its one translation.
fn between(drawing: &mut Drawing, sent: f64, received: f64, translation: &Translation) {
    let (left, width) = (WIDTH / 2.0 - 90.0, 180.0);
    let y = f64::midpoint(sent, received).max(84.0);
    drawing.text((WIDTH / 2.0, y - 34.0), Anchor::Middle, Face::Heading, Ink::Plain, translation.by);
    drawing.boxed((left, y - 22.0), (width, 44.0), Ink::Accent);
    let numbers = format!("{}  becomes  {}", translation.sent, translation.received);
    drawing.text((WIDTH / 2.0, y + 5.0), Anchor::Middle, Face::Code, Ink::Accent, &numbers);
    drawing.arrow((20.0 + BOX, sent), (left, y), Ink::Accent);
    drawing.arrow((left + width, y), (WIDTH - 20.0 - BOX, received), Ink::Accent);
}
