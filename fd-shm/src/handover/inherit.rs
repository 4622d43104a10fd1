//! Inheritance: a descriptor that a started program finds open.
//!
//! `fork` copies the whole table, and `exec` keeps what is not close-on-exec. Everything here is
//! close-on-exec, so a child gets nothing by accident; [`hand_down`] makes one exception for one child. The
//! mark is taken off *in that child*, between fork and exec: it never is off in the parent, so no other child
//! that some other thread starts meanwhile gets the descriptor too.
//!
//! A child of `fork` alone, without exec, has everything already, mappings too, and needs nothing of this.
//!
//! The child has it under the parent's number, and learns the number from its environment: [`take`] asks for
//! it by a name that both know.
//!
//! # Examples
//!
//! ```
//! use std::os::fd::AsFd;
//! use std::process::Command;
//!
//! use fd_shm::{Region, handover::inherit};
//!
//! let region = Region::create("frames", 4096)?;
//! let mut child = Command::new("sh");
//! child.args(["-c", "set -- $FRAMES; readlink /proc/self/fd/$1"]);
//! inherit::hand_down(&mut child, "FRAMES", region.as_fd())?;
//! assert_eq!(child.output()?.stdout, b"/memfd:frames (deleted)\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In a child that uses this crate, at the beginning of its `main`, and with a promise ([`take`]):
//!
//! ```no_run
//! use fd_shm::{Region, handover::inherit};
//!
//! // SAFETY: nothing was opened before this, and nothing else here takes what is inherited.
//! let region = Region::from_fd(unsafe { inherit::take("FRAMES") }?)?;
//! # Ok::<(), fd_shm::Error>(())
//! ```
//!
//! One descriptor can do without: started with it as its standard input (`Command::stdin`), the child has a
//! safe duplicate of it, `std::io::stdin().as_fd().try_clone_to_owned()`.
//!
//! # References
//!
//! `fork(2)`, `execve(2)`, `fcntl(2)`; `kernel/fork.c` (`copy_files`), `fs/file.c` (`dup_fd`,
//! `do_close_on_exec`).

#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::env;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use rustix::fs::fstat;
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

use super::Push;
use crate::error::{Error, Kind, Meanings, Result};

/// The first number behind the standard streams, which `Command` arranges by itself.
const FIRST: RawFd = 3;

/// What the kernel means when it does not copy the descriptor.
const DUP: Meanings =
    &[(Errno::EMFILE, Kind::TableFull, "this process's table is full; no child has started")];

/// What the kernel means when the number cannot be taken.
const TAKE: Meanings =
    &[(Errno::EBADF, Kind::NotFound, "not open: closed since, or taken by the program that ran before")];

/// The numbers that were taken here: a number is inherited once, by whatever names it is called.
static TAKEN: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

/// Leaves `descriptor` open in every child that `command` starts, and tells it there under `name`.
///
/// The command keeps a copy of its own until it is dropped, so the descriptor may be closed at once. `name`
/// becomes a variable of the child's environment; `env_clear` after this would take it away again. Under a
/// name that was used before, the child is told of the later descriptor alone, and has both.
///
/// `CommandExt::exec` starts no child: it takes the mark off in this very process, and should it fail, other
/// children get the copy too, until the command is dropped.
///
/// # Errors
///
/// [`is_invalid_input`](Error::is_invalid_input) for a name that no environment variable can have; EMFILE
/// ([`is_table_full`](Error::is_table_full)) when *this* process has no number left: the child's table begins
/// as a copy of ours.
pub fn hand_down(command: &mut Command, name: &str, descriptor: BorrowedFd<'_>) -> Result<()> {
    let call = || format!("fcntl({}, F_DUPFD_CLOEXEC) for the child's {name:?}", descriptor.as_raw_fd());
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(Error::refused(call(), Kind::InvalidInput, "no environment variable can be called that"));
    }
    let system = |errno: rustix::io::Errno| Error::system(call(), errno.raw_os_error(), DUP);
    let copy = fcntl_dupfd_cloexec(descriptor, FIRST).map_err(system)?;
    command.env(name, Note::of(copy.as_fd()).map_err(system)?.to_text());
    // The same number over there: nothing is moved, so nothing can be run over by it, not even the pipe on
    // which `Command` hears of a failed exec.
    let keep_open = move || Ok(fcntl_setfd(&copy, FdFlags::empty())?);
    // SAFETY: what runs between fork and exec is one fcntl: no memory is allocated, no lock is taken.
    unsafe { command.pre_exec(keep_open) };
    Ok(())
}

/// Takes the descriptor that the parent has handed down under `name`, once, and owns it.
///
/// From here on it is close-on-exec, like every other: the children of this process do not get it.
///
/// What can be checked is: the number is open, stands for the very file that was handed down, has not been
/// taken here before, and is not yet close-on-exec, as everything is that Rust's library and this crate open.
/// That catches mistakes, and proves nothing: the kernel knows which process has a number, and nobody knows
/// which part of it is going to close it.
///
/// A duplicate would need no promise, for it would be nobody else's. But it takes a free number, which a
/// started program need not have, and what was inherited would stay open beside it and hold the memory until
/// the process ends.
///
/// # Safety
///
/// The number that the variable `name` leads to belongs to nobody else in this process, and nobody else will
/// take it: two owners would close it twice, and the second time it may be a stranger's. So:
///
/// * the variable is as the parent has set it, by [`hand_down`] or in its form, and the parent is right about
///   it;
/// * this program has opened no file under that number since it was started;
/// * nothing else in it takes over inherited numbers that may be this one, as `LISTEN_FDS` and `MAKEFLAGS`
///   have it.
///
/// The last two hold at the beginning of `main`, before anything opens files without close-on-exec.
///
/// # Errors
///
/// [`is_not_found`](Error::is_not_found) when nothing was handed down under that name, when
/// it was taken already, or when the number stands for something else by now.
///
/// # References
///
/// `std::io`, "I/O Safety"; `OwnedFd::from_raw_fd`, which makes the same demand.
pub unsafe fn take(name: &str) -> Result<OwnedFd> {
    let refused = |text| Error::refused(format!("inherit::take({name:?})"), Kind::NotFound, text);
    let note = env::var(name).map_err(|_| refused("nothing was handed down under this name"))?;
    let note = Note::from_text(&note).ok_or_else(|| refused("the variable names no descriptor"))?;
    // A set of numbers stays one, whoever panicked while holding it.
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if taken.contains(&note.number) {
        return Err(refused("taken already"));
    }
    // SAFETY: whose the number is, the caller has promised; not ours, or it would be in `taken`, which is
    // locked.
    let fd = unsafe { note.claim(name, &refused) }?;
    taken.insert(note.number);
    Ok(fd)
}

/// A started program's place to put a descriptor, under one name.
#[derive(Debug)]
pub struct Heir<'a> {
    /// What will be started.
    command: &'a mut Command,
    /// What the child asks for.
    name: &'a str,
}

impl<'a> Heir<'a> {
    /// The children of `command`, which will take the descriptor by `name`.
    pub fn new(command: &'a mut Command, name: &'a str) -> Self {
        Self { command, name }
    }
}

impl Push for Heir<'_> {
    /// [`hand_down`].
    fn push(&mut self, descriptor: BorrowedFd<'_>) -> Result<()> {
        hand_down(self.command, self.name, descriptor)
    }
}

/// What the child is told: the number, and the file behind it.
#[derive(Debug, PartialEq, Eq)]
struct Note {
    /// The number, in the parent and in the child.
    number: RawFd,
    /// Device and inode, so that a number that was reused is not mistaken for what was handed down.
    file: (u64, u64),
}

impl Note {
    fn of(fd: BorrowedFd<'_>) -> rustix::io::Result<Self> {
        let stat = fstat(fd)?;
        Ok(Self { number: fd.as_raw_fd(), file: (stat.st_dev, stat.st_ino) })
    }

    /// `NUMBER DEVICE INODE`, which a shell can take apart as well.
    fn to_text(&self) -> String {
        format!("{} {} {}", self.number, self.file.0, self.file.1)
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let number = words.next()?.parse().ok().filter(|number| *number >= FIRST)?;
        let file = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        words.next().is_none().then_some(Self { number, file })
    }

    /// Makes the descriptor ours, after checking that it is the one that was handed down.
    ///
    /// # Safety
    ///
    /// If it is open, nobody else owns it.
    unsafe fn claim(&self, name: &str, refused: &dyn Fn(&'static str) -> Error) -> Result<OwnedFd> {
        let system = |errno: rustix::io::Errno| {
            let call = format!("fcntl({}, F_GETFD) for {name:?}", self.number);
            Error::system(call, errno.raw_os_error(), TAKE)
        };
        // SAFETY: a question about a number; whether it is open is the answer.
        let flags = unsafe { libc::fcntl(self.number, libc::F_GETFD) };
        if flags < 0 {
            let errno = io::Error::last_os_error().raw_os_error().unwrap_or_default();
            return Err(system(rustix::io::Errno::from_raw_os_error(errno)));
        }
        if flags & libc::FD_CLOEXEC != 0 {
            return Err(refused("its number belongs to something that this program has opened"));
        }
        // SAFETY: open, and by the caller's promise nobody else closes it.
        let found = unsafe { BorrowedFd::borrow_raw(self.number) };
        if Self::of(found).map_err(system)? != *self {
            return Err(refused("its number stands for another file by now"));
        }
        fcntl_setfd(found, FdFlags::CLOEXEC).map_err(system)?;
        // SAFETY: open, and nobody else's by the caller's promise.
        Ok(unsafe { OwnedFd::from_raw_fd(self.number) })
    }
}
