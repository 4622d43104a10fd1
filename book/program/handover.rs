//! The table of the ways to hand a descriptor over: each cell as a program measured it.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::picture::ways;

/// What the benchmarks call the rows of a way, and who does it there.
const BENCHMARKS: [(&str, &[&str], &str); 5] = [
    ("inheritance", &["fork", "fork and exec"], "ours"),
    ("SCM_RIGHTS", &["memfd, by SCM_RIGHTS"], "ours"),
    ("pidfd_getfd", &["pidfd_getfd"], "ours"),
    ("/proc/<pid>/fd", &["proc_fd"], "ours"),
    ("ipc-channel", &["ipc-channel shared memory"], "peer"),
];

/// What stands in the table where the recorded run has no such row.
const NOT_RECORDED: &str = "not in the recorded run";

/// The way that a program here can only simulate.
const BINDER: &str = "| [Binder](binder-one-transaction.md) | the holder, by sending | not measured: its chapter steps \
                      through a simulated driver | | | | | |\n";

/// The table in Markdown, from what the example printed and what the benchmarks recorded.
///
/// # Errors
///
/// The example does not answer one of the questions, or answers it in words that this table does not know.
pub fn table(printed: &str, results: &str) -> Result<String> {
    let results: Value = serde_json::from_str(results).context("reading the benchmarks' results")?;
    let mut text = String::from(
        "| way | who must agree | privilege | open file | close-on-exec | size sealed | the receiver's table is full | cost |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let ways = printed.split("\n\n").skip(1); // the first is the heading
    for way in ways.map(Way::of) {
        let cells = [
            code(way.name),
            way.who_agrees()?.into(),
            way.privilege()?,
            way.answer("the open file")?.into(),
            way.answer("close-on-exec")?.into(),
            way.answer("its size is sealed")?.into(),
            way.answer("the receiver's table full")?.into(),
            cost(way.name, &results)?,
        ];
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text.push_str(BINDER);
    Ok(text)
}

/// The ways for a picture, of those that `names` lists.
///
/// # Errors
///
/// As for [`table`].
pub fn ways(printed: &str, names: &[&str]) -> Result<Vec<ways::Way>> {
    let printed: Vec<_> = printed.split("\n\n").skip(1).map(Way::of).collect();
    let found = |name: &&str| {
        let way = printed.iter().find(|way| way.name == *name);
        way.with_context(|| format!("nothing was printed of {name}"))?.picture()
    };
    names.iter().map(found).collect()
}

/// A way as the example printed it: its name, and a line for each question.
struct Way<'a> {
    name: &'a str,
    lines: Vec<&'a str>,
}

impl<'a> Way<'a> {
    fn of(printed: &'a str) -> Self {
        let mut lines = printed.lines();
        Self { name: lines.next().unwrap_or_default().trim(), lines: lines.collect() }
    }

    fn answer(&self, question: &str) -> Result<&'a str> {
        let answers = self.lines.iter().filter_map(|line| line.trim().strip_prefix(question));
        answers.map(str::trim).next().with_context(|| format!("{} is not asked for {question}", self.name))
    }

    fn who_agrees(&self) -> Result<&'static str> {
        Ok(match self.answer("the holder does nothing")? {
            "nothing arrives" => "the holder, by giving",
            "it arrives" => "the kernel alone",
            other => bail!("{}: no word for \"{other}\"", self.name),
        })
    }

    fn picture(&self) -> Result<ways::Way> {
        let numbers = self.answer("its number there and here")?;
        let numbers = numbers.split_once(", ").with_context(|| format!("{numbers} are no two numbers"))?;
        Ok(ways::Way {
            name: self.name.to_owned(),
            who: match self.answer("the holder does nothing")? {
                "nothing arrives" => "the holder gives",
                _ => "the receiver takes",
            },
            numbers: [numbers.0.to_owned(), numbers.1.to_owned()],
            is_one_open_file: self.answer("the open file")? == "the same",
        })
    }

    fn privilege(&self) -> Result<String> {
        Ok(match self.answer("the holder is undumpable")? {
            "it arrives" => "none".into(),
            "EPERM" => "to attach to the holder, else EPERM".into(),
            "EACCES" => "to read the holder, else EACCES".into(),
            other => bail!("{}: no word for \"{other}\"", self.name),
        })
    }
}

/// The medians of the way's rows in the recorded run, each by its name where there are several.
fn cost(way: &str, results: &Value) -> Result<String> {
    let Some((_, subjects, role)) = BENCHMARKS.into_iter().find(|(name, ..)| *name == way) else {
        bail!("{way}: no benchmark is named for it");
    };
    let rows = results["rows"].as_array().context("the results have no rows")?;
    let medians: Vec<_> =
        subjects.iter().map(|subject| median(rows, subject, role)).collect::<Result<_>>()?;
    if medians.iter().all(Option::is_none) {
        return Ok(NOT_RECORDED.into());
    }
    let costs = subjects.iter().zip(medians).map(|(subject, median)| {
        let cost = median.unwrap_or_else(|| NOT_RECORDED.into());
        if subjects.len() > 1 { format!("{subject}: {cost}") } else { cost }
    });
    Ok(costs.collect::<Vec<_>>().join("; "))
}

/// The median of one row, in microseconds, if the run has it: for 4 KiB, which is what the page says.
fn median(rows: &[Value], subject: &str, role: &str) -> Result<Option<String>> {
    let is_it = |row: &&Value| {
        row["question"] == "hand-over"
            && row["subject"] == subject
            && row["role"] == role
            && row["size"] == 4096
    };
    let Some(row) = rows.iter().find(is_it) else { return Ok(None) };
    let median = row["median"].as_f64().with_context(|| format!("the row of {subject} has no median"))?;
    Ok(Some(format!("{:.0} µs", median / 1000.0)))
}

fn code(name: &str) -> String {
    format!("`{name}`")
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn a_cell_is_what_was_measured() {
        let printed = "Heading.\n\nSCM_RIGHTS\n  the holder does nothing    nothing arrives\n  \
                       the holder is undumpable   it arrives\n  the open file   the same\n  close-on-exec  yes\n  its size is sealed  no\n  \
                       the receiver's table full  lost\n";
        let results = r#"{"rows": [{"question": "hand-over", "subject": "memfd, by SCM_RIGHTS", "role": "ours",
                          "size": 4096, "median": 41447.5}]}"#;
        let row = |results: &str| {
            let made = table(printed, results).expect("a table");
            made.lines().nth(2).expect("a row").to_owned()
        };
        let cells = "| `SCM_RIGHTS` | the holder, by giving | none | the same | yes | no | lost |";
        assert_eq!(row(results), format!("{cells} 41 µs |"));
        assert_eq!(
            row(&results.replace("by SCM", "by no SCM")),
            format!("{cells} not in the recorded run |")
        );
        let broken =
            [("nothing arrives", "who knows"), ("close-on-exec", "x"), ("SCM_RIGHTS", "carrier pigeon")];
        for broken in broken.map(|(word, other)| printed.replace(word, other)) {
            assert!(table(&broken, results).is_err());
        }
    }
}
