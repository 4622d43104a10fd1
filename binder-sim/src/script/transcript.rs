//! What each actor saw, and the form in which it stands in a file beside the steps.

use super::seen::Seen;
use super::{ParseError, Script};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// What one step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The step's place in the script, from 1.
    pub step: usize,
    /// Whose it was.
    pub actor: String,
    /// What it did.
    pub did: String,
    /// What it saw.
    pub saw: Seen,
    /// The step after which it saw it, if it had to wait.
    pub after: Option<usize>,
}

impl Line {
    /// All of what was seen, and after which step.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.saw.lines.clone();
        if let (Some(after), Some(first)) = (self.after, lines.first_mut()) {
            *first = format!("after {after}: {first}");
        }
        lines
    }
}

/// What each actor saw, in the order of the script.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transcript {
    /// A line for each step.
    pub lines: Vec<Line>,
}

impl Transcript {
    /// What `actor` saw, step by step, in short.
    pub fn of(&self, actor: &str) -> impl DoubleEndedIterator<Item = String> {
        self.lines.iter().filter(move |line| line.actor == actor).map(|line| line.saw.to_string())
    }

    /// What every step saw, in full.
    pub fn seen(&self) -> Vec<Vec<String>> {
        self.lines.iter().map(Line::lines).collect()
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{:>3} {:<10} {}\n{:>14} -> {}", line.step, line.actor, line.did, "", line.saw)?;
        }
        Ok(())
    }
}

/// A script with what was seen when it ran on some kernels.
///
/// ```text
/// seen on 5.10 6.1 6.12 7.3
///
///  7 server: get_extended_error
///       -> [5.10] EINVAL
///       -> [6.1 6.12 7.3] BR_OK, 0
/// ```
///
/// A line that names no kernels is true of all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// What was run.
    pub script: Script,
    /// The kernels, the oldest first, each with what every step saw.
    pub seen: Vec<(String, Vec<Vec<String>>)>,
}

/// What the line begins with that names the kernels.
const SEEN_ON: &str = "seen on ";

/// What a line begins with that tells what was seen.
const ARROW: &str = "->";

/// Whether a line tells what was seen, and is no part of the script.
pub(super) fn is_seen(line: &str) -> bool {
    line.starts_with(ARROW) || line.starts_with(SEEN_ON)
}

impl FromStr for Recorded {
    type Err = ParseError;

    /// Reads a script, and what was seen.
    fn from_str(text: &str) -> Result<Recorded, ParseError> {
        let script: Script = text.parse()?;
        let kernels = text.lines().find_map(|line| line.trim().strip_prefix(SEEN_ON)).unwrap_or("");
        let none: Vec<Vec<String>> = script.steps.iter().map(|_| Vec::new()).collect();
        let mut seen: Vec<(String, Vec<Vec<String>>)> =
            kernels.split_whitespace().map(|kernel| (kernel.to_string(), none.clone())).collect();
        let mut step = 0;
        for (n, line) in text.lines().enumerate() {
            let line = line.trim();
            let Some(told) = line.strip_prefix(ARROW) else {
                let is_head = line.is_empty() || line.starts_with(['#']) || line.starts_with("actor ");
                step += usize::from(!is_head && !is_seen(line));
                continue;
            };
            let (of, told) = match told.trim().strip_prefix('[').and_then(|told| told.split_once("] ")) {
                Some((of, told)) => (Some(of), told),
                None => (None, told.trim()),
            };
            let Some(at) = step.checked_sub(1) else {
                return Err(ParseError {
                    line: n + 1,
                    what: "something is seen before the first step".into(),
                });
            };
            for (kernel, seen) in &mut seen {
                if of.is_none_or(|of| of.split(' ').any(|one| one == kernel)) {
                    seen[at].push(told.to_string());
                }
            }
        }
        Ok(Recorded { script, seen })
    }
}

impl Recorded {
    /// What every step saw on `kernel`.
    pub fn on(&self, kernel: &str) -> Option<&Vec<Vec<String>>> {
        self.seen.iter().find(|(known, _)| known == kernel).map(|(_, seen)| seen)
    }

    /// Puts in what every step saw on `kernel`, in place of what was known of it.
    pub fn record(&mut self, kernel: &str, seen: Vec<Vec<String>>) {
        self.seen.retain(|(known, _)| known != kernel);
        self.seen.push((kernel.into(), seen));
        // 6.1 stands before 6.12.
        let version =
            |kernel: &str| kernel.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>();
        self.seen.sort_by_key(|(kernel, _)| version(kernel));
    }

    /// What a step saw, each text with the kernels that agree on it.
    fn opinions(&self, step: usize) -> Vec<(Vec<&str>, &[String])> {
        let mut opinions: Vec<(Vec<&str>, &[String])> = Vec::new();
        for (kernel, seen) in &self.seen {
            let lines = seen.get(step).map_or(&[][..], |lines| lines);
            match opinions.iter_mut().find(|(_, known)| *known == lines) {
                Some((kernels, _)) => kernels.push(kernel),
                None => opinions.push((alloc::vec![kernel.as_str()], lines)),
            }
        }
        opinions
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.script.head(f)?;
        if !self.seen.is_empty() {
            let kernels: Vec<&str> = self.seen.iter().map(|(kernel, _)| kernel.as_str()).collect();
            writeln!(f, "{SEEN_ON}{}\n", kernels.join(" "))?;
        }
        for step in 0..self.script.steps.len() {
            writeln!(f, "{}", self.script.text_of(step + 1))?;
            let opinions = self.opinions(step);
            for (kernels, lines) in &opinions {
                let of = if opinions.len() > 1 { format!("[{}] ", kernels.join(" ")) } else { String::new() };
                lines.iter().try_for_each(|line| writeln!(f, "      {ARROW} {of}{line}"))?;
            }
        }
        Ok(())
    }
}
