//! The examples that make memory cgroups leave none behind, nor a process or a segment, wherever they are
//! killed.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use book::examples;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use procfs::process::{Process, all_processes};
use sysv_shm::segments;

/// Where cgroups are mounted.
const GROUPS: &str = "/sys/fs/cgroup";

/// Whom the signal is sent to.
#[derive(Debug, Clone, Copy)]
enum Whom {
    /// The program alone.
    It,
    /// The program and its children, as a terminal does.
    Group,
    /// Only the child that is there to remove the groups; the program goes on to its end.
    Caretaker,
}

#[test]
fn wherever_they_are_killed() {
    let examples = examples::build().unwrap_or_else(|error| panic!("{error:#}"));
    // Ours alone, so that a segment in it is one of theirs. Without the privilege for that they say that
    // they need it.
    let _ = unshare(CloneFlags::CLONE_NEWIPC);
    for name in ["who_is_charged", "who_is_killed"] {
        let example = examples.iter().find(|example| example.name == name).expect("the example");
        if !shown_here(&example.program) {
            return;
        }
        for lines in [0, 1, 5, 7, 8, 10, 12, 13, 17] {
            for (whom, signal) in [
                (Whom::It, Signal::SIGKILL),
                (Whom::Group, Signal::SIGKILL),
                (Whom::Group, Signal::SIGINT),
                (Whom::Caretaker, Signal::SIGKILL),
            ] {
                killed_after(lines, &example.program, whom, signal);
            }
        }
    }
}

/// Whether there can be groups here; if not, says why.
fn shown_here(program: &Path) -> bool {
    let child =
        Command::new(program).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the example");
    let pid = child.id();
    let output = child.wait_with_output().expect("reaped");
    let left = groups_of(pid);
    assert!(left.is_empty(), "it ended by itself, and left {left:?}: {output:?}");
    if output.status.code() != Some(77) {
        assert!(output.status.success(), "{output:?}");
        return true;
    }
    let reason = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    // The real standard error: the harness swallows what tests print.
    writeln!(io::stderr(), "groups are not tested: {reason}").expect("standard error");
    assert!(std::env::var_os("CI").is_none(), "{reason}");
    false
}

/// Kills it when it has printed so many lines, and looks for what is left when all its processes have ended.
fn killed_after(lines: usize, program: &Path, whom: Whom, signal: Signal) {
    let mut child = Command::new(program)
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example starts");
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    for _ in 0..lines {
        output.read_line(&mut String::new()).expect("text");
    }
    match whom {
        Whom::It => kill(pid, signal).expect("killed"),
        Whom::Group => killpg(pid, signal).expect("killed"),
        Whom::Caretaker => caretakers_of(pid).for_each(|caretaker| {
            // It may just have ended, and the next one not begun: then nobody is killed.
            let _ = kill(caretaker, signal);
        }),
    }
    output.read_to_string(&mut String::new()).expect("text");
    // All of them have the same standard error, and its end is the end of the last of them.
    let mut complaints = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut complaints).expect("text");
    child.wait().expect("reaped");
    let left = groups_of(child.id());
    assert!(left.is_empty(), "{whom:?} got {signal} after {lines} lines, and left {left:?}: {complaints}");
    let left = segments().expect("the list of segments");
    assert!(left.is_empty(), "{whom:?} got {signal} after {lines} lines, and left {left:?}");
}

/// The children of this process that have that role.
fn caretakers_of(parent: Pid) -> impl Iterator<Item = Pid> {
    let is_it = move |process: &Process| {
        let is_child = process.stat().is_ok_and(|stat| stat.ppid == parent.as_raw());
        is_child && process.cmdline().is_ok_and(|line| line.get(1).is_some_and(|role| role == "caretaker"))
    };
    let processes = all_processes().expect("/proc").flatten();
    processes.filter(is_it).map(|process| Pid::from_raw(process.pid))
}

/// The groups that an example has made, by the example's pid.
fn groups_of(pid: u32) -> Vec<PathBuf> {
    let name = format!("three-ways-in-{pid}");
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::from(GROUPS)]);
    while let Some(folder) = folders.pop() {
        // Others may remove a group of theirs while this looks.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if *entry.file_name() == *name {
                    found.push(entry.path());
                }
                folders.push(entry.path());
            }
        }
    }
    found
}
