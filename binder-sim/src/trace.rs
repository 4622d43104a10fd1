//! What happened, step by step: each row a kernel function, in somebody's call, with values.

use crate::driver::Translation;
use crate::fd_table::FdRow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The widest line of a printed trace.
const WIDTH: usize = 100;

/// Where a row belongs in a picture with three lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "lowercase"))]
pub enum Lane {
    /// The sending process itself, or its table.
    Sender,
    /// The driver, on behalf of the process in whose call it runs.
    Driver,
    /// The receiving process itself, or its table.
    Receiver,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Row {
    /// 1, 2, 3...
    pub step: usize,
    /// Where it belongs in a picture: a change of a table belongs to the table's owner.
    pub lane: Lane,
    /// In whose call it happens: the process whose thread runs.
    pub in_call_of: String,
    /// The call, or the kernel function.
    pub function: String,
    /// What happened, with values.
    pub text: String,
    /// The sender's table after the step.
    pub sender_table: Vec<FdRow>,
    /// The receiver's table after the step.
    pub receiver_table: Vec<FdRow>,
}

/// A row of the fd translation table: one descriptor that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct TranslationRow {
    /// Who sent it.
    pub sender: String,
    /// Under which number of its own.
    pub sender_fd: u32,
    /// The open file that both numbers name.
    pub file: String,
    /// Who got it.
    pub receiver: String,
    /// Under which number of its own.
    pub receiver_fd: u32,
    /// In whose call that number was chosen.
    pub chosen_in_call_of: String,
    /// The step of the trace at which it was chosen.
    pub chosen_at_step: usize,
}

/// The steps of a transaction between two processes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Trace {
    /// `classic` or `deferred`.
    pub translation: String,
    /// The name of the sending process.
    pub sender: String,
    /// The name of the receiving process.
    pub receiver: String,
    /// The sender's table before the first step.
    pub sender_before: Vec<FdRow>,
    /// The receiver's table before the first step.
    pub receiver_before: Vec<FdRow>,
    /// The steps.
    pub rows: Vec<Row>,
    /// The fd translation table: what arrived.
    pub translations: Vec<TranslationRow>,
}

impl Trace {
    /// A trace without steps.
    pub(crate) fn new(translation: Translation, sender: &str, receiver: &str) -> Trace {
        Trace {
            translation: alloc::format!("{translation}"),
            sender: sender.into(),
            receiver: receiver.into(),
            sender_before: Vec::new(),
            receiver_before: Vec::new(),
            rows: Vec::new(),
            translations: Vec::new(),
        }
    }

    /// The lane of what `process` itself does, or of its table.
    pub(crate) fn lane_of(&self, process: &str) -> Lane {
        if process == self.sender {
            Lane::Sender
        } else if process == self.receiver {
            Lane::Receiver
        } else {
            Lane::Driver
        }
    }

    /// The tables after the last step: the sender's, the receiver's.
    pub fn after(&self) -> (&[FdRow], &[FdRow]) {
        match self.rows.last() {
            Some(row) => (&row.sender_table, &row.receiver_table),
            None => (&self.sender_before, &self.receiver_before),
        }
    }

    /// The trace as JSON: the fields of [`Trace`], by name.
    #[cfg(feature = "json")]
    pub fn to_json(&self) -> String {
        // A trace is strings, numbers and lists: writing those into a string cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The fd translation table as text: a line for each descriptor that arrived.
    pub fn translation_table(&self) -> String {
        let mut text = alloc::format!(
            "{:<10} {:>6}     {:<14}     {:<10} {:>6}   {}\n",
            "from",
            "number",
            "open file",
            "to",
            "number",
            "chosen"
        );
        for row in &self.translations {
            text += &alloc::format!(
                "{:<10} {:>6}  -> {:<14}  -> {:<10} {:>6}   at step {}, in the {}'s call\n",
                row.sender,
                row.sender_fd,
                row.file,
                row.receiver,
                row.receiver_fd,
                row.chosen_at_step,
                row.chosen_in_call_of
            );
        }
        text
    }
}

/// Two tables beside each other, as text: what each process has open under which number.
pub fn side_by_side(left: (&str, &[FdRow]), right: (&str, &[FdRow])) -> String {
    let cell = |row: Option<&FdRow>| match row {
        Some(row) => {
            let flag = if row.close_on_exec { "  close-on-exec" } else { "" };
            alloc::format!("{:>4}  {:<14}{flag}", row.fd, row.file)
        }
        None => String::new(),
    };
    let mut text = alloc::format!("{:<44}{}\n", left.0, right.0);
    for at in 0..left.1.len().max(right.1.len()) {
        let line = alloc::format!("{:<44}{}", cell(left.1.get(at)), cell(right.1.get(at)));
        text += line.trim_end();
        text.push('\n');
    }
    text
}

impl fmt::Display for Trace {
    /// A timeline: step, in whose call, which function, what happened; and each change of a table below.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = |name: fn(&Row) -> &str| self.rows.iter().map(|row| name(row).len()).max().unwrap_or(0);
        let (actor, function) = (wide(|row| &row.in_call_of), wide(|row| &row.function));
        let indent = 2 + 2 + actor + 2 + function + 2;
        let mut before = (&self.sender_before, &self.receiver_before);
        for row in &self.rows {
            let mut lines = wrap(&row.text, WIDTH.saturating_sub(indent));
            let after = (&row.sender_table, &row.receiver_table);
            let changes = [(&self.sender, before.0, after.0), (&self.receiver, before.1, after.1)];
            for (name, _, table) in changes.into_iter().filter(|(_, before, after)| before != after) {
                let numbers: Vec<String> = table.iter().map(|row| alloc::format!("{}", row.fd)).collect();
                lines.push(alloc::format!("| {name} now has {}", numbers.join(" ")));
            }
            before = after;
            let head = (row.step, row.in_call_of.as_str(), row.function.as_str());
            for (n, line) in lines.iter().enumerate() {
                if n == 0 {
                    writeln!(f, "{:>2}  {:<actor$}  {:<function$}  {line}", head.0, head.1, head.2)?;
                } else {
                    writeln!(f, "{:indent$}{line}", "")?;
                }
            }
        }
        Ok(())
    }
}

/// `text` in lines of at most `width`, broken between words.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = alloc::vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}
