//! Two processes in two memory cgroups, and 64 MiB that both use: which group pays, page by page, and for
//! how long.
//!
//! Run it as root: `cargo run --example who_is_charged`
//!
//! What to look for: the group of whoever touches a page *first* pays for it, by a load as well as by a
//! store; who made the memory, who maps it and who uses it most does not matter. The payer can move, end,
//! and even have its group removed: what it was charged for stays with its group, and then with the group
//! above, until the page itself is freed.

use std::error::Error;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use procfs::process::Process;
use sysv_shm::{Segment, segments};

#[path = "support/groups.rs"]
#[allow(dead_code)] // one file for two examples, each of which uses its part
mod groups;
#[path = "support/party.rs"]
#[allow(dead_code)] // one file for several examples, each of which uses its part
mod party;
use groups::{Group, Groups, NotHere, caretaker};
use party::{Party, SIZE, party};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ALL: u64 = SIZE as u64;

/// How often the kernel is asked again for figures that do not add up yet, five milliseconds apart.
const PATIENCE: u32 = 1000;

/// The groups of the two, and the one round both.
struct Stage {
    creators: Group,
    touchers: Group,
    groups: Groups,
}

impl Stage {
    // ANCHOR: charged
    /// What is charged to the creator's group, to the toucher's unless that was removed, and to both by the
    /// group round them.
    ///
    /// The kernel adds such figures up when it finds the time, at the latest after two seconds. So it is
    /// asked until they add up to what there is. What is printed is what it said last.
    fn charged(&self, there_is: u64) -> Result<(u64, Option<u64>, u64)> {
        let mut patience = PATIENCE;
        loop {
            let touchers = if self.touchers.exists() { Some(self.touchers.charged()?) } else { None };
            let (creators, all) = (self.creators.charged()?, self.groups.charged()?);
            let sum = creators + touchers.unwrap_or(all.saturating_sub(creators));
            let adds_up = [sum, all].iter().all(|sum| sum.abs_diff(there_is) <= ALL / 256);
            if adds_up || patience == 0 {
                return Ok((creators, touchers, all));
            }
            patience -= 1;
            thread::sleep(Duration::from_millis(5));
        }
    }
    // ANCHOR_END: charged

    /// A line of the table.
    fn tell(&self, step: &str, there_is: u64, parties: [Option<&Party>; 2]) -> Result<()> {
        let (creators, touchers, all) = self.charged(there_is)?;
        let [[a, b], [c, d]] = [shows(parties[0])?, shows(parties[1])?];
        let (creators, all) = (in_mib(creators), in_mib(all));
        let touchers = touchers.map_or("removed".into(), in_mib);
        println!("  {step:43}{creators:>9}{a:>5}{b:>5}{touchers:>11}{c:>5}{d:>5}{all:>10}");
        Ok(())
    }
}

/// What a process has mapped of the shared memory, and its share of that.
fn shows(party: Option<&Party>) -> Result<[String; 2]> {
    let Some(party) = party else { return Ok(["", ""].map(String::from)) };
    let maps = Process::new(i32::try_from(party.pid())?)?.smaps()?;
    let is_ours = |map: &&procfs::process::MemoryMap| map.address.1 - map.address.0 == ALL;
    let sum = |name| maps.iter().filter(is_ours).filter_map(|map| map.extension.map.get(name)).sum();
    Ok([in_mib(sum("Rss")), in_mib(sum("Pss"))])
}

fn in_mib(bytes: u64) -> String {
    match (bytes + (1 << 19)) >> 20 {
        0 => "-".into(),
        mib => mib.to_string(),
    }
}

// ANCHOR: lives
/// The life of one memory.
fn live(model: &str, groups: Groups) -> Result<()> {
    let stage = Stage { creators: groups.group("creator"), touchers: groups.group("toucher"), groups };
    let (creator, toucher) = (Party::start()?, Party::start()?);
    // Before they touch anything: moving takes no charge along.
    stage.creators.takes(creator.pid())?;
    stage.touchers.takes(toucher.pid())?;

    let both = [Some(&creator), Some(&toucher)];
    let handle = creator.makes(model)?;
    stage.tell("the creator makes and maps it", 0, both)?;
    toucher.maps(&handle)?;
    drop(handle); // with the descriptor in it: from here on only the two have the memory
    toucher.does("write alternate")?;
    stage.tell("the toucher writes to every other page", ALL / 2, both)?;
    creator.does("read all")?;
    stage.tell("the creator reads all pages", ALL, both)?;
    toucher.does("write all")?;
    stage.tell("the toucher writes to all pages", ALL, both)?;
    stage.creators.takes(toucher.pid())?;
    stage.tell("the toucher moves to the creator's group", ALL, both)?;
    toucher.ends()?;
    stage.tell("the toucher ends", ALL, [Some(&creator), None])?;
    stage.touchers.remove()?;
    stage.tell("its group is removed", ALL, [Some(&creator), None])?;
    creator.ends()?;
    if model == "memfd" {
        return stage.tell("the creator ends, the last to have it", 0, [None, None]);
    }
    stage.tell("the creator ends", ALL, [None, None])?;
    // In a namespace of our own there is no other.
    segments()?.iter().try_for_each(|left| Segment::from(left.id).remove())?;
    stage.tell("the segment is removed (IPC_RMID)", 0, [None, None])
}
// ANCHOR_END: lives

fn tour() -> Result<ExitCode> {
    let mut groups = match Groups::make(&["creator", "toucher"])? {
        Ok(groups) => Some(groups),
        Err(NotHere(reason)) => {
            println!("not shown here: {reason}");
            return Ok(ExitCode::from(77));
        }
    };
    // A segment is not in a group, nor does it end with a process. With its namespace it does.
    if let Err(error) = unshare(CloneFlags::CLONE_NEWIPC) {
        println!("not shown here: unshare(CLONE_NEWIPC): {error}");
        return Ok(ExitCode::from(77));
    }
    println!(
        "What is charged to the group of each and to the one round both, and what each shows, in MiB:\n"
    );
    println!("  {:43}{:>19}{:>21}{:>10}", "", "creator", "toucher", "both");
    println!(
        "  {:43}{:>9}{:>5}{:>5}{:>11}{:>5}{:>5}{:>10}",
        "", "charged", "Rss", "Pss", "charged", "Rss", "Pss", "charged"
    );
    for (model, what) in [("memfd", "a memfd of 64 MiB"), ("System V", "a segment of System V, of 64 MiB")] {
        println!("\n  {what}");
        let groups = match groups.take() {
            Some(groups) => groups,
            None => Groups::make(&["creator", "toucher"])?.map_err(|NotHere(reason)| reason)?,
        };
        live(model, groups)?;
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
        eprintln!("who_is_charged: {error}");
        ExitCode::FAILURE
    })
}
