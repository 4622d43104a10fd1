//! The program as a reader runs it: what it writes, what it refuses, and what it leaves behind.

#[path = "support/shapes.rs"]
mod shapes;

use std::collections::HashMap;
use std::fs;
use std::process::{Child, Command, Output, Stdio};

use benches::{Question, Range, Report, Role, Row, SCHEMA, Unit, ratio};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// The environment variable by which a run and its second process are found.
const MARK: &str = "BENCHES_TEST_MARK";

fn benches(mark: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_benches"));
    command
        .args(arguments)
        .env(MARK, mark)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(mark: &str, arguments: &[&str]) -> Output {
    benches(mark, arguments).output().expect("started")
}

/// Pids of the processes that carry the mark.
fn marked(mark: &str) -> Vec<i32> {
    let wanted = format!("{MARK}={mark}");
    let processes = fs::read_dir("/proc").expect("/proc is mounted").filter_map(Result::ok);
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == wanted.as_bytes())
    })
    .collect()
}

/// Segments of this namespace that one of the processes has made (the fifth column of each line).
fn segments_of(pids: &[i32]) -> Vec<String> {
    let table = fs::read_to_string("/proc/sysvipc/shm").expect("System V is built in");
    let made_by = |line: &str| line.split_whitespace().nth(4)?.parse::<i32>().ok();
    table
        .lines()
        .skip(1)
        .filter(|line| made_by(line).is_some_and(|pid| pids.contains(&pid)))
        .map(Into::into)
        .collect()
}

#[test]
fn a_run_answers_every_question_and_leaves_nothing() {
    let file = std::env::temp_dir().join(format!("benches-report-{}.json", std::process::id()));
    let path = file.to_str().expect("a temporary directory in UTF-8");
    let page = file.with_extension("html");
    let output = run("report", &["--quick", "--json", path, "--html", page.to_str().expect("in UTF-8")]);
    let (written, shown) = (fs::read_to_string(&file), fs::read_to_string(&page));
    let compared = run("report", &["--compare", path, path]);
    fs::remove_file(&file).and_then(|()| fs::remove_file(&page)).expect("the files were made");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(marked("report"), [0; 0], "a process is left");

    let report: Report =
        serde_json::from_str(&written.expect("read")).expect("the report is JSON of its own shape");
    assert_eq!(report.schema, SCHEMA);
    assert!(!report.environment.kernel.is_empty() && report.environment.page_size.is_power_of_two());
    for question in Question::ALL {
        assert!(report.rows.iter().any(|row| row.question == question), "{question:?} is not answered");
        if question != Question::Simulator {
            assert!(roles(&report, question).contains(&Role::Ours), "{question:?} says nothing about us");
            assert!(roles(&report, question).contains(&Role::Floor), "{question:?} has no floor");
        }
    }
    check_rows(&report.rows);
    shapes::check(&report);
    check_table(&String::from_utf8(output.stdout).expect("the table is UTF-8"));
    let shown = shown.expect("read");
    assert_eq!(shown.matches("<svg ").count(), 3, "latency, throughput, set-up");
    assert_eq!(shown.matches("data-row=").count(), report.rows.len(), "each row once");
    let compared = String::from_utf8_lossy(&compared.stdout).into_owned();
    let same = format!("{0} of {0} rows are the same but for noise; 0 gone, 0 new", report.rows.len());
    assert!(compared.contains(&same), "a run does not differ from itself: {compared}");
}

/// What the book quotes was written by a program of this shape.
#[test]
fn the_committed_run_keeps_the_same_rules() {
    let report: Report =
        serde_json::from_str(include_str!("../results/reference.json")).expect("its own shape");
    assert!(report.environment.pinned && report.environment.private_ipc, "{:?}", report.environment);
    check_rows(&report.rows);
    shapes::check(&report);
}

fn roles(report: &Report, question: Question) -> Vec<Role> {
    report.rows.iter().filter(|row| row.question == question).map(|row| row.role).collect()
}

/// Each figure is one, each ratio is that of its median and floor, and each of ours has its own floor.
fn check_rows(rows: &[Row]) {
    let floors: HashMap<_, _> = rows
        .iter()
        .filter(|row| row.role == Role::Floor)
        .map(|row| ((row.question.title(), row.subject.as_str(), row.size), row.median))
        .collect();
    for row in rows {
        assert!(row.median > 0.0 && row.median.is_finite(), "{row:?}");
        assert_eq!(row.unit, row.question.unit(), "{row:?}");
        let tail = match row.unit {
            Unit::Nanoseconds => row.p999 >= row.p99 && row.p99 >= row.median,
            Unit::BytesPerSecond | Unit::PerSecond => row.p999 <= row.p99 && row.p99 <= row.median,
        };
        assert!(tail, "the tail is on the wrong side: {row:?}");
        assert_eq!(row.ratio.is_some(), row.floor.is_some(), "{row:?}");
        if let Some((found, floor)) = row.ratio.zip(row.floor) {
            // Reading a printed float back may cost the last bit.
            assert!((found / ratio(row.unit, row.median, floor) - 1.0).abs() < 1e-12, "{row:?}");
        }
        let around =
            |range: Range, figure: f64| range.low <= figure * 1.0001 && range.high >= figure * 0.9999;
        assert!(around(row.range, row.median), "{row:?}");
        assert_eq!(row.ratio_range.is_some(), row.ratio.is_some(), "{row:?}");
        assert_eq!(row.best.is_some(), row.ratio.is_some(), "{row:?}");
        assert!(row.cpu >= 0.0 && row.switches >= 0.0 && row.faults >= 0.0 && row.batches > 4, "{row:?}");
        let is_checked = rows.iter().any(|other| other.role == Role::Checked && other.is_of(row));
        assert_eq!(row.checked.is_some(), row.role == Role::Ours && is_checked, "{row:?}");
        assert_eq!(row.checked_best.is_some(), row.checked.is_some(), "{row:?}");
        let own = floors.get(&(row.question.title(), row.subject.as_str(), row.size)).copied();
        match row.role {
            Role::Floor => assert_eq!(row.ratio, Some(1.0), "{row:?}"),
            Role::Ours | Role::Checked => {
                assert!(own.is_some() && row.floor == own, "{row:?} against {own:?}");
            }
            Role::Peer => assert!(row.floor.is_some(), "{row:?}"),
            Role::Model => assert_eq!(row.floor, None, "{row:?}"),
        }
    }
}

fn check_table(table: &str) {
    for line in table.lines() {
        assert!(line.chars().count() <= 110, "wider than 110 columns: {line}");
        assert_eq!(line.trim_end(), line, "space at the end");
    }
    for question in Question::ALL {
        assert!(table.contains(&question.title().to_uppercase()), "{table}");
    }
    assert!(table.contains("WHAT TO TAKE AWAY"), "{table}");
}

#[test]
fn what_it_does_not_know_it_refuses() {
    for (arguments, code, words) in [
        (&["--qick"][..], 2, "unexpected argument '--qick'"),
        (&["quick"], 2, "unexpected argument 'quick'"),
        (&["--json"], 2, "a value is required"),
        (&["--json", "/nowhere/at/all.json"], 1, "open(/nowhere/at/all.json, O_CREAT | O_TRUNC): ENOENT"),
        (&["--html", "/nowhere/at/all.html"], 1, "open(/nowhere/at/all.html, O_CREAT | O_TRUNC): ENOENT"),
        (&["--compare", "/nowhere", "/nowhere"], 1, "open(/nowhere, O_RDONLY): ENOENT"),
        (&["--compare", "Cargo.toml", "Cargo.toml"], 1, "no report of this program's shape"),
        (&["--only", "everything"], 2, "invalid value 'everything'"),
        (&["--heir"], 1, "started by hand"),
        (&["--second-process"], 1, "started by hand"),
        (&["--second-process", "1"], 1, "the process that started this one is gone"),
    ] {
        let output = run("refused", arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?} printed a table");
    }
    assert_eq!(marked("refused"), [0; 0], "a process is left");
}

/// Starts a run, and waits until its second process is there.
fn run_with_second_process(mark: &str) -> (Child, i32) {
    let mut run = benches(mark, &["--quick"]).spawn().expect("started");
    let first = i32::try_from(run.id()).expect("a pid");
    loop {
        // Looked for again and again: the run lasts a second, and whoever ends it without a second process
        // fails here.
        if let Some(second) = marked(mark).into_iter().find(|&pid| pid != first && is_second_process(pid)) {
            return (run, second);
        }
        assert!(
            run.try_wait().expect("waited").is_none(),
            "the run was over before its second process was seen"
        );
    }
}

/// Between fork and exec it still has the arguments of the first.
fn is_second_process(pid: i32) -> bool {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    arguments.split(|&byte| byte == 0).any(|argument| argument == b"--second-process")
}

#[test]
fn the_second_process_dies_with_the_first() {
    let (mut run, second) = run_with_second_process("orphan");
    let first = i32::try_from(run.id()).expect("a pid");
    let pidfd = pidfd_open(Pid::from_raw(second).expect("a pid"), PidfdFlags::empty()).expect("it lives");
    run.kill().expect("killed");
    run.wait().expect("reaped");
    let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit)).expect("polled");
    assert_eq!(ended, 1, "the second process outlives the first");
    assert_eq!(segments_of(&[first, second]), Vec::<String>::new());
}

#[test]
fn a_run_without_its_second_process_ends() {
    let (run, second) = run_with_second_process("widow");
    let first = i32::try_from(run.id()).expect("a pid");
    kill_process(Pid::from_raw(second).expect("a pid"), Signal::KILL).expect("it lives");
    let output = run.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    // What is said first depends on who notices first: the watching thread, or a call that meets a closed
    // socket.
    assert!(said.contains("benches: "), "{said}");
    assert_eq!(marked("widow"), [0; 0], "a process is left");
    assert_eq!(segments_of(&[first, second]), Vec::<String>::new());
}
