//! All four layers of processes that share one file: numbers, open files, the file's pages, mappings.

use super::drawing::{Anchor, Drawing, Face, Ink, count};

/// A number in a process's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// Whose table it is.
    pub process: String,
    /// The number.
    pub number: String,
    /// The name of the open file that it leads to.
    pub open_file: String,
    /// What is said of the number itself.
    pub mark: String,
}

/// An open file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenFile {
    /// What it is called here.
    pub name: String,
    /// What it remembers.
    pub says: String,
}

/// A mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// In whose addresses.
    pub process: String,
    /// `rw-s` and the like.
    pub access: String,
    /// What the page table has for each page: `file`, `own` or `-`.
    pub entries: Vec<String>,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layers {
    /// The first layer.
    pub descriptors: Vec<Descriptor>,
    /// The second.
    pub open_files: Vec<OpenFile>,
    /// The third; the fourth, the file's pages, is what they show.
    pub mappings: Vec<Mapping>,
}

impl Layers {
    /// For each page, whether a mapping shows that it is there.
    pub fn pages_in_memory(&self) -> Vec<bool> {
        let pages = self.mappings.iter().map(|mapping| mapping.entries.len()).max().unwrap_or(0);
        let is_there = |page: usize| {
            self.mappings.iter().any(|mapping| mapping.entries.get(page).is_some_and(|entry| entry == "file"))
        };
        (0..pages).map(is_there).collect()
    }
}

const WIDTH: f64 = 900.0;
/// Where what is drawn begins, to the right of the layers' names.
const LEFT: f64 = 120.0;
/// The top of each layer.
const NUMBERS: f64 = 44.0;
const OPEN: f64 = 170.0;
const PAGES: f64 = 280.0;
const MAPPINGS: f64 = 390.0;
const NUMBER: (f64, f64) = (104.0, 54.0);
const OPEN_FILE: (f64, f64) = (190.0, 40.0);
const PAGE: (f64, f64) = (84.0, 34.0);
const CELL: (f64, f64) = (54.0, 34.0);

/// Draws the layers one under the other, the numbers on top.
pub fn draw(title: &str, layers: &Layers) -> String {
    let mut drawing = Drawing::new(WIDTH, MAPPINGS + 90.0, title);
    for (y, name) in [
        (NUMBERS + 32.0, "descriptors"),
        (OPEN + 25.0, "open files"),
        (PAGES + 22.0, "pages"),
        (MAPPINGS + 22.0, "mappings"),
    ] {
        drawing.text((8.0, y), Anchor::Start, Face::Heading, Ink::Plain, name);
    }
    let open_files = centers(layers.open_files.len(), OPEN_FILE.0 + 60.0);
    let pages = centers(layers.pages_in_memory().len(), PAGE.0 + 8.0);
    numbers(&mut drawing, layers, &open_files);
    for (n, (open_file, x)) in layers.open_files.iter().zip(&open_files).enumerate() {
        let ink = ink_of(n);
        drawing.hang((*x, OPEN + OPEN_FILE.1), (middle_of(&pages), PAGES - 26.0), Ink::Faint);
        drawing.boxed((x - OPEN_FILE.0 / 2.0, OPEN), OPEN_FILE, ink);
        drawing.text((*x, OPEN + 25.0), Anchor::Middle, Face::Code, ink, &open_file.says);
    }
    drawing.text((middle_of(&pages), PAGES - 10.0), Anchor::Middle, Face::Words, Ink::Plain, "the file");
    mapped(&mut drawing, layers, &pages);
    for (n, (there, x)) in layers.pages_in_memory().into_iter().zip(&pages).enumerate() {
        let (ink, text) =
            if there { (Ink::File, format!("page {n}")) } else { (Ink::Faint, "no page".into()) };
        drawing.boxed((x - PAGE.0 / 2.0, PAGES), PAGE, ink);
        drawing.text((*x, PAGES + 22.0), Anchor::Middle, Face::Words, ink, &text);
    }
    drawing.finish()
}

/// The tables of the processes, and where their numbers lead.
fn numbers(drawing: &mut Drawing, layers: &Layers, open_files: &[f64]) {
    let places = centers(layers.descriptors.len(), NUMBER.0 + 60.0);
    let placed: Vec<_> = layers.descriptors.iter().zip(places).collect();
    for table in placed.chunk_by(|(one, _), (other, _)| one.process == other.process) {
        if let [(of, first), ..] = table {
            let last = table.last().map_or(*first, |(_, x)| *x);
            let at = (first - NUMBER.0 / 2.0 - 12.0, NUMBERS - 36.0);
            drawing.boxed(at, (last - first + NUMBER.0 + 24.0, NUMBER.1 + 46.0), Ink::Faint);
            let middle = (f64::midpoint(*first, last), NUMBERS - 14.0);
            drawing.text(middle, Anchor::Middle, Face::Heading, Ink::Plain, &of.process);
        }
    }
    for (descriptor, x) in placed {
        let open_file = layers.open_files.iter().position(|open| open.name == descriptor.open_file);
        let ink = open_file.map_or(Ink::Plain, ink_of);
        if let Some(to) = open_file.and_then(|n| open_files.get(n)) {
            drawing.hang((x, NUMBERS + NUMBER.1), (*to, OPEN), ink);
        }
        drawing.boxed((x - NUMBER.0 / 2.0, NUMBERS), NUMBER, Ink::Plain);
        drawing.text((x, NUMBERS + 23.0), Anchor::Middle, Face::Code, ink, &descriptor.number);
        drawing.text((x, NUMBERS + 44.0), Anchor::Middle, Face::Words, Ink::Faint, &descriptor.mark);
    }
}

/// The mappings, a cell for each page, with a line where the page table has an entry.
fn mapped(drawing: &mut Drawing, layers: &Layers, pages: &[f64]) {
    let strip = |mapping: &Mapping| CELL.0 * count(mapping.entries.len());
    let width = layers.mappings.iter().map(strip).fold(0.0, f64::max);
    for (mapping, x) in layers.mappings.iter().zip(centers(layers.mappings.len(), width + 28.0)) {
        let left = x - strip(mapping) / 2.0;
        for (n, entry) in mapping.entries.iter().enumerate() {
            let center = left + CELL.0 * (count(n) + 0.5);
            let ink = match entry.as_str() {
                "file" => Ink::File,
                "own" => Ink::Accent,
                _ => Ink::Faint,
            };
            if let (Ink::File, Some(page)) = (ink, pages.get(n)) {
                drawing.hang((*page, PAGES + PAGE.1), (center, MAPPINGS), Ink::File);
            }
            drawing.boxed((center - CELL.0 / 2.0 + 2.0, MAPPINGS), (CELL.0 - 4.0, CELL.1), ink);
            let text = if entry == "-" { "" } else { entry };
            drawing.text((center, MAPPINGS + 22.0), Anchor::Middle, Face::Words, ink, text);
        }
        let (process, access) = (&mapping.process, &mapping.access);
        drawing.text((x - 24.0, MAPPINGS + 60.0), Anchor::Middle, Face::Words, Ink::Plain, process);
        drawing.text((x + 26.0, MAPPINGS + 60.0), Anchor::Middle, Face::Code, Ink::Plain, access);
    }
}

/// The first open file is the one to follow; what else there is stands out.
fn ink_of(open_file: usize) -> Ink {
    if open_file == 0 { Ink::File } else { Ink::Accent }
}

/// The middles of so many things of that width, side by side.
fn centers(things: usize, width: f64) -> Vec<f64> {
    let middle = f64::midpoint(LEFT, WIDTH);
    (0..things).map(|n| middle + width * (count(n) - count(things.saturating_sub(1)) / 2.0)).collect()
}

fn middle_of(places: &[f64]) -> f64 {
    match places {
        [] => WIDTH / 2.0,
        [first, .., last] => f64::midpoint(*first, *last),
        [only] => *only,
    }
}
