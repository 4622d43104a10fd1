//! One memory, page by page: whose touch made the page, which group pays for it, and what each process shows.

use super::drawing::{Anchor, Drawing, Face, Ink, count};

/// One of the two processes, and its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payer {
    /// What it is called.
    pub name: String,
    /// What it shows of the memory, in MiB: resident, and its share.
    pub shows: [String; 2],
    /// What its group is charged, in MiB.
    pub charged: String,
}

const WIDTH: f64 = 860.0;
const BOX: (f64, f64) = (320.0, 66.0);
const LEFT: [f64; 2] = [20.0, WIDTH - 20.0 - BOX.0];
const TOP: f64 = 10.0;
/// The row of pages.
const PAGES: f64 = 150.0;
const PAGE: f64 = 40.0;
/// The groups.
const GROUPS: f64 = 290.0;
/// The colours of the two.
const INKS: [Ink; 2] = [Ink::Accent, Ink::File];

/// Draws the two processes above, the pages with the numbers of their first touchers, and the groups that
/// pay below.
pub fn draw(title: &str, payers: &[Payer; 2], first: &[usize]) -> String {
    let mut drawing = Drawing::new(WIDTH, GROUPS + BOX.1 + 10.0, title);
    let left = (WIDTH - PAGE * count(first.len())) / 2.0;
    let right = WIDTH - left;
    for ((payer, x), ink) in payers.iter().zip(LEFT).zip(INKS) {
        let middle = x + BOX.0 / 2.0;
        let [resident, share] = &payer.shows;
        lines(&mut drawing, (x, TOP), ink, &payer.name, &format!("Rss {resident}, Pss {share}"));
        // All of the pages are resident in both.
        drawing.hang((middle, TOP + BOX.1), (left, PAGES - 6.0), Ink::Faint);
        drawing.hang((middle, TOP + BOX.1), (right, PAGES - 6.0), Ink::Faint);
        let group = format!("the {}'s group", payer.name);
        lines(&mut drawing, (x, GROUPS), ink, &group, &format!("charged {}", payer.charged));
    }
    for (n, toucher) in first.iter().enumerate() {
        let (x, ink) = (left + PAGE * count(n), INKS[*toucher]);
        drawing.boxed((x + 2.0, PAGES), (PAGE - 4.0, PAGE), ink);
        let along = (BOX.0 * (count(n) + 1.0) / (count(first.len()) + 1.0)).round();
        let to = (LEFT[*toucher] + along, GROUPS);
        drawing.hang((x + PAGE / 2.0, PAGES + PAGE), to, ink);
    }
    drawing.finish()
}

/// A box with a heading and what a counter says.
fn lines(drawing: &mut Drawing, at: (f64, f64), ink: Ink, heading: &str, counters: &str) {
    let middle = at.0 + BOX.0 / 2.0;
    drawing.boxed(at, BOX, ink);
    drawing.text((middle, at.1 + 27.0), Anchor::Middle, Face::Heading, ink, heading);
    drawing.text((middle, at.1 + 50.0), Anchor::Middle, Face::Code, Ink::Plain, counters);
}
