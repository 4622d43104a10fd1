//! The report as a table for people: grouped by question, at most 110 columns wide.

use std::fmt::{self, Display};

use crate::{Counts, Environment, Question, Report, Role, Row, Unit, advice};

/// How the columns are to be read; the table opens with it.
const LEGEND: [&str; 8] = [
    "role    ours: this workspace's library; floor: system calls alone; model: another way; peer: others' library",
    "checked system calls with the checks of ours besides; its ratio is what the checks cost",
    "median  over the batches of a run; the rows of one question and size take turns: A B C, C B A, A B C, ...",
    "p99     the bad end: 99 of 100 were better, and 999 of 1000 (where messages share a batch: batches)",
    "ratio   how many times worse than the same work in raw system calls, in turns; above 1 is always worse",
    "~       another run may differ by more than 15 %: trust the order of magnitude",
    "cpu     CPU time of both processes for one operation, the kernel's work included",
    "sw      context switches of both for one operation; page faults where those are the question",
];

/// Prints a report.
#[derive(Debug)]
pub struct Table<'a>(pub &'a Report);

impl Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "WHAT SHARED MEMORY COSTS\n")?;
        environment(f, &self.0.environment)?;
        writeln!(f)?;
        for line in LEGEND {
            writeln!(f, "  {line}")?;
        }
        Question::ALL.into_iter().try_for_each(|question| self.question(f, question))?;
        let sentences = advice::sentences(self.0);
        if !sentences.is_empty() {
            writeln!(f, "\nWHAT TO TAKE AWAY")?;
        }
        sentences.iter().try_for_each(|sentence| wrapped(f, sentence))
    }
}

impl Table<'_> {
    fn question(&self, f: &mut fmt::Formatter<'_>, question: Question) -> fmt::Result {
        let rows = || self.0.rows.iter().filter(move |row| row.question == question);
        if rows().next().is_none() {
            return Ok(());
        }
        writeln!(f, "\n{}", question.title().to_uppercase())?;
        writeln!(f, "  {}\n  {}\n", question.work(), question.reading())?;
        let size_is = if question.counts() == Counts::Bytes { "size" } else { "number" };
        let last = counted_name(question);
        writeln!(
            f,
            "  {:<30} {size_is:>8}  {:<7} {:>10} {:>10} {:>10} {:>7}  {:>9} {last:>6}",
            "way", "role", "median", "p99", "p99.9", "ratio", "cpu"
        )?;
        let mut size = None;
        // A floor stands in the row that is held against it; it has a row of its own where that is somebody
        // else's.
        let hidden = |row: &Row| row.role == Role::Floor && rows().any(|other| is_ours_of(other, row));
        for row in rows().filter(|row| !hidden(row)) {
            if size.is_some_and(|before| before != row.size) {
                writeln!(f)?;
            }
            size = Some(row.size);
            line(f, row)?;
        }
        let missing = self.0.missing.iter().filter(|missing| missing.question == question);
        missing.into_iter().enumerate().try_for_each(|(at, missing)| {
            let gap = if at == 0 { "\n" } else { "" };
            writeln!(f, "{gap}  not measured here: {}: {}", missing.subject, missing.reason)
        })
    }
}

/// Whether page faults say more about the question than context switches.
fn counts_faults(question: Question) -> bool {
    matches!(question, Question::SetUp | Question::Joining | Question::FirstTouch)
}

/// A paragraph of lines that fit.
fn wrapped(f: &mut fmt::Formatter<'_>, sentence: &str) -> fmt::Result {
    writeln!(f)?;
    let mut line = String::new();
    for word in sentence.split(' ') {
        if line.chars().count() + word.chars().count() > 104 {
            writeln!(f, "  {}", line.trim_end())?;
            line.clear();
        }
        line.push_str(word);
        line.push(' ');
    }
    writeln!(f, "  {}", line.trim_end())
}

fn is_ours_of(row: &Row, floor: &Row) -> bool {
    row.role == Role::Ours && row.subject == floor.subject && row.size == floor.size
}

fn environment(f: &mut fmt::Formatter<'_>, here: &Environment) -> fmt::Result {
    let virtual_machine = if here.virtual_machine { ", virtual machine" } else { "" };
    let processes = if here.pinned { "each pinned to a CPU of its own" } else { "not pinned: one CPU" };
    let keys = if here.private_ipc { "private" } else { "the machine's, so nothing is measured by key" };
    // Distributions put much into a kernel's version.
    let kernel: String = here.kernel.chars().take(96).collect();
    writeln!(f, "  kernel     {}", kernel.trim_end())?;
    writeln!(f, "  processor  {}, {} CPUs, {}{virtual_machine}", here.cpu, here.cpus, here.architecture)?;
    writeln!(f, "  processes  two, {processes}; load before the run {}", here.load)?;
    writeln!(
        f,
        "  memory     pages of {} bytes; huge pages: private {}, shared {}, set aside and free {}",
        here.page_size, here.thp, here.thp_shmem, here.free_huge_pages
    )?;
    writeln!(f, "  namespace  IPC: {keys}")
}

fn line(f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
    // A floor is its own floor: nothing to say.
    let ratio = row.ratio.filter(|_| row.role != Role::Floor);
    let ratio = ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
    writeln!(
        f,
        "  {:<30} {:>8}  {:<7} {:>10} {:>10} {:>10} {ratio:>7}{} {:>9} {:>6}",
        row.subject,
        size(row),
        row.role.name(),
        figure(row.unit, row.median),
        figure(row.unit, row.p99),
        figure(row.unit, row.p999),
        if row.noisy { "~" } else { " " },
        figure(Unit::Nanoseconds, row.cpu),
        counted(row),
    )
}

/// What the row's size says.
pub fn size(row: &Row) -> String {
    match row.question.counts() {
        _ if row.size == 0 => "-".to_owned(),
        Counts::Bytes => bytes(row.size),
        Counts::Things => row.size.to_string(),
    }
}

/// The name of the column of [`counted`].
pub(crate) fn counted_name(question: Question) -> &'static str {
    if counts_faults(question) { "faults" } else { "sw" }
}

/// Context switches of an operation, or page faults where these are the question: a few with a digit behind
/// the point, many without.
pub(crate) fn counted(row: &Row) -> String {
    let number = if counts_faults(row.question) { row.faults } else { row.switches };
    if number < 99.95 { format!("{number:.1}") } else { format!("{number:.0}") }
}

/// A size with the largest binary unit that divides it.
pub fn bytes(size: u64) -> String {
    match size {
        _ if size.is_multiple_of(1 << 20) => format!("{} MiB", size >> 20),
        _ if size.is_multiple_of(1 << 10) => format!("{} KiB", size >> 10),
        _ => format!("{size} B"),
    }
}

/// A figure with three digits and a unit that fits.
pub fn figure(unit: Unit, value: f64) -> String {
    let (names, value) = match unit {
        Unit::Nanoseconds => (["ns", "µs", "ms", "s"], value),
        Unit::BytesPerSecond => (["kB/s", "MB/s", "GB/s", "TB/s"], value / 1e3),
        Unit::PerSecond => (["/s", "k/s", "M/s", "G/s"], value),
    };
    let mut shown = value;
    let mut name = names[0];
    for larger in &names[1..] {
        // What would be rounded up to a thousand belongs to the next unit.
        if shown < 999.5 {
            break;
        }
        shown /= 1e3;
        name = larger;
    }
    let digits = if shown < 9.995 { 2 } else { usize::from(shown < 99.95) };
    format!("{shown:.digits$} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        for (unit, value, expected) in [
            (Unit::Nanoseconds, 0.5, "0.50 ns"),
            (Unit::Nanoseconds, 9.996, "10.0 ns"),
            (Unit::Nanoseconds, 110.4, "110 ns"),
            (Unit::Nanoseconds, 999.4, "999 ns"),
            (Unit::Nanoseconds, 999.9, "1.00 µs"),
            (Unit::Nanoseconds, 10_920.0, "10.9 µs"),
            (Unit::Nanoseconds, 3.2e6, "3.20 ms"),
            (Unit::Nanoseconds, 5e12, "5000 s"),
            (Unit::BytesPerSecond, 4.31e9, "4.31 GB/s"),
            (Unit::BytesPerSecond, 64e6, "64.0 MB/s"),
            (Unit::PerSecond, 716e3, "716 k/s"),
        ] {
            assert_eq!(figure(unit, value), expected, "{unit:?} {value}");
        }
    }

    #[test]
    fn sizes_are_whole() {
        for (size, expected) in [(64, "64 B"), (4096, "4 KiB"), (1 << 20, "1 MiB"), (1500, "1500 B")] {
            assert_eq!(bytes(size), expected);
        }
    }
}
