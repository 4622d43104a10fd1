//! Two processes and 64 MiB: who shows them as resident, whose they are, and how often there are any.
//!
//! Run it: `cargo run --example who_touched`
//!
//! What to look for: who made and mapped the memory shows nothing of it until it touches a page itself.
//! Then both show all of it, although it is there once: to add up what processes show as resident counts it
//! twice, and to add up their shares (Pss) does not. And a kill that frees nothing: what the dead had was
//! not theirs alone.

use std::error::Error;
use std::process::ExitCode;

use procfs::process::Process;
use procfs::{Current, Meminfo};

#[path = "support/party.rs"]
#[allow(dead_code)] // one file for several examples, each of which uses its part
mod party;
#[path = "support/rounds.rs"]
mod rounds;
use party::{Party, party};
use rounds::settle;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The smallest part that is to be seen is a quarter, and half of that is left to what else a process is
/// made of.
const UNIT: i64 = 16 << 20;

/// Three of each of the two, and one of the system.
const COUNTERS: usize = 7;

// ANCHOR: counters
/// What a process shows, in bytes; nothing when it is no more.
fn shows(party: Option<&Party>) -> Result<[i64; 3]> {
    let Some(party) = party else { return Ok([0; 3]) };
    let process = Process::new(i32::try_from(party.pid())?)?;
    let sums =
        process.smaps_rollup()?.memory_map_rollup.0.pop().ok_or("no sums of its mappings")?.extension.map;
    let shared = process.status()?.rssshmem.ok_or("no RssShmem")? * 1024;
    let sum = |name| sums.get(name).copied().ok_or("no such sum");
    Ok([i64::try_from(sum("Rss")?)?, i64::try_from(shared)?, i64::try_from(sum("Pss")?)?])
}

/// Two processes, and what each step has changed so far.
struct Stage {
    creator: Option<Party>,
    toucher: Option<Party>,
    changes: Vec<[i64; COUNTERS]>,
}

impl Stage {
    fn new() -> Result<Self> {
        Ok(Self { creator: Some(Party::start()?), toucher: Some(Party::start()?), changes: Vec::new() })
    }

    fn look(&self) -> Result<[i64; COUNTERS]> {
        let ([a, b, c], [d, e, f]) = (shows(self.creator.as_ref())?, shows(self.toucher.as_ref())?);
        Ok([a, b, c, d, e, f, i64::try_from(Meminfo::current()?.shmem.ok_or("no Shmem")?)?])
    }

    fn step<T>(
        &mut self,
        act: impl FnOnce(&mut Option<Party>, &mut Option<Party>) -> Result<T>,
    ) -> Result<T> {
        let before = self.look()?;
        let done = act(&mut self.creator, &mut self.toucher)?;
        let after = self.look()?;
        self.changes.push(std::array::from_fn(|counter| after[counter] - before[counter]));
        Ok(done)
    }
}
// ANCHOR_END: counters

const SHARED: [&str; 7] = [
    "the creator makes and maps it",
    "the toucher maps it",
    "the toucher writes to all of it",
    "the creator reads half of it",
    "the creator reads all of it",
    "the toucher is killed",
    "the creator is killed",
];

/// One memory that both have mapped.
fn shared(model: &str) -> Result<Stage> {
    let mut stage = Stage::new()?;
    let handle = stage.step(|creator, _| on(creator)?.makes(model))?;
    stage.step(|_, toucher| on(toucher)?.maps(&handle))?;
    drop(handle); // with the descriptor in it: from here on only the two have the memory
    if model == "System V" {
        // It stays until the last of them has ended, and no longer, whatever becomes of us.
        on(&stage.creator)?.does("remove it")?;
    }
    stage.step(|_, toucher| on(toucher)?.does("write all"))?;
    stage.step(|creator, _| on(creator)?.does("read half"))?;
    stage.step(|creator, _| on(creator)?.does("read all"))?;
    stage.step(|_, toucher| kill(toucher))?;
    stage.step(|creator, _| kill(creator))?;
    Ok(stage)
}

const OWN: [&str; 4] = [
    "each allocates",
    "the toucher writes to all of its",
    "the creator writes to all of its",
    "the toucher is killed",
];

/// For comparison: each has some of its own.
fn own() -> Result<Stage> {
    let mut stage = Stage::new()?;
    stage.step(|creator, toucher| {
        [creator, toucher].into_iter().try_for_each(|party| on(party)?.does("make malloc"))
    })?;
    stage.step(|_, toucher| on(toucher)?.does("write all"))?;
    stage.step(|creator, _| on(creator)?.does("write all"))?;
    stage.step(|_, toucher| kill(toucher))?;
    Ok(stage)
}

/// The party, which has not been killed yet.
fn on(party: &Option<Party>) -> Result<&Party> {
    party.as_ref().ok_or_else(|| "it is no more".into())
}

fn kill(party: &mut Option<Party>) -> Result<()> {
    party.take().map(Party::dies).ok_or_else(|| "it is no more".into())
}

/// The columns, the sums of both processes among them.
const COLUMNS: [&str; 9] = ["Rss", "RssShmem", "Pss", "Rss", "RssShmem", "Pss", "Rss", "Pss", "Shmem"];
const WIDTHS: [usize; 9] = [5, 9, 5, 7, 9, 5, 7, 5, 9];

/// What the steps have added by then, in MiB.
fn show(what: &str, steps: &[&str], life: impl Fn() -> Result<Stage>) -> Result<()> {
    println!("\n  {what}");
    for (step, totals) in steps.iter().zip(settle(UNIT, || Ok::<_, Box<dyn Error>>(life()?.changes))?) {
        let [a, b, c, d, e, f, shmem] = totals.map(|total| (total * UNIT) >> 20);
        print!("  {step:32}");
        for (mib, width) in [a, b, c, d, e, f, a + d, c + f, shmem].into_iter().zip(WIDTHS) {
            print!("{:>width$}", if mib == 0 { "-".into() } else { mib.to_string() });
        }
        println!();
    }
    Ok(())
}

fn tour() -> Result<()> {
    println!("What 64 MiB have added, in MiB, to the nearest 16:\n");
    println!("  {:32}{:>19}{:>21}{:>12}{:>9}", "", "creator", "toucher", "both", "system");
    println!(
        "  {:32}{}",
        "",
        COLUMNS.iter().zip(WIDTHS).map(|(name, width)| format!("{name:>width$}")).collect::<String>()
    );
    show("one memfd", &SHARED, || shared("memfd"))?;
    show("one segment of System V", &SHARED, || shared("System V"))?;
    show("malloc, each its own", &OWN, own)
}

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        None => tour(),
        Some("party") => party(),
        Some(other) => {
            Err(format!("no role {other}: say nothing, the program starts the others itself").into())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("who_touched: {error}");
            ExitCode::FAILURE
        }
    }
}
