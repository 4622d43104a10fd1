//! A private IPC namespace for one test: no other test sees its keys, and a failing test leaves nothing on
//! the machine.
//!
//! A process with CAP_SYS_ADMIN lets one thread unshare its IPC namespace, which takes a tenth of a
//! millisecond. Without the capability a user namespace has to come first, and a process with threads cannot
//! make one; so the test runs itself again under `unshare`(1), which makes both and then becomes the test.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::panic;
use std::process::Command;
use std::thread;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};

/// Set, in a run under `unshare`, to the name of the one test that runs there.
const INSIDE: &str = "SYSV_SHM_TEST_INSIDE";

/// Runs `test` in an IPC namespace of its own and fails if it leaves a segment or a set of semaphores there.
///
/// The thread that calls this keeps its namespace; `test` runs in another. Children that it starts share the
/// new namespace.
pub(crate) fn private(test: impl FnOnce() + Send) {
    let outcome = thread::scope(|scope| {
        let name = thread::current().name().unwrap_or_default().to_owned();
        let body = move || {
            if env::var(INSIDE).is_ok_and(|inside| inside == name) {
                return checked(test); // the namespace is this process's
            }
            match unshare(CloneFlags::CLONE_NEWIPC) {
                Ok(()) => checked(test),
                Err(Errno::EPERM) => run_again(&name),
                Err(error) => panic!("unshare(CLONE_NEWIPC): {error}"),
            }
        };
        // The harness knows a test by its thread's name, which prints in a panic's first line: keep it.
        let builder = thread::Builder::new().name(thread::current().name().unwrap_or("test").to_owned());
        builder.spawn_scoped(scope, body).expect("a thread").join()
    });
    if let Err(panic) = outcome {
        panic::resume_unwind(panic);
    }
}

/// The segments of the calling thread's IPC namespace: the lines of `/proc/sysvipc/shm` without the header.
pub(crate) fn segments() -> Vec<String> {
    let listing = fs::read_to_string("/proc/sysvipc/shm").expect("/proc/sysvipc/shm");
    listing.lines().skip(1).map(str::to_owned).collect()
}

/// The semaphore sets of the calling thread's IPC namespace: the lines of `/proc/sysvipc/sem` without the
/// header.
pub(crate) fn semaphore_sets() -> Vec<String> {
    let listing = fs::read_to_string("/proc/sysvipc/sem").expect("/proc/sysvipc/sem");
    listing.lines().skip(1).map(str::to_owned).collect()
}

fn checked(test: impl FnOnce()) {
    assert_eq!([segments(), semaphore_sets()].concat(), [""; 0], "a new namespace is empty");
    test();
    assert_eq!([segments(), semaphore_sets()].concat(), [""; 0], "left behind");
}

/// Runs the test called `name` of this program in a user and an IPC namespace of its own.
///
/// As root of that user namespace, for the capabilities of any other user would not survive the start of the
/// program.
fn run_again(name: &str) {
    let program = env::current_exe().expect("the path of this test");
    let arguments = [name, "--exact", "--nocapture", "--test-threads=1"];
    let result = Command::new("unshare")
        .args(["--user", "--map-root-user", "--ipc", "--"])
        .arg(program)
        .args(arguments)
        .env(INSIDE, name)
        .output();
    let output = match result {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return skip(name, "no CAP_SYS_ADMIN, and no unshare(1) to make a user namespace");
        }
        Err(error) => panic!("unshare: {error}"),
    };
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() && err.starts_with("unshare: ") {
        return skip(name, err.trim_end());
    }
    assert!(output.status.success(), "{name}, in its own namespaces: {}\n{out}{err}", output.status);
    assert!(out.contains("1 passed"), "{name} did not run in its own namespaces:\n{out}{err}");
    // What it skipped inside, or says of an exercise, is said outside, where somebody sees it.
    err.lines().filter(|line| line.starts_with("skipped") || line.starts_with("exercise")).for_each(say);
}

/// Says, where the harness does not swallow it, that `what` was not tested, and why. In CI nothing may be skipped.
pub(crate) fn skip(what: &str, reason: &str) {
    assert!(env::var_os("CI").is_none(), "skipped in CI: {what}: {reason}");
    say(&format!("skipped: {what}: {reason}"));
}

fn say(line: &str) {
    writeln!(io::stderr(), "{line}").expect("standard error");
}
