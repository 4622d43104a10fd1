//! A memory cgroup with a limit of 16 MiB, and 64 MiB of somebody else's: who is killed, and what comes
//! free.
//!
//! Run it as root: `cargo run --example who_is_killed`
//!
//! What to look for: the limit hits who touches first, and nobody who comes later. The killed one leaves
//! the charge behind, for the memory is not its own, so that the next one in the group is killed as well.
//! And the kernel goes by what is resident, not by what is charged: its first victim has the most of the
//! one and nothing of the other.

use std::error::Error;
use std::process::ExitCode;

use procfs::process::Process;

#[path = "support/groups.rs"]
#[allow(dead_code)] // one file for two examples, each of which uses its part
mod groups;
#[path = "support/party.rs"]
#[allow(dead_code)] // one file for several examples, each of which uses its part
mod party;
use groups::{Group, Groups, NotHere, caretaker};
use party::{Party, SIZE, party};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What the limited group may have: a quarter.
const LIMIT: u64 = SIZE as u64 / 4;

/// A limited group, and in another one the creator, with its memory.
struct Stage {
    limited: Group,
    creator: Party,
    /// Dropped last, when all have ended by themselves.
    _groups: Groups,
}

impl Stage {
    fn new(groups: Groups) -> Result<Self> {
        let limited = groups.group("limited");
        limited.limit(LIMIT)?;
        let creator = Party::start()?;
        groups.group("creator").takes(creator.pid())?;
        Ok(Self { limited, creator, _groups: groups })
    }

    /// A process in the limited group, which has memory of its own to touch.
    fn enters(&self) -> Result<Party> {
        let party = Party::start()?;
        party.does("make malloc")?; // before it enters: a full group has not even a page for that
        self.limited.takes(party.pid())?;
        Ok(party)
    }

    /// A line of the table: of the limited group, of one in it, and what became of that one.
    fn tell(&self, what: &str, resident: Option<&Party>, became: &str) -> Result<()> {
        let resident = resident.map(resident_mib).transpose()?.unwrap_or_default();
        let (charged, kills) = (in_mib(self.limited.uses()?), self.limited.kills()?);
        println!("  {what:56}{became:>10}{resident:>10}{charged:>10}{kills:>7}");
        Ok(())
    }
}

/// To the nearest 16 MiB: of its limit a group also pays for what else its processes are made of.
fn in_mib(bytes: u64) -> String {
    match (bytes + (8 << 20)) >> 24 << 4 {
        0 => "-".into(),
        mib => mib.to_string(),
    }
}

/// What the kernel's choice goes by.
fn resident_mib(party: &Party) -> Result<String> {
    let status = Process::new(i32::try_from(party.pid())?)?.status()?;
    Ok(in_mib(status.vmrss.ok_or("no VmRSS")? * 1024))
}

/// How a party is that was to do something.
fn became(party: &std::result::Result<Party, String>) -> &str {
    party.as_ref().err().map_or("is done", String::as_str)
}

/// The limited one touches first, and another comes after it.
fn limited_first(stage: &Stage) -> Result<()> {
    let handle = stage.creator.makes("memfd")?;
    let toucher = stage.enters()?;
    toucher.maps(&handle)?;
    let toucher = toucher.tries("write all")?;
    stage.tell("the toucher writes to all of it", toucher.as_ref().ok(), became(&toucher))?;
    let next = stage.enters()?.tries("write eighth")?;
    stage.tell("the next in its group writes to 8 MiB of its own", next.as_ref().ok(), became(&next))
}

/// The same order, and the limited one is the second.
fn creator_first(stage: &Stage) -> Result<()> {
    let handle = stage.creator.makes("memfd")?;
    let toucher = stage.enters()?;
    toucher.maps(&handle)?;
    stage.creator.does("write all")?;
    stage.tell("the creator writes to all of it", Some(&toucher), "")?;
    let toucher = toucher.tries("write all")?;
    stage.tell("the toucher writes to all of it", toucher.as_ref().ok(), became(&toucher))
}

// ANCHOR: wrong
/// Two in the group: one has much, and pays nothing; the other is about to exceed the limit.
fn wrong_one(stage: &Stage) -> Result<()> {
    let handle = stage.creator.makes("memfd")?;
    stage.creator.does("write all")?;
    let (reader, worker) = (stage.enters()?, stage.enters()?);
    reader.maps(&handle)?;
    reader.does("read all")?;
    stage.tell("the reader has read what the creator wrote", Some(&reader), "")?;
    let worker = worker.tries("write half")?;
    let reader = reader.tries("read all")?;
    stage.tell("the worker writes to 32 MiB of its own", worker.as_ref().ok(), became(&worker))?;
    stage.tell("the reader, meanwhile", reader.as_ref().ok(), became(&reader))
}
// ANCHOR_END: wrong

type Part = fn(&Stage) -> Result<()>;

/// What is shown, each with groups of its own.
const PARTS: [(&str, Part); 3] = [
    ("The creator makes a memfd of 64 MiB. The toucher's group may have 16.", limited_first),
    ("The same, and the creator touches first.", creator_first),
    ("Two in the limited group.", wrong_one),
];

fn tour() -> Result<ExitCode> {
    for (number, (what, show)) in PARTS.into_iter().enumerate() {
        let groups = match Groups::make(&["creator", "limited"])? {
            Ok(groups) => groups,
            Err(NotHere(reason)) => {
                println!("not shown here: {reason}");
                return Ok(ExitCode::from(77));
            }
        };
        if number == 0 {
            println!("What a process in the limited group has resident, what the group is charged, in MiB,");
            println!("to the nearest 16, and how many were killed in it:\n");
            println!("  {:66}{:>10}{:>10}{:>7}", "", "resident", "charged", "kills");
        }
        println!("\n  {what}");
        show(&Stage::new(groups)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let done = match arguments.next().as_deref() {
        None => tour(),
        Some("caretaker") => caretaker(arguments).map(|()| ExitCode::SUCCESS),
        Some("party") => party().map(|()| ExitCode::SUCCESS),
        Some(other) => {
            Err(format!("no role {other}: say nothing, the program starts the others itself").into())
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("who_is_killed: {error}");
        ExitCode::FAILURE
    })
}
