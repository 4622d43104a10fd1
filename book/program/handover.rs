//! The table of the ways to hand a descriptor over: each cell as a program measured it.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// What the benchmarks call a way's row, where they have one.
const BENCHMARKS: [(&str, &str, &str); 2] =
    [("SCM_RIGHTS", "memfd, by SCM_RIGHTS", "ours"), ("ipc-channel", "ipc-channel shared memory", "peer")];

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

    fn privilege(&self) -> Result<String> {
        Ok(match self.answer("the holder is undumpable")? {
            "it arrives" => "none".into(),
            "EPERM" => "to attach to the holder, else EPERM".into(),
            "EACCES" => "to read the holder, else EACCES".into(),
            other => bail!("{}: no word for \"{other}\"", self.name),
        })
    }
}

/// The median of the benchmark's row, in microseconds.
fn cost(way: &str, results: &Value) -> Result<String> {
    let Some((_, subject, role)) = BENCHMARKS.into_iter().find(|(name, ..)| *name == way) else {
        return Ok("no row".into());
    };
    let rows = results["rows"].as_array().context("the results have no rows")?;
    let is_it = |row: &&Value| {
        row["question"] == "hand-over"
            && row["subject"] == subject
            && row["role"] == role
            && row["size"] == 4096
    };
    let median = rows.iter().find(is_it).and_then(|row| row["median"].as_f64());
    let median = median.with_context(|| format!("no benchmark of {subject}"))?;
    Ok(format!("{:.0} µs", median / 1000.0))
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
        let made = table(printed, results).expect("a table");
        let row = "| `SCM_RIGHTS` | the holder, by giving | none | the same | yes | no | lost | 41 µs |";
        assert_eq!(made.lines().nth(2), Some(row));
        for broken in [printed.replace("nothing arrives", "who knows"), printed.replace("close-on-exec", "x")]
        {
            assert!(table(&broken, results).is_err());
        }
    }
}
