//! What happened, step by step: each row a kernel function, in somebody's call, with values.

use crate::driver::Translation;
use crate::fd_table::FdRow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The widest line of a printed trace.
const WIDTH: usize = 100;

/// Where a row belongs in a picture that has a lane for each process, and one for the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize), serde(untagged))]
pub enum Lane {
    /// The driver, on behalf of the process in whose call it runs.
    Driver,
    /// A process itself, or its table, by its place among [`Trace::processes`].
    Process(usize),
}

/// A number that names something else from a step on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Change {
    /// Whose number: a place among [`Trace::processes`].
    pub process: usize,
    /// Which.
    pub fd: u32,
    /// What is open there now; none if it was closed.
    pub now: Option<FdRow>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
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
    /// What it changed in the tables.
    pub changes: Vec<Change>,
}

/// A row of the fd translation table: one descriptor that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
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
    /// The step from which on it names the file.
    pub installed_at_step: usize,
}

/// The steps of what happened between some processes.
///
/// The tables are written down once, and then what each step changes in them, so that a trace can be
/// [replayed](Trace::replay) from the start or from JSON, without a world.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Trace {
    /// `classic` or `deferred`.
    pub translation: String,
    /// The processes whose tables are followed, by name. No two have the same.
    pub processes: Vec<String>,
    /// The table of each before the first step.
    pub before: Vec<Vec<FdRow>>,
    /// The steps.
    pub rows: Vec<Row>,
    /// The fd translation table: what arrived.
    pub translations: Vec<TranslationRow>,
}

/// The state between two steps of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The table of each process.
    pub tables: Vec<Vec<FdRow>>,
    /// The fd translation table: what has arrived so far.
    pub translations: Vec<TranslationRow>,
}

impl Trace {
    /// A trace without steps.
    pub(crate) fn new(translation: Translation, tables: Vec<(String, Vec<FdRow>)>) -> Trace {
        let (processes, before) = tables.into_iter().unzip();
        let translation = alloc::format!("{translation}");
        Trace { translation, processes, before, rows: Vec::new(), translations: Vec::new() }
    }

    /// The lane of what `process` itself does, or of its table.
    pub(crate) fn lane_of(&self, process: &str) -> Lane {
        self.processes.iter().position(|name| name == process).map_or(Lane::Driver, Lane::Process)
    }

    /// The state after the first `steps` steps: 0 is before all, and more than there are is after all.
    ///
    /// # Examples
    /// ```
    /// use binder_sim::driver::Translation;
    /// use binder_sim::story::one_descriptor;
    ///
    /// let (_, trace) = one_descriptor(Translation::Deferred)?;
    /// let arrived = trace.translations[0].installed_at_step;
    /// assert!(trace.replay(arrived - 1).translations.is_empty(), "chosen, and not to be seen yet");
    /// assert_eq!(trace.replay(arrived).translations.len(), 1);
    /// # Ok::<(), binder_sim::error::Error>(())
    /// ```
    pub fn replay(&self, steps: usize) -> Moment {
        let mut tables = self.before.clone();
        for change in self.rows.iter().take(steps).flat_map(|row| &row.changes) {
            if let Some(table) = tables.get_mut(change.process) {
                apply(table, change);
            }
        }
        let arrived = self.translations.iter().filter(|row| row.installed_at_step <= steps);
        Moment { tables, translations: arrived.cloned().collect() }
    }

    /// The table of a process after the last step; empty for one that is not followed.
    pub fn after(&self, process: &str) -> Vec<FdRow> {
        match self.lane_of(process) {
            Lane::Process(at) => self.replay(self.rows.len()).tables.swap_remove(at),
            Lane::Driver => Vec::new(),
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

/// Tables beside each other, as text: what each process has open under which number.
pub fn side_by_side(tables: &[(&str, &[FdRow])]) -> String {
    let cell = |row: Option<&FdRow>| match row {
        Some(row) => {
            let flag = if row.close_on_exec { "  close-on-exec" } else { "" };
            alloc::format!("{:>4}  {:<14}{flag}", row.fd, row.file)
        }
        None => String::new(),
    };
    let mut lines = alloc::vec![tables.iter().map(|(name, _)| String::from(*name)).collect::<Vec<_>>()];
    let longest = tables.iter().map(|(_, rows)| rows.len()).max().unwrap_or(0);
    lines.extend((0..longest).map(|at| tables.iter().map(|(_, rows)| cell(rows.get(at))).collect()));
    let mut text = String::new();
    for cells in lines {
        let line: String = cells.iter().map(|cell| alloc::format!("{cell:<44}")).collect();
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Puts a change into a table, which stays in order.
fn apply(table: &mut Vec<FdRow>, change: &Change) {
    let at = table.partition_point(|row| row.fd < change.fd);
    if table.get(at).is_some_and(|row| row.fd == change.fd) {
        table.remove(at);
    }
    if let Some(now) = &change.now {
        table.insert(at, now.clone());
    }
}

/// What has to be changed to make one table, in order, the other.
pub(crate) fn changes(process: usize, before: &[FdRow], after: &[FdRow]) -> Vec<Change> {
    let gone = before.iter().filter(|row| !after.iter().any(|other| other.fd == row.fd));
    let gone = gone.map(|row| Change { process, fd: row.fd, now: None });
    let new = after.iter().filter(|row| !before.contains(row));
    gone.chain(new.map(|row| Change { process, fd: row.fd, now: Some(row.clone()) })).collect()
}

impl fmt::Display for Trace {
    /// A timeline: step, in whose call, which function, what happened; and each change of a table below.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = |name: fn(&Row) -> &str| self.rows.iter().map(|row| name(row).len()).max().unwrap_or(0);
        let (actor, function) = (wide(|row| &row.in_call_of), wide(|row| &row.function));
        let indent = 2 + 2 + actor + 2 + function + 2;
        let mut tables = self.before.clone();
        for row in &self.rows {
            let mut lines = wrap(&row.text, WIDTH.saturating_sub(indent));
            for change in &row.changes {
                tables.get_mut(change.process).into_iter().for_each(|table| apply(table, change));
            }
            for ((at, name), table) in self.processes.iter().enumerate().zip(&tables) {
                if row.changes.iter().any(|change| change.process == at) {
                    lines.push(alloc::format!("| {name} now has {}", numbers(table)));
                }
            }
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

/// The numbers of a table.
fn numbers(table: &[FdRow]) -> String {
    if table.is_empty() {
        return "nothing open".into();
    }
    let numbers: Vec<String> = table.iter().map(|row| alloc::format!("{}", row.fd)).collect();
    numbers.join(" ")
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
