//! The chapter on looking from outside: its picture and its table, from what its examples printed.

use anyhow::{Context, Result, bail};
use regex::Regex;

use crate::generated::Printed;
use crate::picture::holders::{self, Holder, Region};

/// The pairs, and what each of the three questions says of them.
///
/// # Errors
///
/// The example printed no such table.
pub fn table() -> Result<String> {
    let printed = Printed::by("book/examples/three_questions.out")?;
    let mut table = String::from(
        "| | numbers | one open file (`kcmp`) | one device and inode | one memory (a byte is stored and looked for) |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    let columns = Regex::new(" {2,}")?;
    let mut rows = 0;
    for line in printed.text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let cells: Vec<_> = columns.split(line).collect();
        match cells[..] {
            [heading] | [heading, "numbers", ..] => table.push_str(&format!("| *{heading}* | | | | |\n")),
            [_, _, _, _, _] => {
                rows += 1;
                table.push_str(&format!("| {} |\n", cells.join(" | ")));
            }
            _ => bail!("{}: {line} is no row", printed.path),
        }
    }
    if rows == 0 { bail!("{} has no table", printed.path) } else { Ok(table) }
}

/// Who holds the region that two processes share, as the inspector saw it.
///
/// # Errors
///
/// The inspector's output has no such region.
pub fn picture() -> Result<String> {
    let printed = Printed::by("book/examples/inspect.out")?;
    let mut regions = printed.text.split("\n\n");
    let region = regions.find(|region| region.starts_with("memfd, \"frames\""));
    let region = region.with_context(|| format!("{} has no region \"frames\"", printed.path))?;
    let open = Regex::new(r"(?m)^    open +(\d+) +open file (\w), ([a-z ]+), at \d+ +(\w+),")?;
    let mapped = Regex::new(r"(?m)^    mapped +(\S+) .* (\w+), pid")?;
    let mut holders = Vec::new();
    for found in open.captures_iter(region).map(|found| found.extract().1) {
        let [number, file, access, process] = found.map(str::to_owned);
        holders.push(Holder { process, by: number, file: Some((file, access)) });
    }
    for [permissions, process] in mapped.captures_iter(region).map(|found| found.extract().1) {
        holders.push(Holder { process: process.into(), by: permissions.into(), file: None });
    }
    if holders.is_empty() {
        bail!("{}: nobody holds \"frames\"", printed.path);
    }
    let size = Regex::new(r"(?m)^    (\d+ bytes)")?.captures(region).context("it has no size")?;
    Ok(holders::draw(&Region { name: "frames".into(), size: size[1].to_owned() }, &holders))
}
