//! A test in a process of its own, which must leave that process as it found it.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// Names the test that a started process is for.
const CHOSEN: &str = "TEST_RUNS_ALONE";

/// Runs `test`, which must be the body of the `#[test]` called `name`, in a process of its own, and fails if
/// it leaves anything behind: an open descriptor, a mapped memory file, or a child.
///
/// Test threads share one table of descriptors and one set of limits, so what counts the one or changes the
/// other cannot stand beside other tests. The test program starts itself again for this one test.
///
/// # Panics
///
/// When the test fails over there, or leaves something.
pub(crate) fn alone(name: &str, test: impl FnOnce()) {
    if std::env::var(CHOSEN).is_ok_and(|chosen| chosen == name) {
        let before = belongings();
        test();
        assert_eq!(belongings(), before, "left behind (right: what was there before)");
        return;
    }
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program)
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHOSEN, name)
        .output()
        .expect("this program can be started again");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}, alone, ended with {}:\n{text}{errors}", output.status);
    assert!(text.contains("1 passed"), "no test is called {name}:\n{text}{errors}");
    // Why something was skipped, for instance: past the harness, which swallows what a passing test prints.
    std::io::stderr().write_all(&output.stderr).expect("standard error");
}

/// What this process holds: open descriptors with what they are, mapped memory files, and children.
fn belongings() -> BTreeSet<String> {
    // The listing's own descriptor is closed by the time its link is read, so it is not counted.
    let descriptors = listed("/proc/self/fd");
    let descriptors = descriptors.iter().filter_map(|path| {
        let link = std::fs::read_link(path).ok()?;
        Some(format!("descriptor {} -> {}", path.file_name()?.display(), link.display()))
    });
    let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let mapped = maps.lines().filter(|line| line.contains("/memfd:")).map(|line| format!("mapping {line}"));
    let children = listed("/proc/self/task").into_iter().flat_map(|task| {
        let children = std::fs::read_to_string(task.join("children")).unwrap_or_default();
        children.split_whitespace().map(|pid| format!("child {pid}")).collect::<Vec<_>>()
    });
    descriptors.chain(mapped).chain(children).collect()
}

/// The paths in a folder of `/proc`.
fn listed(folder: &str) -> Vec<PathBuf> {
    std::fs::read_dir(folder).expect(folder).map(|entry| entry.expect(folder).path()).collect()
}
