//! The pictures of the chapters on descriptors, each from what an example printed.

use anyhow::{Context, Result, bail};
use regex::Regex;

use crate::generated::Printed;
use crate::handover;
use crate::picture::permitted::{self, Row};
use crate::picture::ranges::{self, Range};
use crate::picture::tables::{self, Entries, Moment};
use crate::picture::turns::{self, Turn};
use crate::picture::ways::{self, Way};

/// Every picture, by its file's name.
///
/// # Errors
///
/// An example does not say what its picture shows.
pub fn pictures() -> Result<[(&'static str, String); 6]> {
    Ok([
        ("seals.svg", seals()?),
        ("ways.svg", ways()?),
        ("fork.svg", fork()?),
        ("robust-turns.svg", robust()?),
        ("lock-turns.svg", strangers()?),
        ("ranges.svg", unpinned()?),
    ])
}

/// What each seal takes away: the example's table.
fn seals() -> Result<String> {
    let printed = Printed::by("fd-shm/examples/fd_16_seals_add_up.out")?;
    let cells = |line: &str| -> Vec<String> { line.split_whitespace().map(ToOwned::to_owned).collect() };
    // The first column is 24 wide and indented by 2; the others have no space in them.
    let mut lines = printed.text.lines().map(|line| line.split_at_checked(26).unwrap_or((line, "")));
    let (_, steps) = lines.find(|(what, _)| what.trim() == "what is tried").context("no table of seals")?;
    let rows: Vec<_> = lines
        .take_while(|(what, _)| !what.is_empty())
        .map(|(what, answers)| Row {
            what: what.trim().to_owned(),
            answers: cells(answers).into_iter().map(|answer| (answer != "-").then_some(answer)).collect(),
        })
        .collect();
    let steps = cells(steps);
    if rows.is_empty() || rows.iter().any(|row| row.answers.len() != steps.len()) {
        bail!("{}: {} steps, and a row with another number of answers", printed.path, steps.len());
    }
    Ok(permitted::draw("A seal takes away what it names, and nothing comes back", &steps, &rows))
}

/// The ways side by side: fork from its own example, the others from the table of all.
fn ways() -> Result<String> {
    let fork = Printed::by("fd-shm/examples/fd_15_fork.out")?;
    let [here, there, same] =
        fork.find(r"one open file behind (\d+) here and (\d+) there \(kcmp\): (\w+)")?;
    let fork = Way {
        name: "fork".into(),
        who: "the whole table is copied",
        numbers: [here, there],
        is_one_open_file: same == "yes",
    };
    let printed = Printed::by("book/examples/handover_table.out")?;
    let names = ["inheritance", "SCM_RIGHTS", "pidfd_getfd", "/proc/<pid>/fd"];
    let mut ways = vec![fork];
    ways.extend(handover::ways(&printed.text, &names)?);
    Ok(ways::draw("Five ways, two numbers each; only /proc leads to a new open file", &ways))
}

/// Both tables round a fork, after each step.
fn fork() -> Result<String> {
    let printed = Printed::by("fd-shm/examples/fd_15_fork.out")?;
    let row = Regex::new(r"(?m)^  (\S.*?) {2,}((?:\d+ \w+(?:, )?)+) {2,}((?:\d+ \w+(?:, )?)+|-)$")?;
    let entries = |text: &str| -> Entries {
        let entries = text.split(", ").filter_map(|entry| entry.split_once(' '));
        (text != "-").then(|| entries.map(|(number, file)| (number.to_owned(), file.to_owned())).collect())
    };
    let moments: Vec<_> = row
        .captures_iter(&printed.text)
        .map(|found| found.extract().1)
        .map(|[event, parents, childs]| Moment {
            event: event.trim_matches(['(', ')']).to_owned(),
            tables: [entries(parents), entries(childs)],
        })
        .collect();
    if moments.len() < 2 {
        bail!("{} has no table of tables", printed.path);
    }
    Ok(tables::draw("A fork copies the table, and from then on there are two", ["parent", "child"], &moments))
}

/// The robust mutex whose owner is killed.
fn robust() -> Result<String> {
    let (lanes, turns) = story("fd-shm/examples/fd_21_robust_mutex.out", "The heir repairs:")?;
    Ok(turns::draw("The owner is killed inside, and the next one is told", &lanes, &turns))
}

/// The lock for strangers, with one of them in it.
fn strangers() -> Result<String> {
    let (lanes, turns) =
        story("fd-shm/examples/fd_22_lock_for_strangers.out", "A lock that the kernel keeps:")?;
    Ok(turns::draw("Never two inside, whatever the stranger writes", &lanes, &turns))
}

/// The unpinned ranges of a region, call by call.
fn unpinned() -> Result<String> {
    let printed = Printed::by("fd-shm/examples/fd_33_ranges.out")?;
    let row = Regex::new(r"(?m)^  (.{17}) (.{12}) (-|[0-9* -]+?) +([a-z.]{16})$")?;
    let range = Regex::new(r"(\d+)-(\d+)(\*?)")?;
    let rows = row.captures_iter(&printed.text).map(|found| found.extract().1);
    let moments = rows.map(|[call, answer, unpinned, content]| {
        let ranges = range.captures_iter(unpinned).map(|found| found.extract().1);
        let ranges = ranges.map(|[first, last, mark]| {
            Ok(Range { first: first.parse()?, last: last.parse()?, purged: mark == "*" })
        });
        Ok(ranges::Moment {
            call: call.trim().to_owned(),
            answer: answer.trim().to_owned(),
            ranges: ranges.collect::<Result<_>>()?,
            pages: content.chars().map(|letter| (letter != '.').then_some(letter)).collect(),
        })
    });
    let moments = moments.collect::<Result<Vec<_>>>()?;
    if moments.len() < 2 {
        bail!("{} has no table of ranges", printed.path);
    }
    Ok(ranges::draw("Unpinned ranges, call by call; the mark of a purge is the range's", &moments))
}

/// The story under `heading`: its parties in the order of their entries, and its lines.
fn story(path: &'static str, heading: &str) -> Result<(Vec<String>, Vec<Turn>)> {
    let printed = Printed::by(path)?;
    let (_, rest) = printed.text.split_once(heading).with_context(|| format!("{path} has no {heading}"))?;
    let (mut lanes, mut turns): (Vec<String>, Vec<Turn>) = (Vec::new(), Vec::new());
    // A party has ten columns, indented by two; a line that goes on has more spaces there.
    let lines = rest.trim_start_matches('\n').lines().map_while(|line| line.split_at_checked(12));
    for (party, text) in lines.map(|(party, text)| (party.trim(), text.trim())) {
        if party.is_empty() {
            bail!("{path}: a line is too long to be drawn: {text}");
        }
        let lane = lanes.iter().position(|lane| lane == party).unwrap_or(lanes.len());
        if lane == lanes.len() {
            lanes.push(party.to_owned());
        }
        let (ended, refused) = (text.contains("was killed"), text.contains("held it all the while"));
        let is_in = |lane| {
            let last = turns.iter().rev().find(|turn: &&Turn| turn.lane == lane);
            last.is_some_and(|turn| turn.inside)
        };
        let enters = is_in(lane) || text.starts_with("is inside");
        let inside = enters && !ended && !text.contains("unlocks");
        if inside && (0..lanes.len()).any(|other| other != lane && is_in(other)) {
            bail!("{path}: two are inside when {party} {text}");
        }
        turns.push(Turn { lane, text: text.to_owned(), inside, accent: ended || refused });
    }
    if turns.is_empty() {
        bail!("{path}: nothing is told under {heading}");
    }
    Ok((lanes, turns))
}
