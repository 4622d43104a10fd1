//! The files of a script, made so that each can be known again: by its inode, and by where it stands.

use crate::reply::Descriptor;
use binder_sim::script::{Action, FileSeen, Kind, Script};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc::{dev_t, ino_t, off_t};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{Mode, fstat, stat};
use nix::unistd::{Whence, lseek, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Device and inode: with 32 bits, not the same types everywhere.
pub(crate) type Inode = (dev_t, ino_t);

/// A file of a script.
#[derive(Debug)]
pub(crate) struct File {
    /// Its name.
    pub(crate) name: String,
    /// Who opens it: the actor, and the step (from 1; 0: open from the start).
    pub(crate) opener: (usize, usize),
    /// Device and inode.
    inode: Inode,
    /// The mark by which the open file is known: where it stands.
    offset: Option<off_t>,
    /// The other end of a pipe.
    other: Option<OwnedFd>,
}

/// Makes all files of a script; gives the ends that actors have, in the same order.
pub(crate) fn make_files(script: &Script) -> (Vec<File>, Vec<Option<OwnedFd>>) {
    let first = script.actors.iter().enumerate().flat_map(|(number, actor)| {
        actor.files.iter().map(move |(_, kind, name)| ((number, 0), *kind, name.clone()))
    });
    let later = script.steps.iter().enumerate().filter_map(|(n, step)| match &step.action {
        Action::Open(kind, name) => Some(((step.actor, n + 1), *kind, name.clone())),
        _ => None,
    });
    let made = first.chain(later).enumerate().map(|(place, (opener, kind, name))| {
        let (end, other) = match kind {
            Kind::Pipe => {
                let (other, end) = pipe().expect("a pipe");
                (end, Some(other))
            }
            Kind::Memfd => (memfd_create(name.as_str(), MFdFlags::empty()).expect("a memory file"), None),
            Kind::Path => {
                let flags = OFlag::O_PATH;
                let end = open("/", flags, Mode::empty()).expect("the root");
                (end, None)
            }
        };
        let mark = 1000 + off_t::try_from(place).expect("few files");
        let offset =
            (kind == Kind::Memfd).then(|| lseek(&end, mark, Whence::SeekSet).expect("a memory file"));
        let stat = fstat(&end).expect("an open file");
        (File { name, opener, inode: (stat.st_dev, stat.st_ino), offset, other }, Some(end))
    });
    made.unzip()
}

/// The name of a device file.
fn device_file(inode: Inode) -> Option<String> {
    let paths = ["/dev/null", "/dev/binder", "/dev/hwbinder", "/dev/vndbinder"];
    let is_it = |path: &&&str| stat(**path).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == inode);
    let path = paths.iter().find(is_it)?;
    Some(if *path == "/dev/null" { "null".into() } else { (*path).into() })
}

/// Whether anybody has a pipe of this name, after so long at the most.
pub(crate) fn is_held(files: &[File], name: &str, patience: Duration) -> bool {
    let others = files.iter().filter(|file| file.name == name).filter_map(|file| file.other.as_ref());
    let begin = Instant::now();
    for other in others {
        loop {
            let left = patience.saturating_sub(begin.elapsed());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            let mut fds = [PollFd::new(other.as_fd(), PollFlags::empty())];
            match poll(&mut fds, timeout) {
                Err(Errno::EINTR) => {}
                Ok(1) => break,
                _ => return true,
            }
        }
    }
    false
}

/// Descriptors, with the names of their files.
pub(crate) fn named(files: &[File], descriptors: &[Descriptor]) -> Vec<FileSeen> {
    let name = |d: &Descriptor| {
        let known = files.iter().find(|file| file.inode == d.inode);
        match known {
            Some(file) if file.offset.is_some() && file.offset != d.offset => {
                format!("{} opened anew", file.name)
            }
            Some(file) => file.name.clone(),
            None => device_file(d.inode).unwrap_or_else(|| "a stranger".into()),
        }
    };
    let named = |d: &Descriptor| FileSeen { fd: d.fd, name: name(d), cloexec: d.cloexec };
    descriptors.iter().map(named).collect()
}
