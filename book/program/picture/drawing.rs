//! The few shapes that every picture here is made of, in one style.
//!
//! Lines and text are drawn in `currentColor`: within the book that is the reader's theme, in a file on its own it is dark on
//! light or light on dark, as the reader's system asks. Two colours that are legible on both carry meaning.

use svg::node::element::{Circle, Element, Line, Path, Rectangle, Style, Text, Title};
use svg::{Document, Node};

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// The ordinary one.
    Plain,
    /// Less important.
    Faint,
    /// The open file, and what follows it.
    File,
    /// The moment to look at.
    Accent,
}

impl Ink {
    fn class(self) -> &'static str {
        match self {
            Ink::Plain => "plain",
            Ink::Faint => "faint",
            Ink::File => "file",
            Ink::Accent => "accent",
        }
    }
}

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
}

/// Sans-serif for words, monospaced for what a program would print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    /// Words.
    Words,
    /// Words that head something.
    Heading,
    /// Names and numbers of the kernel's.
    Code,
}

const STYLE: &str = "\
.pic{color:#24292f;font:14px system-ui,sans-serif}\
@media (prefers-color-scheme:dark){.pic{color:#dfe6ee}}\
.pic .plain{stroke:currentColor;fill:none}\
.pic .faint{stroke:currentColor;stroke-opacity:.35;fill:none}\
.pic .file{stroke:#2f81c7;fill:none}\
.pic .accent{stroke:#d9730d;fill:none}\
.pic .solid{fill:currentColor;fill-opacity:.07}\
.pic circle.plain{fill:currentColor}\
.pic circle.accent{fill:#d9730d}\
.pic .words,.pic .heading,.pic .code{stroke:none;fill:currentColor}\
.pic text.faint{fill-opacity:.65}\
.pic text.file{fill:#2f81c7}\
.pic text.accent{fill:#d9730d}\
.pic .heading{font-weight:600}\
.pic .code{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}";

/// A number of things as a distance.
pub(super) fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// A picture being drawn.
#[derive(Debug)]
pub(super) struct Drawing(Document);

impl Drawing {
    /// An empty picture of that size, with the title that a screen reader reads out.
    pub(super) fn new(width: f64, height: f64, title: &str) -> Self {
        let document = Document::new()
            .set("class", "pic")
            .set("viewBox", (0, 0, width, height))
            .set("width", width)
            .set("role", "img")
            .set("stroke-width", 1.5)
            .add(Title::new(title))
            .add(Style::new(STYLE));
        Self(document)
    }

    fn add(&mut self, element: impl Into<Element>) {
        self.0.append(element.into());
    }

    pub(super) fn text(&mut self, at: (f64, f64), anchor: Anchor, face: Face, ink: Ink, words: &str) {
        let face = match face {
            Face::Words => "words",
            Face::Heading => "heading",
            Face::Code => "code",
        };
        let anchor = if anchor == Anchor::Middle { "middle" } else { "start" };
        let class = format!("{face} {}", ink.class());
        let text = Text::new(words).set("x", at.0).set("y", at.1).set("text-anchor", anchor);
        self.add(text.set("class", class));
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink) {
        let line = Line::new().set("x1", from.0).set("y1", from.1).set("x2", to.0).set("y2", to.1);
        self.add(line.set("class", ink.class()));
    }

    /// A smooth line that leaves `from` and reaches `to` vertically.
    pub(super) fn hang(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink) {
        let middle = f64::midpoint(from.1, to.1);
        let way = format!("M{} {}C{} {middle} {} {middle} {} {}", from.0, from.1, from.0, to.0, to.0, to.1);
        self.add(Path::new().set("d", way).set("class", ink.class()));
    }

    /// A line with a head at its end, along x.
    pub(super) fn arrow(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink) {
        self.line(from, to, ink);
        let back = if to.0 > from.0 { -7.0 } else { 7.0 };
        let head =
            format!("M{} {}L{} {}L{} {}", to.0 + back, to.1 - 4.0, to.0, to.1, to.0 + back, to.1 + 4.0);
        self.add(Path::new().set("d", head).set("class", ink.class()));
    }

    pub(super) fn boxed(&mut self, at: (f64, f64), size: (f64, f64), ink: Ink) {
        let shape = Rectangle::new().set("x", at.0).set("y", at.1).set("width", size.0).set("height", size.1);
        self.add(shape.set("rx", 6).set("class", format!("{} solid", ink.class())));
    }

    pub(super) fn dot(&mut self, at: (f64, f64), ink: Ink) {
        self.add(Circle::new().set("cx", at.0).set("cy", at.1).set("r", 5).set("class", ink.class()));
    }

    /// The finished file: no blank line in it, so that a page can include it as it stands.
    pub(super) fn finish(self) -> String {
        let text = self.0.to_string();
        let mut lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines.push("");
        lines.join("\n")
    }
}
