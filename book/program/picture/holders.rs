//! Who holds one memory: descriptors lead to open files, and open files and mappings to the memory.

use super::drawing::{Anchor, Drawing, Face, Ink};

/// The memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// What it is called.
    pub name: String,
    /// How large it is, in words.
    pub size: String,
}

/// One way in which a process holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Whose it is.
    pub process: String,
    /// A descriptor's number, or a mapping's permissions.
    pub by: String,
    /// The open file behind a descriptor, and what it was opened for.
    pub file: Option<(String, String)>,
}

const WIDTH: f64 = 860.0;
const ROW: f64 = 38.0;
const TOP: f64 = 56.0;
const FILE: (f64, f64) = (330.0, 210.0);
const MEMORY: f64 = 690.0;

/// Draws the holders from above to below; what they lead to stands to the right. With mappings last, no line crosses an
/// open file.
pub fn draw(region: &Region, holders: &[Holder]) -> String {
    let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let height = TOP + ROW * (count(holders.len()) + 0.5) + 16.0;
    let mut drawing =
        Drawing::new(WIDTH, height, "Two processes, their descriptors and mappings, and one memory");
    for (x, heading) in [(20.0, "a process has"), (FILE.0, "an open file"), (MEMORY, "a memory")] {
        drawing.text((x, 30.0), Anchor::Start, Face::Heading, Ink::Plain, heading);
    }
    let descriptors = holders.iter().filter(|holder| holder.file.is_some()).count();
    let middle = TOP + ROW * (count(descriptors) + 0.5); // where the mappings begin
    drawing.boxed((MEMORY, middle - 32.0), (150.0, 64.0), Ink::Plain);
    drawing.text((MEMORY + 75.0, middle - 6.0), Anchor::Middle, Face::Code, Ink::Plain, &region.name);
    drawing.text((MEMORY + 75.0, middle + 16.0), Anchor::Middle, Face::Words, Ink::Faint, &region.size);
    let mut files: Vec<(&str, f64)> = Vec::new();
    for (n, holder) in holders.iter().enumerate() {
        let y = TOP + ROW * (count(n) + 0.5);
        drawing.text((20.0, y + 5.0), Anchor::Start, Face::Words, Ink::Plain, &holder.process);
        let kind = if holder.file.is_some() { "descriptor" } else { "mapping" };
        drawing.text((96.0, y + 5.0), Anchor::Start, Face::Words, Ink::Faint, kind);
        drawing.text((180.0, y + 5.0), Anchor::Start, Face::Code, Ink::Plain, &holder.by);
        let Some((file, access)) = &holder.file else {
            drawing.arrow((232.0, y), (MEMORY, middle), Ink::Accent);
            continue;
        };
        if let Some((_, at)) = files.iter().find(|(known, _)| known == file) {
            drawing.arrow((232.0, y), (FILE.0, *at), Ink::File);
            continue;
        }
        files.push((file, y));
        drawing.arrow((232.0, y), (FILE.0, y), Ink::File);
        drawing.boxed((FILE.0, y - 15.0), (FILE.1, 30.0), Ink::File);
        drawing.text(
            (FILE.0 + 14.0, y + 5.0),
            Anchor::Start,
            Face::Words,
            Ink::File,
            &format!("{file}: {access}"),
        );
        drawing.arrow((FILE.0 + FILE.1, y), (MEMORY, middle), Ink::File);
    }
    drawing.finish()
}
