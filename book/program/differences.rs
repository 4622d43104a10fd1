//! Where a region answers otherwise than ashmem's driver did, as a table: the list that a test holds true.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

/// The table in Markdown: what differs, why, and in which scripts it is seen.
///
/// # Errors
///
/// A line is no heading, reason or row; or a heading lacks one of the others.
pub fn table(list: &str) -> Result<String> {
    let mut text = String::from("| what differs | why | scripts |\n| --- | --- | --- |\n");
    for group in list.split("\n== ").skip(1) {
        let (what, rest) = group.split_once('\n').context("a heading without anything")?;
        let reason: Vec<_> = rest.lines().filter_map(|line| line.strip_prefix("# ")).collect();
        let rows = rest.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let scripts: BTreeSet<_> = rows.map(|row| row.split('|').next().unwrap_or_default().trim()).collect();
        if reason.is_empty() || scripts.is_empty() {
            bail!("\"{what}\" has no reason, or no row");
        }
        let scripts: Vec<_> = scripts.into_iter().map(|script| format!("`{script}`")).collect();
        text.push_str(&format!("| {what} | {} | {} |\n", reason.join(" "), scripts.join(", ")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn each_heading_is_a_row() {
        let list = "# About it.\n\n== one\n# Because\n# of it.\na | A pin | 1 | 0\na | A pin | 1 | 0\nb | x | y | z\n\n== two\n# So.\nc | d | e | f\n";
        let rows = table(list).expect("a sound list");
        assert!(rows.ends_with("| one | Because of it. | `a`, `b` |\n| two | So. | `c` |\n"), "{rows}");
        assert!(table("\n== none\na | b | c | d\n").is_err(), "no reason");
    }
}
