//! Rules for the whole workspace that no lint holds.

use std::fs;
use std::path::Path;
use std::process::Command;

use book::workspace;

/// The files that may hold `unsafe`, each with the promise that it exists to make.
const UNSAFE_FILES: &[(&str, &str)] = &[
    ("benches/src/floor/futex.rs", "the raw floor: futex(2)"),
    ("benches/src/floor/memfd.rs", "the raw floor: memfd_create(2), fcntl(2)"),
    ("benches/src/floor/memory.rs", "the raw floor: mmap(2), and memory through raw pointers"),
    ("benches/src/floor/posix.rs", "the raw floor: shm_open(3)"),
    ("benches/src/floor/process.rs", "the raw floor: fork(2), pidfd_getfd(2)"),
    ("benches/src/floor/socket.rs", "the raw floor: sendmsg(2), recvmsg(2)"),
    ("benches/src/floor/system_v.rs", "the raw floor: shmget(2), shmat(2), shmctl(2)"),
    (
        "binder-sim/examples/binder_15_server_and_client_broken.rs",
        "a private mapping, to show that it shares nothing",
    ),
    ("binder-sim/src/client.rs", "ioctl(2) on the device, with pointers to its arguments"),
    ("binder-sim/src/client/mapping.rs", "mmap(2) of the device, and where it ends"),
    ("binder-sim/tests/kernel/actor.rs", "numbers that a script opens and closes as it likes"),
    ("binder-sim/tests/kernel/arena.rs", "memory that ends where a script says"),
    ("binder-sim/tests/kernel/signal.rs", "a handler of a signal, and tgkill(2), which no crate wraps"),
    ("binder-sim/tests/kernel/main.rs", "fork(2) of a program with one thread"),
    ("benches/src/questions/inheritance.rs", "the promise that nobody else takes an inherited number"),
    ("benches/src/peers/shared_memory.rs", "a peer whose memory is reached through a raw pointer"),
    ("book/examples/handover_table.rs", "the promise that nobody else takes an inherited number"),
    ("book/examples/inspect.rs", "a private mapping, to show what is said of one"),
    ("book/examples/past_the_end.rs", "looks at memory that is not there, to show what becomes of them"),
    (
        "book/examples/shared_after.rs",
        "fork(2), a private mapping, an inherited number, to tell what they share",
    ),
    ("book/examples/three_questions.rs", "the promise that nobody else takes an inherited number"),
    ("book/examples/who_counts.rs", "mallinfo2(3), which no crate wraps"),
    ("book/program/sys.rs", "close_range(2) is wrapped by no crate"),
    ("fd-shm/examples/fd_01_shrink_under_the_reader.rs", "a plain reader's look at memory that is cut"),
    ("fd-shm/examples/fd_06_out_of_range.rs", "a plain reader's look behind the end of a file"),
    ("fd-shm/examples/fd_07_maps_lines.rs", "a private mapping, to show that it shares nothing"),
    ("fd-shm/examples/fd_08_server_client_broken.rs", "a private mapping, to show that it shares nothing"),
    ("fd-shm/examples/fd_10_inherit.rs", "the promise that nobody else takes an inherited number"),
    ("fd-shm/examples/fd_15_fork.rs", "fork(2) is what it shows, and is unsafe in Rust"),
    ("fd-shm/examples/fd_21_robust_mutex.rs", "the promise that only trusted peers have the mutex"),
    ("fd-shm/examples/fd_22_lock_for_strangers.rs", "that promise, broken to show what it is for"),
    ("fd-shm/examples/fd_31_ashmem_mask.rs", "a mapping whose rights are then raised"),
    ("fd-shm/examples/fd_38_no_substitute.rs", "a raw mapping: stores into it, and madvise(2)"),
    ("fd-shm/examples/fd_40_four_layers.rs", "a private mapping, to show what its page table has"),
    ("fd-shm/examples/fd_41_copy_on_write.rs", "private mappings, to show when they copy"),
    ("fd-shm/src/ashmem/device.rs", "the ioctls of /dev/ashmem, which no crate wraps, and its mappings"),
    ("fd-shm/src/copy.rs", "bulk copies that the compiler cannot see"),
    (
        "fd-shm/src/handover/inherit.rs",
        "what may run between fork and exec, and a promise whose an inherited number is",
    ),
    ("fd-shm/src/handover/recvmsg.rs", "an owner for every descriptor that recvmsg(2) installs"),
    ("fd-shm/src/lock/pthread.rs", "pthread_mutex_init(3), pthread_mutex_clocklock(3), which no crate wraps"),
    ("fd-shm/src/lock/robust.rs", "pthread's mutex in memory that only trusted peers write"),
    ("fd-shm/src/head.rs", "the promise that a head lies in its mapping, and is made of what may be shared"),
    ("fd-shm/src/mapping.rs", "the promise that a mapping stays mapped"),
    ("fd-shm/src/shareable.rs", "the promise that a type may lie in shared memory"),
    ("fd-shm/src/sys.rs", "kcmp(2) is wrapped by no crate"),
    ("fd-shm/tests/exercises.rs", "a private mapping, to tell it from a shared one"),
    ("fd-shm/tests/exercises_locks.rs", "the promise that only this program has the mutex"),
    ("fd-shm/tests/exercises_layers.rs", "mappings that reach behind their file, and private ones"),
    ("fd-shm/tests/one_frame.rs", "a private mapping, to tell its page from the file's"),
    (
        "fd-shm/tests/ashmem/raw.rs",
        "fork(2), personality(2), bad pointers, and memory whose touch may be a signal",
    ),
    ("fd-shm/tests/inherit.rs", "the promise that nobody else takes an inherited number"),
    ("fd-shm/tests/lock.rs", "fork(2), and fcntl(F_SETLEASE), which no crate wraps"),
    ("fd-shm/tests/purgeable.rs", "fork(2)"),
    ("fd-shm/tests/slot_lock.rs", "fork(2)"),
    ("fd-shm/tests/robust_mutex.rs", "the promise that only this program has the mutex"),
    ("fd-shm/tests/scm_rights.rs", "setsockopt(SO_PASSPIDFD), which no crate wraps"),
    ("sysv-shm/examples/sysv_02_private_over_fork.rs", "fork(2) is what it shows, and is unsafe in Rust"),
    ("sysv-shm/src/attachment.rs", "the promise that the head of an attachment is a `T`"),
    ("sysv-shm/src/copy.rs", "bulk copies that the compiler cannot see"),
    (
        "sysv-shm/src/head.rs",
        "the promise that a head lies in its attachment, and is made of what may be shared",
    ),
    ("sysv-shm/src/mapped.rs", "the promise that what is mapped is as long as it says, until it is detached"),
    ("sysv-shm/src/reservation.rs", "the promise that a range of addresses stays ours"),
    ("sysv-shm/src/shareable.rs", "the promise that a type may lie in shared memory"),
    ("sysv-shm/src/sys.rs", "shmget(2), shmat(2), shmdt(2), shmctl(2) are wrapped by no crate"),
    ("sysv-shm/src/sys/sem.rs", "semget(2), semtimedop(2), semctl(2) are wrapped by no crate"),
    ("sysv-shm/tests/mappings.rs", "mprotect(2), munmap(2) and fork(2) on attachments, and C's ftok(3)"),
    ("sysv-shm/tests/model/calls.rs", "raw calls that the crate rules out, which a kernel has to be asked"),
    (
        "sysv-shm/tests/spec_rows.rs",
        "raw calls that the crate's types rule out, which a kernel has to be asked",
    ),
];

/// A file is read in one sitting.
const MOST_LINES: usize = 400;

// ANCHOR: budgets
/// How many lines of code (no comments, no blank lines) each part may have, so that the whole can be read in a weekend.
/// A part that outgrows its number is cut down, or the number is raised here with its reason.
const BUDGETS: [(&str, usize); 5] = [
    ("sysv-shm/src", 3000), // segments, semaphores, who uses them and what is left; a third says what an errno means, here and to std, 200 are the kernel's own structures, for five architectures
    ("fd-shm/src", 4850), // every way to hand a region over, locks, calls that no library has on every target; half is ashmem: pure, its real calls, in the region
    ("binder-sim/src", 10500), // the driver whole, its world, the wire, scripts as text, a service manager, a client of a real device
    ("benches/src", 5800), // nine questions, each through the library, in raw calls (with its checks, too) and beside peers; the report
    ("book/program", 3500), // the book's pipeline, the rules for its pages and its glossary; half draws a picture or a table for nearly every chapter
];
// ANCHOR_END: budgets

/// What belongs to one machine, or reminds of work not done. (In halves, or this file would break its own rule.)
const NOT_HERE: [(&str, &str); 6] =
    [("/ro", "ot/"), ("/wo", "rk/"), ("/ho", "me/"), ("TO", "DO"), ("FIX", "ME"), ("#[ig", "nore")];

#[test]
fn only_listed_files_hold_unsafe_code() {
    let opted_in: Vec<_> =
        rust_files().into_iter().filter(|(_, text)| text.contains("\n#![allow(unsafe_code)]")).collect();
    for (path, _) in &opted_in {
        assert!(
            UNSAFE_FILES.iter().any(|(listed, _)| listed == path),
            "{path} opts in to unsafe and is not listed"
        );
    }
    for (listed, _) in UNSAFE_FILES {
        assert!(opted_in.iter().any(|(path, _)| path == listed), "{listed} is listed and does not opt in");
    }
}

#[test]
fn unsafe_code_is_allowed_for_whole_files_only() {
    for (path, text) in rust_files() {
        let marks = text.matches(concat!("allow(unsafe", "_code)")).count();
        let at_the_top = usize::from(text.contains("\n#![allow(unsafe_code)]"));
        assert!(
            path.ends_with("tests/tidy.rs") || marks == at_the_top,
            "{path} allows unsafe code below its top"
        );
    }
}

#[test]
fn files_are_short() {
    for (path, text) in rust_files() {
        let lines = text.lines().count();
        assert!(lines <= MOST_LINES, "{path} has {lines} lines");
    }
}

#[test]
fn the_whole_stays_small_enough_to_read() {
    for (folder, budget) in BUDGETS {
        let pattern = format!("{folder}/*.rs");
        let code = |text: String| {
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
        };
        let lines: usize = tracked_files(&[pattern.as_str()]).into_iter().map(|(_, text)| code(text)).sum();
        assert!(lines <= budget, "{folder} has {lines} lines of code, more than its budget of {budget}");
        assert!(lines > budget / 4, "{folder} has {lines} lines of code: a budget of {budget} says nothing");
    }
}

#[test]
fn nothing_of_one_machine_and_no_reminder_is_left() {
    for (path, text) in tracked_files(&["*.rs", "*.md", "*.toml", "*.out", "*.css", ".ci/*"]) {
        // The rule for the pages has to spell out what it looks for.
        for (one, other) in NOT_HERE.into_iter().filter(|_| path != "book/program/pages/prose.rs") {
            assert!(!text.contains(&[one, other].concat()), "{path} holds {one}{other}");
        }
    }
}

#[test]
fn the_readme_names_the_commands_that_ci_runs() {
    let text = |path: &str| fs::read_to_string(workspace::root().join(path)).expect("a tracked file");
    let (readme, ci) = (text("README.md"), text(".ci/run"));
    for command in ["cargo run -p book", "cargo test --workspace"] {
        assert!(readme.contains(command), "README.md does not name {command}");
        assert!(ci.contains(command), ".ci/run does not run {command}");
    }
}

#[test]
fn the_readme_shows_what_a_program_prints() {
    let text = |path: &str| fs::read_to_string(workspace::root().join(path)).expect("a tracked file");
    let printed = text("book/examples/three_ways.out");
    assert!(
        text("README.md").contains(&format!("```text\n{printed}```\n")),
        "README.md: not what three_ways prints"
    );
}

fn rust_files() -> Vec<(String, String)> {
    tracked_files(&["*.rs"])
}

/// The path and text of every file that git tracks, or would, and that matches.
fn tracked_files(patterns: &[&str]) -> Vec<(String, String)> {
    let listing = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "--"])
        .args(patterns)
        .current_dir(workspace::root())
        .output()
        .expect("git runs");
    assert!(listing.status.success(), "{}", String::from_utf8_lossy(&listing.stderr));
    let listing = String::from_utf8(listing.stdout).expect("paths in UTF-8");
    let read = |path: &str| {
        fs::read_to_string(workspace::root().join(path)).ok().map(|text| (path.to_owned(), text))
    };
    let files: Vec<_> =
        listing.lines().filter(|path| Path::new(path).file_name().is_some()).filter_map(read).collect();
    assert!(!files.is_empty(), "git lists no file for {patterns:?}");
    files
}
