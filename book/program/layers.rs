//! Chapter 2: what the four layers of two processes hold, as a picture, and what is shared after what, as a table.

use anyhow::{Result, bail};
use regex::Regex;

use crate::generated::Printed;
use crate::picture::layers::{self, Descriptor, Layers, Mapping, OpenFile};

/// The table in Markdown, from what the example printed: one table, with a row before each kind of memory.
///
/// # Errors
///
/// A line has other columns than the first heading.
pub fn shared_after(printed: &str) -> Result<String> {
    let columns = Regex::new(r" {2,}")?;
    let mut text = String::new();
    let mut width = None;
    // A block of lines belongs to the table when its heading has columns; the others are prose.
    for block in printed.split("\n\n") {
        let mut lines = block.lines().map(|line| columns.split(line.trim()).collect::<Vec<_>>());
        let heading = lines.next().unwrap_or_default();
        let [kind, ref names @ ..] = heading[..] else { continue };
        if names.is_empty() {
            continue;
        }
        if width.is_none() {
            width = Some(names.len());
            let rule = " --- |".repeat(names.len() + 1);
            text.push_str(&format!("| after | {} |\n|{rule}\n", names.join(" | ")));
        }
        text.push_str(&format!("| *{kind}*:{} |\n", " |".repeat(names.len())));
        for cells in lines {
            if Some(cells.len()) != width.map(|width| width + 1) {
                bail!("{} is no line of {}", cells.join(", "), names.join(", "));
            }
            let cells: Vec<_> = cells.into_iter().map(emphasised).collect();
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
    }
    if width.is_none() {
        bail!("no table was printed");
    }
    Ok(text)
}

/// What one looks for in the table stands out.
fn emphasised(cell: &str) -> String {
    if cell == "shared" { "**shared**".into() } else { cell.into() }
}

/// All layers of two processes, as the example found them.
///
/// # Errors
///
/// The example does not say what the picture shows.
pub fn picture() -> Result<String> {
    let printed = Printed::by("fd-shm/examples/fd_40_four_layers.out")?;
    let text = &printed.text;
    let descriptor = Regex::new(r"(?m)^  (\w+)  (\d+)  to ([A-Z])((?:  close-on-exec)?)$")?;
    let descriptors = descriptor.captures_iter(text).map(|found| found.extract().1).map(
        |[process, number, open_file, mark]| Descriptor {
            process: process.into(),
            number: number.into(),
            open_file: open_file.into(),
            mark: mark.trim().into(),
        },
    );
    let open_file = Regex::new(r"(?m)^  ([A-Z])  (offset \d+)  (O_\w+)$")?;
    let open_files = open_file.captures_iter(text).map(|found| found.extract().1);
    let open_files = open_files
        .map(|[name, offset, mode]| OpenFile { name: name.into(), says: [offset, mode].join(", ") });
    let mapping = Regex::new(r"(?m)^  (\w+)  ([rwxps-]{4})  ((?:(?:file|own|-) +)+)at <address>$")?;
    let mappings =
        mapping.captures_iter(text).map(|found| found.extract().1).map(|[process, access, entries]| {
            Mapping {
                process: process.into(),
                access: access.into(),
                entries: entries.split_whitespace().map(ToOwned::to_owned).collect(),
            }
        });
    let layers = Layers {
        descriptors: descriptors.collect(),
        open_files: open_files.collect(),
        mappings: mappings.collect(),
    };
    let [pages, in_memory] = printed.find(r"the file has (\d+), and memory for (\d+)")?;
    if layers.pages_in_memory().len().to_string() != pages
        || layers.pages_in_memory().iter().filter(|there| **there).count().to_string() != in_memory
    {
        bail!("{}: the mappings show other pages than {in_memory} of {pages}", printed.path);
    }
    Ok(layers::draw("Three numbers, two open files, three mappings, one file", &layers))
}

#[cfg(test)]
mod tests {
    use super::shared_after;

    #[test]
    fn a_table_is_what_was_printed() {
        let printed = "a file  offset  memory\n  dup  shared  -\n\na segment  offset  memory\n  fork  -  until a store\n\nProse.\n";
        let table = shared_after(printed).expect("a table");
        assert_eq!(
            table,
            "| after | offset | memory |\n| --- | --- | --- |\n| *a file*: | | |\n| dup | **shared** | - |\n\
             | *a segment*: | | |\n| fork | - | until a store |\n"
        );
        assert!(shared_after("a file  offset\n  dup  shared  own\n").is_err());
        assert!(shared_after("Prose.\n").is_err());
    }
}
