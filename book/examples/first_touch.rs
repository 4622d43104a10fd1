//! When memory comes to be: page faults, counted step by step, in a memory file and in a System V segment.
//!
//! Run it: `cargo run --example first_touch`
//!
//! What to look for: mapping costs no memory and no fault; touching does, a page at a time. Pages that are there already
//! still cost a new mapping faults: of a file one brings several pages, of a segment one brings one. And a mapping that is
//! gone takes its entries with it, not the pages.

use std::error::Error;
use std::os::fd::{AsFd, AsRawFd};
use std::process::{self, ExitCode};
use std::{fs, iter};

use memmap2::MmapOptions;
use nix::sys::resource::{UsageWho, getrusage};
use rustix::param::page_size;

#[path = "../../fd-shm/examples/support/layers.rs"]
#[allow(dead_code)] // one file for several examples, each of which uses its part
mod layers;
use layers::{Entry, entries};

#[path = "support/memory.rs"]
#[allow(dead_code)] // one file for several examples, each of which uses its part
mod memory;
use memory::{Mapped, Memory};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PAGES: usize = 64;

/// Other things fault as well, the first time at least: each life is lived so often, and the fewest faults count.
const ROUNDS: usize = 5;

// ANCHOR: steps
/// What is done, in this order.
const STEPS: [&str; 7] = [
    "made, and mapped",
    "one page is loaded from",
    "every page is stored to",
    "mapped a second time",
    "every page is loaded there",
    "every page is stored to there",
    "both unmapped, mapped again",
];

/// The mappings of one life.
#[derive(Default)]
struct Mappings {
    first: Option<Mapped>,
    second: Option<Mapped>,
}

impl Mappings {
    /// One step.
    fn step(&mut self, step: usize, memory: &Memory) -> Result<()> {
        match (step, &self.first, &self.second) {
            (1, Some(first), _) => drop(first.load(0)?),
            (2, Some(first), _) => (0..PAGES).try_for_each(|page| first.store(page, 1))?,
            (3, ..) => self.second = Some(memory.map()?),
            (4, _, Some(second)) => (0..PAGES).try_for_each(|page| second.load(page).map(drop))?,
            (5, _, Some(second)) => (0..PAGES).try_for_each(|page| second.store(page, 2))?,
            _ => {
                (self.first, self.second) = (None, None);
                self.first = Some(memory.map()?);
            }
        }
        Ok(())
    }

    /// How many entries the latest mapping has in the page table.
    fn entries(&self) -> Result<usize> {
        let latest = self.second.as_ref().or(self.first.as_ref()).ok_or("nothing is mapped")?;
        Ok(entries(process::id(), latest.address(), PAGES)?
            .into_iter()
            .filter(|entry| *entry == Entry::File)
            .count())
    }
}
// ANCHOR_END: steps

// ANCHOR: count
/// Faults, pages in memory, and entries in the page table after one step.
type Counts = [usize; 3];

/// The page faults of this process. There is no disk behind these pages, but Linux 5.10 counts a first store as if there
/// were, so both of the kernel's counts are added up.
fn faults() -> Result<usize> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok(usize::try_from(usage.minor_page_faults() + usage.major_page_faults())?)
}

/// Lives once, and counts after each step.
fn live(memory: &Memory) -> Result<[Counts; STEPS.len()]> {
    let (mut mappings, mut counts) = (Mappings::default(), [[0; 3]; STEPS.len()]);
    for (step, counts) in counts.iter_mut().enumerate() {
        let before = faults()?;
        mappings.step(step, memory)?;
        *counts = [faults()? - before, memory.pages()?, mappings.entries()?];
    }
    Ok(counts)
}

/// The life in which the least else happened, for each step.
fn fewest(make: impl Fn() -> Result<Memory>) -> Result<[Counts; STEPS.len()]> {
    let mut fewest = live(&make()?)?;
    for _ in 1..ROUNDS {
        let again = live(&make()?)?;
        fewest.iter_mut().zip(again).for_each(|(fewest, counts)| *fewest = counts.min(*fewest));
    }
    Ok(fewest)
}
// ANCHOR_END: count

/// Faults when all of a file is touched that was mapped with MAP_POPULATE, and the entries before.
fn populated() -> Result<[usize; 2]> {
    let memory = Memory::file(PAGES * page_size())?;
    let Memory::File(region) = &memory else { return Err("not a file".into()) };
    let mapping = MmapOptions::new().populate().map_raw(region.as_fd().as_raw_fd())?;
    let entries = entries(process::id(), mapping.as_mut_ptr().addr(), PAGES)?;
    Ok([memory.pages()?, entries.into_iter().filter(|entry| *entry == Entry::File).count()])
}

/// How many pages one fault can bring is for the kernel to say, and where the mapping happens to lie.
fn in_words(step: usize, faults: usize) -> String {
    if step == 4 && (1..=PAGES / 3).contains(&faults) { "few".into() } else { faults.to_string() }
}

/// What would make other figures of the same truth.
fn obstacle() -> Option<String> {
    let huge = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/shmem_enabled").unwrap_or_default();
    let is_on = ["[always]", "[within_size]", "[force]"].iter().any(|on| huge.contains(on));
    if is_on {
        return Some("this system gives shared memory huge pages unasked (shmem_enabled)".into());
    }
    (page_size() > 16384).then(|| format!("pages of {} bytes are brought one by one", page_size()))
}

fn main() -> Result<ExitCode> {
    if let Some(obstacle) = obstacle() {
        println!("not shown here: {obstacle}");
        return Ok(ExitCode::from(77));
    }
    println!(
        "{PAGES} pages: page faults in each step; after it, pages in memory, and entries of the latest mapping.\n"
    );
    let counts =
        [fewest(|| Memory::file(PAGES * page_size()))?, fewest(|| Memory::segment(PAGES * page_size()))?];
    println!("  {:32}a memory file              a System V segment", "");
    println!("  {:32}faults   pages  entries    faults   pages  entries", "");
    for (step, (name, (file, segment))) in iter::zip(STEPS, iter::zip(counts[0], counts[1])).enumerate() {
        let cells =
            |[faults, pages, entries]: Counts| format!("{:>6}{pages:>8}{entries:>9}", in_words(step, faults));
        println!("  {name:32}{}    {}", cells(file), cells(segment));
    }
    let [pages, entries] = populated()?;
    println!("\n  A new file, mapped with MAP_POPULATE and not touched: {pages} pages, {entries} entries");
    Ok(ExitCode::SUCCESS)
}
