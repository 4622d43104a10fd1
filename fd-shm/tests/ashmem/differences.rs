//! Where a region of this crate's answers otherwise than the driver, line by line: `differences.txt`, with
//! the reasons.

use std::collections::BTreeMap;
use std::fs;

use crate::answer::{self, Answer};
use crate::folder;
use crate::script::{Call, Step};

/// A line of a script, and the two answers to it.
type Row = [String; 4];

/// How often each row is there: a script can have a line twice.
type Rows = BTreeMap<Row, usize>;

/// What the name of a reason begins with that is one only where the driver keeps the pins.
const OVER_THE_DRIVER: &str = "over the driver";

/// The reasons that are ones there as well: what the crate's type promises, whoever keeps the pins.
const OF_THE_TYPE: [&str; 3] = [
    "name and size are given at birth",
    "the memory is there from the start",
    "what only a C program can ask",
];

/// The rows in the file that stand under a reason of interest; each must stand under one.
fn listed(wanted: impl Fn(&str) -> bool) -> Rows {
    let text = fs::read_to_string(folder("differences.txt")).expect("the list of differences");
    let (mut rows, mut reason) = (Rows::new(), None);
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("== ") {
            reason = Some(name);
            continue;
        }
        let cells: Vec<_> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        let row = Row::try_from(cells).unwrap_or_else(|_| panic!("no row: {line}"));
        let reason = reason.unwrap_or_else(|| panic!("no reason for {line}"));
        if wanted(reason) {
            *rows.entry(row).or_default() += 1;
        }
    }
    rows
}

/// Whether a script is one for a region: the personality of a process is the driver's business, and sandboxes
/// refuse it.
pub(crate) fn is_for_a_region(script: &[Step]) -> bool {
    script.iter().all(|step| step.call != Call::ReadImpliesExec)
}

/// Whether a script can be played by this user: only root can become somebody else.
pub(crate) fn can_be_played(script: &[Step]) -> bool {
    let becomes = script.iter().any(|step| matches!(step.call, Call::Become { .. }));
    !becomes || rustix::process::geteuid().is_root()
}

/// What a region answers otherwise. That it lacks a name which the driver could give is no answer of its own.
fn found(name: &str, script: &[Step], region: &[Answer]) -> Vec<Row> {
    let driver = crate::recorded_answers(name);
    let answers =
        script.iter().zip(driver.iter().zip(region)).filter(|(_, (driver, region))| driver != region);
    let mut lacking = false;
    let mut own = Vec::new();
    for (step, (driver, region)) in answers {
        if !(lacking && region.starts_with("no ")) {
            own.push([name.to_owned(), step.to_string(), driver.clone(), region.clone()]);
        }
        let gives_a_name = matches!(step.call, Call::Open { .. } | Call::Reopen { .. } | Call::Mmap { .. });
        lacking |= gives_a_name && driver == answer::OK;
    }
    own
}

/// Compares what was found in all scripts with the list: what is missing in it, and what is no longer true.
fn compare_with(
    mut listed: Rows,
    optional: &Rows,
    scripts: &[(String, Vec<Step>)],
    play: impl Fn(&[Step]) -> Vec<Answer>,
) -> Result<(), String> {
    let mut wrong = String::new();
    for (name, script) in scripts {
        if !can_be_played(script) {
            listed.retain(|row, _| row[0] != *name);
            continue;
        }
        for row in found(name, script, &play(script)) {
            match listed.get_mut(&row) {
                Some(left @ 1..) => *left -= 1,
                _ if optional.contains_key(&row) => {}
                _ => wrong += &format!("without a reason: {}\n", row.join(" | ")),
            }
        }
    }
    for (row, left) in listed.into_iter().filter(|(_, left)| *left > 0) {
        wrong += &format!("no longer true, {left} times: {}\n", row.join(" | "));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// Compares regions over a memory file with the list.
pub(crate) fn compare(
    scripts: &[(String, Vec<Step>)],
    play: impl Fn(&[Step]) -> Vec<Answer>,
) -> Result<(), String> {
    compare_with(listed(|reason| !reason.starts_with(OVER_THE_DRIVER)), &Rows::new(), scripts, play)
}

/// Compares regions over the real driver with the part of the list that is for them.
pub(crate) fn compare_over_the_driver(
    scripts: &[(String, Vec<Step>)],
    play: impl Fn(&[Step]) -> Vec<Answer>,
) -> Result<(), String> {
    let of_the_type = listed(|reason| OF_THE_TYPE.contains(&reason));
    compare_with(listed(|reason| reason.starts_with(OVER_THE_DRIVER)), &of_the_type, scripts, play)
}
