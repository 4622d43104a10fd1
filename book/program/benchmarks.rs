//! The benchmarks' recorded run as the tables and plots of its chapter.

use anyhow::{Context, Result, anyhow};
use benches::{Question, Report, Role, Row, html_table, plot, sentences};

/// Every file of the chapter, by its name, with its text.
///
/// # Errors
///
/// The run is no report of the benchmarks' shape, or a plot cannot be drawn.
pub fn files(results: &str) -> Result<Vec<(String, String)>> {
    let report: Report = serde_json::from_str(results).context("reading the benchmarks' results")?;
    let mut files = vec![
        ("tables/benchmark-machine.md".to_owned(), machine(&report)),
        ("tables/benchmark-sentences.md".to_owned(), listed(&sentences(&report))),
        ("tables/benchmark-glance.md".to_owned(), glance(&report)),
        ("tables/benchmark-above.md".to_owned(), above(&report)),
        ("tables/benchmark-peers.md".to_owned(), peers(&report)),
        ("tables/benchmark-ring.md".to_owned(), ring(&report)),
    ];
    for question in Question::ALL {
        let name = question.title().to_lowercase().replace(' ', "-");
        files.push((format!("tables/benchmark-{name}.md"), table(&report, question)));
    }
    let plots = [
        ("latency", plot::latency(&report)),
        ("throughput", plot::throughput(&report)),
        ("set-up", plot::set_up(&report)),
    ];
    for (name, plot) in plots {
        let plot = plot.map_err(|error| anyhow!("the plot of {name}: {error}"))?;
        files.push((format!("pictures/benchmark-{name}.svg"), plot));
    }
    Ok(files)
}

/// Where the run happened, in one sentence.
fn machine(report: &Report) -> String {
    let here = &report.environment;
    let machine = if here.virtual_machine { " in a virtual machine" } else { "" };
    let kernel = here.kernel.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let noisy = report.rows.iter().filter(|row| row.noisy).count();
    format!(
        "The figures of this chapter are of one run on {} CPUs of an {}{machine}, {kernel}, with a load of {} when it \
         began and huge pages for shared memory at `{}`. {noisy} of its {} rows call themselves noisy.\n",
        here.cpus,
        here.cpu,
        here.load,
        here.thp_shmem,
        report.rows.len(),
    )
}

fn listed(sentences: &[String]) -> String {
    sentences.iter().map(|sentence| format!("1. {sentence}\n")).collect()
}

/// A row that the models are compared by at a glance: what is done, and who does it by System V, with a memory
/// file, and with a socket alone.
type Glance = (&'static str, Question, u64, [Option<(&'static str, Role)>; 3]);

const GLANCE: [Glance; 6] = [
    (
        "make 1 MiB, fill it, let it go",
        Question::SetUp,
        1 << 20,
        [Some(("System V", Role::Ours)), Some(("memfd, sealed", Role::Ours)), None],
    ),
    (
        "enter 1 MiB that others have filled, look at each page",
        Question::Joining,
        1 << 20,
        [Some(("System V, by key", Role::Ours)), Some(("memfd, by descriptor", Role::Ours)), None],
    ),
    (
        "let another process in: it reads 4 KiB and answers",
        Question::HandOver,
        4096,
        [Some(("System V, id in a message", Role::Ours)), Some(("memfd, by SCM_RIGHTS", Role::Ours)), None],
    ),
    (
        "a word there and back, both spin",
        Question::PingPong,
        0,
        [Some(("System V, spinning", Role::Ours)), Some(("memfd, spinning", Role::Ours)), None],
    ),
    (
        "a word there and back, both sleep",
        Question::PingPong,
        0,
        [
            Some(("System V, futex", Role::Ours)),
            Some(("memfd, futex", Role::Ours)),
            Some(("Unix socket", Role::Floor)),
        ],
    ),
    (
        "messages of 1 MiB, copied in and out",
        Question::Throughput,
        1 << 20,
        [
            Some(("System V, ring", Role::Ours)),
            Some(("memfd, ring", Role::Ours)),
            Some(("Unix socket", Role::Floor)),
        ],
    ),
];

/// What the models cost, in half a dozen rows.
fn glance(report: &Report) -> String {
    let mut text = String::from(
        "| to | System V | descriptor (memfd) | a Unix socket alone |\n| --- | --- | --- | --- |\n",
    );
    for (what, question, size, subjects) in GLANCE {
        let figure = |subject: Option<(&str, Role)>| {
            let row = subject.and_then(|(subject, role)| report.find(question, subject, role, size));
            row.map_or_else(|| "-".to_owned(), |row| benches::table::figure(row.unit, row.median))
        };
        text.push_str(&format!("| {what} | {} |\n", subjects.map(figure).join(" | ")));
    }
    text
}

/// The rows of a question, without the floors that stand in the ratio of a row of ours, and what was not measured.
fn table(report: &Report, question: Question) -> String {
    let ours = |floor: &Row| {
        report.rows.iter().any(|row| {
            row.role == Role::Ours
                && (row.question, &row.subject, row.size) == (question, &floor.subject, floor.size)
        })
    };
    let mut text = html_table(report, question, &|row| row.role != Role::Floor || !ours(row));
    for missing in report.missing.iter().filter(|missing| missing.question == question) {
        text.push_str(&format!("\nNot measured in this run: {}: {}.\n", missing.subject, missing.reason));
    }
    text
}

/// The rows of ours whose best round is more than a twentieth above raw calls, and how far they are above raw
/// calls that make the same checks.
fn above(report: &Report) -> String {
    let is_above = |row: &&Row| row.role == Role::Ours && row.best.is_some_and(|best| best > 1.05);
    let mut text = String::from(
        "| question | way | size | ratio | best round | best round beside the same checks | |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in report.rows.iter().filter(is_above) {
        let (ratio, best) = (row.ratio.unwrap_or_default(), row.best.unwrap_or_default());
        text.push_str(&format!(
            "| {} | {} | {} | {ratio:.2} | {best:.2} | {} | {} |\n",
            row.question.title(),
            row.subject,
            benches::table::size(row),
            row.checked_best.map_or_else(|| "-".to_owned(), |best| format!("{best:.2}")),
            if row.noisy { "noisy" } else { "" },
        ));
    }
    let ours = report.rows.iter().filter(|row| row.role == Role::Ours).count();
    let here: Vec<_> = report.rows.iter().filter(is_above).collect();
    let still = here.iter().filter(|row| row.checked_best.is_none_or(|best| best > 1.05)).count();
    text.push_str(&format!(
        "\nOf {ours} rows of ours, {} are in this table. With the same checks on both sides it would be {still}.\n",
        here.len()
    ));
    text
}

/// Which row of ours does a peer's work.
const BESIDE: [(Question, &str, &str); 10] = [
    (Question::SetUp, "ipc-channel shared memory", "memfd, sealed"),
    (Question::SetUp, "shared_memory", "memfd, sealed"),
    (Question::SetUp, "iceoryx2 shared memory", "memfd, sealed"),
    (Question::HandOver, "ipc-channel shared memory", "SCM_RIGHTS, read in place"),
    (Question::PingPong, "ipc-channel", "memfd, futex"),
    (Question::PingPong, "shared_memory, spinning", "memfd, spinning"),
    (Question::PingPong, "iceoryx2, spinning", "memfd, spinning"),
    (Question::Throughput, "ipc-channel bytes", "memfd, ring"),
    (Question::Throughput, "ipc-channel shared memory", "memfd passed, recycled"),
    (Question::Throughput, "iceoryx2, in place", "memfd, in place"),
];

/// Each peer beside the row of ours that does the same work: how many times better ours is.
fn peers(report: &Report) -> String {
    let mut text = String::from(
        "| question | peer | beside | size | ours is better by | |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for (question, peer, beside) in BESIDE {
        for row in report
            .rows
            .iter()
            .filter(|row| row.question == question && row.subject == peer && row.role == Role::Peer)
        {
            let Some(ours) = report.find(question, beside, Role::Ours, row.size) else { continue };
            let factor = benches::ratio(row.unit, row.median, ours.median);
            let noisy = if row.noisy || ours.noisy { "noisy" } else { "" };
            let (title, size) = (question.title(), benches::table::size(row));
            text.push_str(&format!("| {title} | {peer} | {beside} | {size} | {factor:.2} | {noisy} |\n"));
        }
    }
    text
}

/// The ring beside one process that makes the same copies and the same sum.
fn ring(report: &Report) -> String {
    let mut text =
        String::from("| size | ring, two processes | one process | ratio |\n| --- | --- | --- | --- |\n");
    let is_ring = |row: &&Row| {
        row.question == Question::Throughput && row.subject == "memfd, ring" && row.role == Role::Ours
    };
    for row in report.rows.iter().filter(is_ring) {
        let alone = report.find(Question::Throughput, "copy and sum, one process", Role::Model, row.size);
        let Some(alone) = alone else { continue };
        let figure = |row: &Row| benches::table::figure(row.unit, row.median);
        let (size, ratio) = (benches::table::size(row), benches::ratio(row.unit, row.median, alone.median));
        text.push_str(&format!("| {size} | {} | {} | {ratio:.2} |\n", figure(row), figure(alone)));
    }
    text
}
