//! Where a region of this crate's answers otherwise than the driver, line by line: `differences.txt`, with the reasons.

use std::collections::BTreeMap;
use std::fs;

use crate::answer::Answer;
use crate::folder;
use crate::region::NOT_OFFERED;
use crate::script::{Call, Step};

/// A line of a script, and the two answers to it.
type Row = [String; 4];

/// How often each row is there: a script can have a line twice.
type Rows = BTreeMap<Row, usize>;

/// The rows in the file, each of which must stand under a reason.
fn listed() -> Rows {
    let text = fs::read_to_string(folder("differences.txt")).expect("the list of differences");
    let (mut rows, mut reason) = (Rows::new(), false);
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with("== ") {
            reason = true;
            continue;
        }
        let cells: Vec<_> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        let row = Row::try_from(cells).unwrap_or_else(|_| panic!("no row: {line}"));
        assert!(reason, "no reason for {line}");
        *rows.entry(row).or_default() += 1;
    }
    rows
}

/// Whether a script is one for a region: the personality of a process is the driver's business, and sandboxes refuse it.
pub(crate) fn is_for_a_region(script: &[Step]) -> bool {
    script.iter().all(|step| step.call != Call::ReadImpliesExec)
}

/// Whether a script can be played by this user: only root can become somebody else.
pub(crate) fn can_be_played(script: &[Step]) -> bool {
    let becomes = script.iter().any(|step| matches!(step.call, Call::Become { .. }));
    !becomes || rustix::process::geteuid().is_root()
}

/// What a region answers otherwise. That it lacks a name which the driver could give is no answer of its own.
fn found(name: &str, script: &[Step], driver: &[Answer], region: &[Answer]) -> Vec<Row> {
    let answers =
        script.iter().zip(driver.iter().zip(region)).filter(|(_, (driver, region))| driver != region);
    let lacking = region.iter().any(|answer| answer == NOT_OFFERED);
    let own = answers.filter(|(_, (_, region))| !(lacking && region.starts_with("no ") && region.len() == 4));
    own.map(|(step, (driver, region))| [name.to_owned(), step.to_string(), driver.clone(), region.clone()])
        .collect()
}

/// Compares what was found in all scripts with the list: what is missing in it, and what is no longer true.
pub(crate) fn compare(
    scripts: &[(String, Vec<Step>)],
    play: impl Fn(&[Step]) -> Vec<Answer>,
) -> Result<(), String> {
    let mut rows = listed();
    let mut wrong = String::new();
    for (name, script) in scripts {
        if !can_be_played(script) {
            rows.retain(|row, _| row[0] != *name);
            continue;
        }
        let driver = crate::recorded_answers(name);
        for row in found(name, script, &driver, &play(script)) {
            match rows.get_mut(&row) {
                Some(left @ 1..) => *left -= 1,
                _ => wrong += &format!("without a reason: {}\n", row.join(" | ")),
            }
        }
    }
    for (row, left) in rows.into_iter().filter(|(_, left)| *left > 0) {
        wrong += &format!("no longer true, {left} times: {}\n", row.join(" | "));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}
