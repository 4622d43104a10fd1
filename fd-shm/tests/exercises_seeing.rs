//! The exercises on what /proc shows of descriptors: each test tells whether one is solved.
//!
//! `cargo test -p fd-shm --test exercises_seeing NAME` judges what is in `exercises/NAME.rs`; with `--features
//! solutions`, the solutions.

#[path = "../../sysv-shm/tests/support/exercise.rs"]
mod exercise;

#[path = "support/alone.rs"]
mod alone;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/label.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/label.rs")]
mod label;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/unread.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/unread.rs")]
mod unread;

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use exercise::{Verdict, check, judge};
use fd_shm::{Region, scm_rights};
use memmap2::MmapOptions;
use rustix::fs::{MemfdFlags, memfd_create};

/// The text of any error.
fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[test]
fn label() {
    judge("label", names_of_our_own().and_then(|()| other_files()));
}

/// The kernel's own lines, of files with names that it takes.
fn names_of_our_own() -> Verdict {
    for name in [
        &b"frames"[..],
        b"two words",
        b"  spaces  ",
        b"gone (deleted)",
        b" (deleted) (deleted)",
        b"/memfd:inside",
        b"no \xff UTF-8",
        b"tab\tand\x0cfeed",
        b"",
    ] {
        let c_name = CString::new(name).map_err(in_words)?;
        let file = File::from(memfd_create(&c_name, MemfdFlags::CLOEXEC).map_err(in_words)?);
        file.set_len(4096).map_err(in_words)?;
        let mapped = MmapOptions::new().map_raw(&file).map_err(in_words)?;
        let maps = fs::read("/proc/self/maps").map_err(in_words)?;
        let start = format!("{:x}-", mapped.as_ptr().addr());
        let line = maps.split(|byte| *byte == b'\n').find(|line| line.starts_with(start.as_bytes()));
        let yours = label::label(line.ok_or("it is not mapped")?);
        let in_words = yours.as_ref().map(|yours| yours.escape_ascii().to_string());
        check(yours.as_deref() == Some(name), format!("\"{}\": yours {in_words:?}", name.escape_ascii()))?;
    }
    Ok(())
}

fn other_files() -> Verdict {
    for line in [
        "7f00aa0000-7f00ab0000 rw-s 00000000 00:01 98305      /SYSV00001234 (deleted)",
        "7f00aa0000-7f00ab0000 rw-s 00000000 08:01 49025      /tmp/memfd:no (deleted)",
        "7f00aa0000-7f00ab0000 rw-p 00000000 00:00 0 ",
        "",
    ] {
        let yours = label::label(line.as_bytes());
        check(yours.is_none(), format!("no memory file: {line}"))?;
    }
    Ok(())
}

#[test]
fn unread() {
    alone::alone("unread", || judge("unread", every_socket_counts_once()));
}

fn every_socket_counts_once() -> Verdict {
    let ask = |expected: u64, what: &str| {
        let yours = unread::unread(std::process::id()).map_err(in_words)?;
        check(yours == expected, format!("{what}: {expected}, yours {yours}"))
    };
    let (sender, receiver) = UnixStream::pair().map_err(in_words)?;
    let region = Region::create("gift", 64).map_err(in_words)?;
    let send = |count| {
        let descriptors: Vec<BorrowedFd<'_>> = vec![region.as_fd(); count];
        scm_rights::send(&sender, &[0], &descriptors).map_err(in_words)
    };
    ask(0, "sockets with nothing in them")?;
    send(1)?;
    ask(1, "one message with one descriptor")?;
    send(253)?;
    ask(254, "two messages, the second with 253")?;
    let again = receiver.try_clone().map_err(in_words)?;
    ask(254, "the same, and a second number for the receiver's socket")?;
    drop(receiver);
    ask(254, "the same, and the first number is closed")?;
    drop(scm_rights::receive(&again, &mut [0], 1).map_err(in_words)?);
    ask(253, "the first message is received")
}
