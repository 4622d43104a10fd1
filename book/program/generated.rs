//! The files that programs here make and pages quote: committed, and compared with what is made now.

use std::path::PathBuf;

use anyhow::{Context, Result};
use regex::Regex;

use crate::benchmarks;
use crate::binder;
use crate::descriptors;
use crate::differences;
use crate::handover;
use crate::layers;
use crate::payers;
use crate::picture::lifetime::{self, Row};
use crate::picture::rendezvous::{self, Rendezvous};
use crate::picture::translation::{self, Table};
use crate::recorded::{self, Difference};
use crate::seeing;
use crate::which;
use crate::workspace;

/// Compares every generated file with what the programs make now.
///
/// # Errors
///
/// A file is missing or differs, and differences fail.
pub fn check(on_difference: Difference) -> Result<()> {
    for (path, text) in files()? {
        recorded::compare(&path, &text, on_difference)?;
    }
    Ok(())
}

/// Every generated file with the text it should hold.
fn files() -> Result<Vec<(PathBuf, String)>> {
    let pictures =
        [("system-v.svg", meeting()?), ("descriptor.svg", handed_over()?), ("lifetime.svg", lifetime()?)];
    let mut files: Vec<_> =
        pictures.map(|(name, text)| (workspace::pages().join("pictures").join(name), text)).into();
    let drawn = descriptors::pictures()?.into_iter().chain(binder::pictures()?);
    files.extend(drawn.map(|(name, text)| (workspace::pages().join("pictures").join(name), text)));
    files.push((workspace::pages().join("pictures/payers.svg"), payers::picture()?));
    let traces = binder::traces()?;
    files.extend(traces.map(|(name, text)| (workspace::pages().join("traces").join(name), text)));
    let results = std::fs::read_to_string(workspace::root().join("benches/results/reference.json"))
        .context("reading the benchmarks' results")?;
    let printed = Printed::by("book/examples/handover_table.out")?;
    let table = handover::table(&printed.text, &results)?;
    files.push((workspace::pages().join("tables/handover.md"), table));
    let list = Printed::by("fd-shm/tests/ashmem/differences.txt")?;
    files.push((workspace::pages().join("tables/ashmem-differences.md"), differences::table(&list.text)?));
    files.push((workspace::pages().join("tables/told-by-name.md"), binder::told_by_name()?));
    let printed = Printed::by("book/examples/which_one.out")?;
    files.push((workspace::pages().join("tables/which-one.md"), which::table(&printed.text)?));
    let page = Printed::by("book/src/which-one.md")?;
    files.push((workspace::pages().join("pictures/which-one.svg"), which::picture(&page.text)?));
    let printed = Printed::by("book/examples/shared_after.out")?;
    files.push((workspace::pages().join("tables/shared-after.md"), layers::shared_after(&printed.text)?));
    files.push((workspace::pages().join("pictures/layers.svg"), layers::picture()?));
    files.push((workspace::pages().join("tables/three-questions.md"), seeing::table()?));
    files.push((workspace::pages().join("pictures/holders.svg"), seeing::picture()?));
    let of_benchmarks = benchmarks::files(&results)?;
    files.extend(of_benchmarks.into_iter().map(|(name, text)| (workspace::pages().join(name), text)));
    Ok(files)
}

/// The System V tour: what both know, and what the table says, as the example printed it.
fn meeting() -> Result<String> {
    let printed = Printed::by("sysv-shm/examples/sysv_shm.out")?;
    let [size, key] = printed.find(r"made a segment of (\d+) bytes under the key (0x[0-9a-f]+)")?;
    let [mappings] = printed.find(r"how many mappings: (\d+)")?;
    let segment = vec![format!("a segment of {size} bytes"), format!("mapped {mappings} times")];
    Ok(rendezvous::draw(&Rendezvous { processes: ["server".into(), "client".into()], key, segment }))
}

/// The descriptors' tour: the two numbers and the region, as the example printed them.
fn handed_over() -> Result<String> {
    let printed = Printed::by("fd-shm/examples/fd_shm.out")?;
    let [name, size, sent] = printed.find(r#"made a region, "(\w+)" of (\d+) bytes: descriptor (\d+)"#)?;
    let [received] = printed.find(r"received descriptor (\d+)")?;
    let (sent, received) = (sent.parse()?, received.parse()?);
    let table = |process: &str, number| Table {
        process: process.into(),
        kind: "its fd table",
        entries: vec![(number, name.clone())],
    };
    let file = format!("{name}, {size} bytes");
    let by = "Unix socket";
    let translation = translation::Translation { by, what: "one open file", sent, file, received };
    Ok(translation::draw(&table("server", sent), &table("client", received), &translation))
}

/// Key and id of a segment through its life, as the example's table has it.
fn lifetime() -> Result<String> {
    let printed = Printed::by("sysv-shm/examples/sysv_03_life_after_removal.out")?;
    let row =
        Regex::new(r"(?m)^(\S.*?) {2,}(the \w+ segment|[A-Z]+) {2,}(the \w+ segment|[A-Z]+) +\d+ +\S+$")?;
    let rows: Vec<[&str; 3]> = row.captures_iter(&printed.text).map(|found| found.extract().1).collect();
    let [_, first, _] = rows.first().with_context(|| format!("{} has no table", printed.path))?;
    let column = |n: usize| rows.iter().map(|row| row[n].to_owned()).collect::<Vec<_>>();
    let numbers = [("the key", 1), ("the id", 2)];
    let numbers = numbers.map(|(number, n)| Row { number: number.into(), leads_to: column(n) });
    let title = "The key is free from the removal on; the id leads to the segment until nobody has it mapped";
    Ok(lifetime::draw(title, &column(0), &numbers, first))
}

/// The recorded output of an example.
pub(crate) struct Printed {
    /// Its file, for messages.
    pub(crate) path: &'static str,
    /// What it printed.
    pub(crate) text: String,
}

impl Printed {
    pub(crate) fn by(path: &'static str) -> Result<Self> {
        let text = std::fs::read_to_string(workspace::root().join(path))
            .with_context(|| format!("reading {path}"))?;
        Ok(Self { path, text })
    }

    /// The groups of the first match.
    pub(crate) fn find<const N: usize>(&self, pattern: &str) -> Result<[String; N]> {
        let found = Regex::new(pattern)?.captures(&self.text);
        let found = found.with_context(|| format!("{} does not say {pattern}", self.path))?;
        Ok(found.extract().1.map(str::to_owned))
    }
}
