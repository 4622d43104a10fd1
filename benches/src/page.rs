//! The report as a page: one file, with nothing to load and nothing that moves.

use crate::table::{counted, counted_name, figure, size};
use crate::{Counts, Failure, Question, Report, Role, Row, Unit, advice, plot};

/// The look, light and dark.
const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem;margin:.5rem 0 1.5rem}\
th,td{padding:.15rem .7rem;text-align:right;border-bottom:1px solid color-mix(in srgb,currentColor 15%,transparent)}\
th:first-child,td:first-child{text-align:left}\
tr.ours td:first-child{font-weight:600}\
svg{max-width:100%;height:auto}\
.note{opacity:.75}\
ol li{margin:.4rem 0}";

/// The whole page.
///
/// # Errors
///
/// When a plot cannot be drawn.
pub fn page(report: &Report) -> Result<String, Failure> {
    let mut text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>What shared memory costs</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>What shared memory costs</h1>\n<p class=\"note\">{}</p>\n",
        escape(&environment(report)),
    );
    let sentences: String =
        advice::sentences(report).iter().map(|sentence| format!("<li>{}</li>\n", escape(sentence))).collect();
    text.push_str(&format!("<ol>\n{sentences}</ol>\n"));
    for question in Question::ALL {
        if report.rows.iter().any(|row| row.question == question) {
            text.push_str(&section(report, question)?);
        }
    }
    text.push_str("</body>\n</html>\n");
    Ok(text)
}

fn environment(report: &Report) -> String {
    let here = &report.environment;
    let machine = if here.virtual_machine { ", in a virtual machine" } else { "" };
    let place = if here.pinned { "each pinned to a CPU of its own" } else { "not pinned" };
    format!(
        "{}, {} CPUs{machine}; {}; two processes, {place}; load before the run {}.",
        here.cpu, here.cpus, here.kernel, here.load
    )
}

fn section(report: &Report, question: Question) -> Result<String, Failure> {
    let plot = match question {
        Question::PingPong => plot::latency(report)?,
        Question::Throughput => plot::throughput(report)?,
        Question::SetUp => plot::set_up(report)?,
        _ => String::new(),
    };
    let missing = report.missing.iter().filter(|missing| missing.question == question);
    let missing: String = missing
        .map(|missing| {
            let (subject, reason) = (escape(&missing.subject), escape(&missing.reason));
            format!("<p class=\"note\">Not measured here: {subject}: {reason}.</p>\n")
        })
        .collect();
    Ok(format!(
        "<h2>{}</h2>\n<p>{} {}</p>\n{plot}{}{missing}",
        question.title(),
        escape(question.work()),
        escape(question.reading()),
        table(report, question, &|_| true),
    ))
}

/// The rows of a question that are wanted, as a table; each carries its key, so that a script can find it.
pub fn table(report: &Report, question: Question, wanted: &dyn Fn(&Row) -> bool) -> String {
    let size_is = if question.counts() == Counts::Bytes { "size" } else { "number" };
    let rows: String = report
        .rows
        .iter()
        .filter(|row| row.question == question && wanted(row))
        .map(|row| {
            let ratio = row.ratio.filter(|_| row.role != Role::Floor);
            let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
            format!(
                "<tr class=\"{role}\" data-row=\"{}\"><td>{}</td><td>{}</td><td>{role}</td><td>{}</td><td>{}</td>\
                 <td>{}</td><td>{ratio}{}</td><td>{}</td><td>{}</td></tr>\n",
                escape(&key(row)),
                escape(&row.subject),
                size(row),
                figure(row.unit, row.median),
                figure(row.unit, row.p99),
                figure(row.unit, row.p999),
                if row.noisy { " ~" } else { "" },
                figure(Unit::Nanoseconds, row.cpu),
                counted(row),
                role = row.role.name(),
            )
        })
        .collect();
    format!(
        "<table class=\"figures\">\n<thead><tr><th>way</th><th>{size_is}</th><th>role</th><th>median</th><th>p99</th>\
         <th>p99.9</th><th>ratio</th><th>CPU</th><th>{}</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n",
        counted_name(question),
    )
}

/// What tells a row from all others, as `question|subject|role|size` in the words of the JSON.
fn key(row: &Row) -> String {
    let question = serde_json::to_value(row.question).unwrap_or_default();
    let question = question.as_str().unwrap_or_default();
    format!("{question}|{}|{}|{}", row.subject, row.role.name(), row.size)
}

/// Text in the place of text or of an attribute.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_carries_its_key_and_text_stays_text() {
        let mut report = crate::report::empty();
        report.rows.push(Row::of(Question::SetUp, "a <b> & \"c\"", Role::Ours, 4096, 1500.0));
        let table = table(&report, Question::SetUp, &|_| true);
        assert!(table.contains("data-row=\"set-up|a &lt;b&gt; &amp; &quot;c&quot;|ours|4096\""), "{table}");
        assert!(table.contains("<td>4 KiB</td>") && table.contains("<td>1.50 µs</td>"), "{table}");
    }
}
