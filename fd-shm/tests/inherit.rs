//! Inheritance: one child gets it and no other, it is taken once, and whatever
//! goes wrong leaves nothing open.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use fd_shm::handover::{Push, inherit};
use fd_shm::{Region, same_open_file};
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[path = "support/alone.rs"]
mod alone;

/// Names what a started copy of this program has to do.
const ROLE: &str = "INHERIT_ROLE";

/// This program again, to run the test `test` in the role `role`.
fn child(test: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(ROLE, role);
    command
}

/// In a child: takes what it was started with.
fn take(name: &str) -> fd_shm::Result<OwnedFd> {
    // SAFETY: what the children below open themselves is close-on-exec, and then it is not taken; or they
    // have given it up. Nothing else in them takes what they inherit.
    unsafe { inherit::take(name) }
}

fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

fn succeeded(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}:\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_child_takes_the_region_by_name_and_writes_into_it() {
    const NAME: &str = "a_child_takes_the_region_by_name_and_writes_into_it";
    if role().is_some() {
        let region = take("FRAMES").expect("handed down");
        assert!(fcntl_getfd(&region).expect("flags").contains(FdFlags::CLOEXEC), "marked when taken");
        let words = Region::from_fd(region).expect("a region").map::<AtomicU32>().expect("a mapping");
        words.fetch_add(1, Ordering::Relaxed);
        let again = take("FRAMES").expect_err("once");
        assert_eq!(again.to_string(), "inherit::take(\"FRAMES\"): taken already");
        return;
    }
    alone::alone(NAME, || {
        let region = Region::create("heir", 4096).expect("a region");
        let words = region.map::<AtomicU32>().expect("a mapping");
        words.store(41, Ordering::Relaxed);
        let mut command = child(NAME, "child");
        inherit::Heir::new(&mut command, "FRAMES").push(region.as_fd()).expect("handed down");
        drop(region); // the command holds it
        succeeded(&command.output().expect("a child"));
        succeeded(&command.output().expect("every child of this command"));
        assert_eq!(words.load(Ordering::Relaxed), 43);
    });
}

#[test]
fn several_arrive_each_under_its_name() {
    const NAME: &str = "several_arrive_each_under_its_name";
    if role().is_some() {
        for length in [1, 2, 3_u32] {
            let fd = take(&format!("REGION_{length}")).expect("handed down");
            assert_eq!(Region::from_fd(fd).expect("a region").len(), length as usize);
        }
        return;
    }
    alone::alone(NAME, || {
        let mut command = child(NAME, "child");
        for length in [3, 1, 2_u32] {
            let region = Region::create("heir", length as usize).expect("a region");
            inherit::hand_down(&mut command, &format!("REGION_{length}"), region.as_fd()).expect("given");
        }
        succeeded(&command.output().expect("a child"));
    });
}

#[test]
fn no_other_child_gets_it_even_if_started_meanwhile() {
    alone::alone("no_other_child_gets_it_even_if_started_meanwhile", || {
        let listing = || {
            let output = Command::new("ls").args(["-l", "/proc/self/fd"]).output().expect("ls");
            String::from_utf8(output.stdout).expect("text")
        };
        let region = Region::create("heirloom", 4096).expect("a region");
        let over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            let others = threads.spawn(|| {
                let mut children = 0;
                while !over.load(Ordering::Relaxed) || children < 10 {
                    assert!(!listing().contains("heirloom"), "another thread's child has it");
                    children += 1;
                }
            });
            for _ in 0..20 {
                let mut command = Command::new("ls");
                command.args(["-l", "/proc/self/fd"]);
                inherit::hand_down(&mut command, "FRAMES", region.as_fd()).expect("handed down");
                assert!(!listing().contains("heirloom"), "started between, and not its heir");
                let heir = command.output().expect("ls").stdout;
                assert!(String::from_utf8_lossy(&heir).contains("heirloom"), "the heir has it");
            }
            over.store(true, Ordering::Relaxed);
            others.join().expect("no leak");
        });
    });
}

#[test]
fn what_was_not_handed_down_is_not_taken() {
    const NAME: &str = "what_was_not_handed_down_is_not_taken";
    /// What the parent tells, and what the child says to it.
    const ROWS: [(&str, &str); 6] = [
        ("", "the variable names no descriptor"),
        ("2 0 0", "the variable names no descriptor"), // standard error belongs to the library
        ("-7 0 0", "the variable names no descriptor"),
        ("7 0 0 0", "the variable names no descriptor"),
        ("900 0 0", "EBADF, not open: closed since, or taken by the program that ran before"),
        ("own", "its number belongs to something that this program has opened"),
    ];
    if let Some(row) = role() {
        let row: usize = row.parse().expect("a row");
        let _own: Vec<File> = (0..20).map(|_| File::open("/dev/null").expect("opened here")).collect();
        let refused = take("FRAMES").expect_err("never");
        assert!(refused.to_string().ends_with(ROWS[row].1), "{refused}");
        assert!(refused.is_not_found(), "{refused}");
        let refused = take("NOTHING").expect_err("never");
        assert!(refused.to_string().ends_with("nothing was handed down under this name"), "{refused}");
        return;
    }
    for (row, (told, _)) in ROWS.into_iter().enumerate() {
        // Some number that the child will have opened something under, after it has started.
        let told = if told == "own" { "15 0 0" } else { told };
        succeeded(&child(NAME, &row.to_string()).env("FRAMES", told).output().expect("a child"));
    }
}

#[test]
fn a_number_that_stands_for_another_file_is_not_taken() {
    const NAME: &str = "a_number_that_stands_for_another_file_is_not_taken";
    if role().is_some() {
        let refused = take("FRAMES").expect_err("another file");
        assert!(refused.to_string().ends_with("its number stands for another file by now"), "{refused}");
        return;
    }
    alone::alone(NAME, || {
        let (_region, mut command) = heir(NAME);
        let told = told(&command);
        let (rest, inode) = told.rsplit_once(' ').expect("three words");
        let other = inode.parse::<u64>().expect("a number") + 1;
        succeeded(&command.env("FRAMES", format!("{rest} {other}")).output().expect("a child"));
    });
}

#[test]
fn a_number_is_taken_once_by_whatever_name() {
    const NAME: &str = "a_number_is_taken_once_by_whatever_name";
    if role().is_some() {
        let taken = take("FRAMES").expect("handed down");
        // As who hands it on by hand: nothing about the number shows now that it has an owner.
        fcntl_setfd(&taken, FdFlags::empty()).expect("flags");
        for name in ["FRAMES", "THE_SAME"] {
            let refused = take(name).expect_err("it would have two owners");
            assert_eq!(refused.to_string(), format!("inherit::take({name:?}): taken already"));
        }
        return;
    }
    alone::alone(NAME, || {
        let (_region, mut command) = heir(NAME);
        let told = told(&command);
        succeeded(&command.env("THE_SAME", told).output().expect("a child"));
    });
}

#[test]
fn no_check_tells_what_was_opened_here_so_taking_needs_a_promise() {
    const NAME: &str = "no_check_tells_what_was_opened_here_so_taking_needs_a_promise";
    /// Free in the child until it opens something under it.
    const NUMBER: i32 = 300;
    if role().is_some() {
        let stdin = io::stdin();
        // SAFETY: F_DUPFD gives a new number, which is told to nobody. rustix would make it close-on-exec.
        let ours = unsafe { libc::fcntl(stdin.as_raw_fd(), libc::F_DUPFD, NUMBER) };
        assert_eq!(ours, NUMBER);
        // SAFETY: as above.
        let ours = unsafe { OwnedFd::from_raw_fd(ours) };
        // Were `ours` kept, here would be two owners of one number, and each check would have passed.
        let given_up = ours.into_raw_fd();
        let taken = take("FRAMES").expect("the number and the file are as the parent said");
        assert_eq!(taken.as_raw_fd(), given_up);
        return;
    }
    alone::alone(NAME, || {
        let (region, command) = heir(NAME);
        let told = told(&command);
        let (_, file) = told.split_once(' ').expect("three words");
        let mut guessing = child(NAME, "child");
        guessing
            .env("FRAMES", format!("{NUMBER} {file}"))
            .stdin(OwnedFd::from(region.try_clone().expect("dup")));
        succeeded(&guessing.output().expect("a child"));
    });
}

#[test]
fn what_a_child_has_taken_its_own_children_do_not_get() {
    const NAME: &str = "what_a_child_has_taken_its_own_children_do_not_get";
    match role().as_deref() {
        Some("child") => {
            let _taken = take("FRAMES").expect("handed down");
            succeeded(&child(NAME, "grandchild").output().expect("a grandchild"));
        }
        Some(_) => {
            let refused = take("FRAMES").expect_err("closed on exec");
            assert!(refused.is_not_found(), "{refused}");
        }
        None => alone::alone(NAME, || {
            let (_region, mut command) = heir(NAME);
            succeeded(&command.output().expect("a child"));
        }),
    }
}

#[test]
fn what_cannot_be_handed_down_is_refused_and_nothing_stays_open() {
    alone::alone("what_cannot_be_handed_down_is_refused_and_nothing_stays_open", || {
        let region = Region::create("heir", 4096).expect("a region");
        for name in ["", "A=B", "A\0B"] {
            let refused = inherit::hand_down(&mut Command::new("true"), name, region.as_fd());
            assert!(refused.is_err_and(|error| error.is_invalid_input()), "{name:?}");
        }
        // A program that is not there: the failure is reported, not written into the region.
        let mut absent = Command::new("/absent/program");
        inherit::hand_down(&mut absent, "FRAMES", region.as_fd()).expect("handed down");
        assert_eq!(absent.spawn().map(drop).map_err(|e| e.kind()), Err(io::ErrorKind::NotFound));
        let mut beginning = [1; 8];
        region.map::<()>().expect("a mapping").copy_out(0, &mut beginning).expect("inside");
        assert_eq!(beginning, [0; 8]);
        // A full table is the parent's trouble: the child's begins as its copy.
        let limits = getrlimit(Resource::Nofile);
        let room = u64::from(File::open("/dev/null").expect("null").as_raw_fd().unsigned_abs());
        setrlimit(Resource::Nofile, Rlimit { current: Some(room), ..limits }).expect("fewer");
        let refused = inherit::hand_down(&mut Command::new("true"), "FRAMES", region.as_fd());
        setrlimit(Resource::Nofile, limits).expect("as before");
        assert!(refused.as_ref().is_err_and(|error| error.is_table_full()), "{refused:?}");
    });
}

#[test]
fn it_is_the_same_open_file_under_the_same_number() {
    alone::alone("it_is_the_same_open_file_under_the_same_number", || {
        let region = Region::create("heir", 4096).expect("a region");
        let mut command = Command::new("sleep");
        inherit::hand_down(command.arg("600"), "FRAMES", region.as_fd()).expect("handed down");
        let mut child = command.spawn().expect("a child");
        let number = told_number(&command);
        let here = std::process::id();
        let same = same_open_file((here, region.as_fd().as_raw_fd()), (child.id(), number));
        let flag = in_table(child.id(), number);
        child.kill().expect("killed");
        child.wait().expect("reaped");
        assert_eq!((same.expect("kcmp"), flag.as_str()), (true, "without close-on-exec"));
        assert_eq!(in_table(here, number), "close-on-exec", "it never was off in the parent");
    });
}

/// A region, and this program once more, to which it is handed down as `FRAMES`.
fn heir(test: &str) -> (Region, Command) {
    let region = Region::create("heir", 4096).expect("a region");
    let mut command = child(test, "child");
    inherit::hand_down(&mut command, "FRAMES", region.as_fd()).expect("handed down");
    (region, command)
}

/// What the children of a command are told of FRAMES.
fn told(command: &Command) -> String {
    let told = command.get_envs().find(|(name, _)| *name == "FRAMES").and_then(|(_, value)| value);
    told.and_then(|value| value.to_str()).expect("told").to_owned()
}

fn told_number(command: &Command) -> i32 {
    told(command).split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

/// Whether a descriptor of a process is close-on-exec, as `/proc` tells.
fn in_table(pid: u32, number: i32) -> String {
    const CLOEXEC: u32 = 0o2000000;
    let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).expect("open there");
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags").trim();
    let flags = u32::from_str_radix(flags, 8).expect("octal");
    if flags & CLOEXEC == 0 { "without close-on-exec".into() } else { "close-on-exec".into() }
}
