//! The pictures of the chapters on Binder: from traces of the simulated driver, and from what its examples printed.

use anyhow::{Context, Result, ensure};
use binder_sim::driver::{Profile, Translation};
use binder_sim::fd_table::FdRow;
use binder_sim::script::Recorded;
use binder_sim::story;
use binder_sim::trace::Trace;
use regex::Regex;

use crate::generated::Printed;
use crate::picture::conversation::{self, Line};
use crate::picture::lifetime::{self, Row};
use crate::picture::players::{self, Player};
use crate::picture::sequence::{self, Step};
use crate::picture::translation::{self, Table};

/// Each picture's file name and text.
pub(crate) fn pictures() -> Result<[(&'static str, String); 8]> {
    let (_, classic) = story::one_descriptor(Translation::Classic)?;
    let (_, deferred) = story::one_descriptor(Translation::Deferred)?;
    Ok([
        ("translation.svg", tables(&deferred)?),
        ("transaction-classic.svg", steps(&classic)?),
        ("transaction-deferred.svg", steps(&deferred)?),
        ("numbers.svg", moments(&classic, &deferred)?),
        ("handles.svg", handles()?),
        ("two-players.svg", two_players()?),
        (
            "nested.svg",
            talk("binder-sim/examples/binder_10_nested.out", "A call back in the middle of a call")?,
        ),
        (
            "server-and-client.svg",
            talk("binder-sim/examples/binder_14_server_and_client.out", "Server, client and manager")?,
        ),
    ])
}

/// The traces that a page lets its reader go through: each one's file name and text.
pub(crate) fn traces() -> Result<[(&'static str, String); 2]> {
    let json = |translation| Ok::<_, anyhow::Error>(story::one_descriptor(translation)?.1.to_json() + "\n");
    Ok([
        ("transaction-classic.json", json(Translation::Classic)?),
        ("transaction-deferred.json", json(Translation::Deferred)?),
    ])
}

/// The two tables after the transaction, and the one open file.
fn tables(trace: &Trace) -> Result<String> {
    let row = trace.translations.first().context("the story translates a descriptor")?;
    let table = |process: &str, entries: &[FdRow]| Table {
        process: process.to_owned(),
        kind: "its fd table",
        entries: entries.iter().map(|entry| (entry.fd, entry.file.clone())).collect(),
    };
    let translation = translation::Translation {
        by: "Binder driver",
        what: "one open file",
        sent: row.sender_fd,
        file: row.file.clone(),
        received: row.receiver_fd,
    };
    let (sender, receiver) = (trace.after(&row.sender), trace.after(&row.receiver));
    Ok(translation::draw(&table(&row.sender, &sender), &table(&row.receiver, &receiver), &translation))
}

/// The steps, with the one at which the receiver's number is chosen marked.
fn steps(trace: &Trace) -> Result<String> {
    let chosen = trace.translations.first().context("the story translates a descriptor")?.chosen_at_step;
    let steps: Vec<_> = trace
        .rows
        .iter()
        .map(|row| Step {
            lane: trace.processes.iter().position(|name| *name == row.in_call_of).unwrap_or(0),
            function: row.function.clone(),
            text: row.text.clone(),
            accent: row.step == chosen,
        })
        .collect();
    let title = format!("One transaction with a descriptor, in the {} scheme", trace.translation);
    Ok(sequence::draw(&title, &trace.processes, &steps))
}

/// What two of the receiver's numbers lead to as the story goes on, in both schemes.
fn moments(classic: &Trace, deferred: &Trace) -> Result<String> {
    let events = [
        "before the call",
        "after the sender's call",
        "after its open(\"log\")",
        "after its read",
        "buffer given back",
    ];
    let mut rows = Vec::new();
    for trace in [classic, deferred] {
        let at =
            |what: &str, found: Option<usize>| found.with_context(|| format!("no step {what} in the story"));
        let opened = at("open", trace.rows.iter().position(|row| row.function.starts_with("open(")))?;
        let read = at("read", trace.rows.iter().position(|row| row.text.contains("BR_TRANSACTION for")))?;
        let moments = [0, opened, opened + 1, read + 1, trace.rows.len()];
        let receiver = at("of a receiver", trace.processes.iter().position(|name| name == "receiver"))?;
        for fd in [4, 6] {
            let leads_to = moments.map(|steps| name(&trace.replay(steps).tables[receiver], fd));
            rows.push(Row { number: format!("{}, {fd}", trace.translation), leads_to: leads_to.into() });
        }
    }
    let title =
        "What the receiver's numbers 4 and 6 lead to: the classic scheme fills 4 while the sender calls";
    Ok(lifetime::draw(title, &events.map(String::from), &rows, "shared memory"))
}

/// What a number leads to, in words.
fn name(table: &[FdRow], fd: u32) -> String {
    match table.iter().find(|row| row.fd == fd) {
        Some(row) if row.file.contains(' ') => row.file.clone(),
        Some(row) => format!("its {}", row.file),
        None => "free".into(),
    }
}

/// Two processes' handles for one node, as the example printed them.
fn handles() -> Result<String> {
    let printed = Printed::by("binder-sim/examples/binder_09_handles.out")?;
    let [sent, received] = printed.find(
        r"BC_REPLY, 24 bytes \[HANDLE (\d+)\]\n.*\n.*\n  client +reads +BR_REPLY, 24 bytes \[HANDLE (\d+)\]",
    )?;
    let nodes = Regex::new(r"BINDER (0x\w+)\]\n  broker +reads .*\[HANDLE (\d+)\]")?;
    let mut entries: Vec<(u32, String)> = Vec::new();
    for found in nodes.captures_iter(&printed.text) {
        let entry = (found[2].parse()?, format!("node {}", &found[1]));
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    let (sent, received) = (sent.parse()?, received.parse()?);
    let node =
        entries.iter().find(|(number, _)| *number == sent).context("the handle was sent before")?.1.clone();
    let table = |process: &str, entries| Table { process: process.into(), kind: "its handles", entries };
    let (broker, client) = (table("broker", entries), table("client", vec![(received, node.clone())]));
    let file = node.trim_start_matches("node ").to_owned();
    let translation = translation::Translation {
        by: "Binder driver",
        what: "one node of the owner's",
        sent,
        file,
        received,
    };
    Ok(translation::draw(&broker, &client, &translation))
}

/// What a transcript tells by name because it differs from run to run: the table of the module that writes it.
pub(crate) fn told_by_name() -> Result<String> {
    let printed = Printed::by("binder-sim/src/script/seen.rs")?;
    let rows: Vec<_> = printed.text.lines().filter_map(|line| line.strip_prefix("//! |")).collect();
    ensure!(rows.len() > 2, "{} has no table at its top", printed.path);
    Ok(rows.iter().map(|row| format!("|{row}\n")).collect())
}

/// The last steps of a script, what they came to on the newest kernel and here, and how many agree in all.
fn two_players() -> Result<String> {
    const DRAWN: usize = 4;
    let printed = Printed::by("binder-sim/scripts/death_close_is_a_death.txt")?;
    let record: Recorded = printed.text.parse().with_context(|| format!("reading {}", printed.path))?;
    let (mut steps, mut differ) = (0, 0);
    for kernel in Profile::ALL {
        steps += record.script.steps.len();
        differ += record.compare(kernel.name, &record.script.play_as(kernel)).len();
    }
    let newest = Profile::default();
    let first = record.script.steps.len().saturating_sub(DRAWN);
    let last = |seen: &[Vec<String>]| {
        let told = seen.iter().enumerate().skip(first);
        told.map(|(at, lines)| format!("{}: {}", at + 1, lines.join("; "))).collect::<Vec<_>>()
    };
    let asked = record.on(newest.name).with_context(|| format!("{} has no {newest}", printed.path))?;
    let kernels: Vec<_> = record.seen.iter().map(|(kernel, _)| kernel.as_str()).collect();
    let players = [
        Player {
            name: "real processes, the real driver".into(),
            made_of: [
                "threads that sleep and are woken, in a guest".into(),
                format!("on Linux {}", kernels.join(", ")),
            ],
            saw: last(asked),
        },
        Player {
            name: "plain values, the simulated driver".into(),
            made_of: ["no process, no thread, no kernel".into(), "played as each of these kernels".into()],
            saw: last(&record.script.play_as(newest)),
        },
    ];
    let drawn: Vec<_> = (first..record.script.steps.len())
        .map(|at| record.script.text_of(at + 1).trim().to_owned())
        .collect();
    let verdict = format!("compared line by line: {} of {steps} answers are the same", steps - differ);
    Ok(players::draw("One script, two players, one comparison", "one script", &drawn, &players, &verdict))
}

/// What an example's processes say to the driver, hear from it, and do; without what only keeps the books.
fn talk(path: &'static str, title: &str) -> Result<String> {
    let printed = Printed::by(path)?;
    let said = Regex::new(r"^  (\w+) +(?:(writes|reads) +((?:BC|BR)_.*)|(\S.*))$")?;
    let books = Regex::new("COMPLETE|BUFFER|INCREFS|ACQUIRE|RELEASE|_DONE|^waits$")?;
    let mut processes: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for line in printed.text.lines() {
        if let Some(part) = line.strip_suffix(':').filter(|part| !part.starts_with(' ')) {
            // One that nothing followed that belongs here.
            lines.pop_if(|last| matches!(last, Line::Part(_)));
            lines.push(Line::Part(part.to_owned()));
        }
        let Some(found) = said.captures(line) else { continue };
        let Some(text) = found.get(3).or(found.get(4)).map(|text| text.as_str().to_owned()) else { continue };
        // Processes are met by a call, or by what they do before one; their names are the stage's first column.
        let known = processes.iter().position(|name| *name == found[1]);
        let is_name = line.get(10..12) == Some("  ") && !line.starts_with("  the ");
        if books.is_match(&text) || !is_name {
            continue;
        }
        let lane = known.unwrap_or_else(|| {
            processes.push(found[1].to_owned());
            processes.len() - 1
        });
        lines.push(match found.get(2).map(|verb| verb.as_str()) {
            Some("writes") => Line::Writes(lane, text),
            Some(_) => Line::Reads(lane, text),
            None => Line::Does(lane, text),
        });
    }
    lines.pop_if(|last| matches!(last, Line::Part(_)));
    Ok(conversation::draw(title, &processes, &lines))
}
