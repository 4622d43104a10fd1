//! Ways to hand a descriptor to another process. A descriptor is the permission: who holds it is in.
//!
//! They differ in who acts. In a *push* the holder gives, and its giving is the consent: no further privilege
//! is asked for. In a *pull* the receiver takes, the holder sleeps through it, and so the kernel has to
//! decide alone whether this process may reach into that one; it asks what it would ask of a debugger. One
//! trait could not say both: a push has no number to name, and a pull has nobody to give.
//!
//! | way | the holder | the receiver | who must agree | open file |
//! | --- | --- | --- | --- | --- |
//! | [`scm_rights`] | [`Push`]es into a socket | receives a message | both, by holding the socket | the same |
//! | [`inherit`] | [`Push`]es into a `Command` | takes it by name | the parent, before the child exists | the same |
//! | [`pidfd`] | is told nothing | [`Pull`]s a number | the kernel: ptrace's rules for attaching | the same |
//! | [`procfs`] | is told nothing | [`Pull`]s a number | the kernel: ptrace's rules for reading | a new one |
//!
//! Whatever the way, one open file can arrive twice, under two numbers: [`OpenFiles`] keeps one of each.

use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use crate::error::Result;

mod socket;

mod recvmsg;

pub mod scm_rights;

pub mod inherit;

mod target;

pub mod pidfd;

pub mod procfs;

mod open_files;

pub use open_files::OpenFiles;

/// Where the holder can put a descriptor, so that another process gets it.
///
/// The descriptor stays the holder's as well, and may be closed as soon as the call returns: what is under
/// way holds the open file by itself.
///
/// # Examples
///
/// ```
/// use std::os::fd::AsFd;
/// use std::os::unix::net::UnixStream;
/// use std::process::Command;
///
/// use fd_shm::handover::{Push, inherit::Heir};
/// use fd_shm::{Region, Result};
///
/// fn share(region: &Region, mut with: impl Push) -> Result<()> {
///     with.push(region.as_fd())
/// }
///
/// let region = Region::create("frames", 4096)?;
/// let (ours, theirs) = UnixStream::pair()?;
/// share(&region, &ours)?;
/// share(&region, Heir::new(&mut Command::new("true"), "FRAMES"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Push {
    /// Gives one descriptor.
    ///
    /// # Errors
    ///
    /// Those of the way; nothing was given then.
    fn push(&mut self, descriptor: BorrowedFd<'_>) -> Result<()>;
}

/// A process out of which a descriptor can be taken, by the number that it has there.
///
/// The number is all that the holder tells, by whatever means, and by the time it is used it may stand for
/// another file. So what was pulled is checked like anything that was received: `Region::from_fd`.
///
/// # Examples
///
/// ```
/// use std::os::fd::{AsFd, AsRawFd};
///
/// use fd_shm::handover::{Pull, pidfd, procfs};
/// use fd_shm::{Region, Result};
///
/// fn join(process: &impl Pull, number: i32) -> Result<Region> {
///     Region::from_fd(process.pull(number)?)
/// }
///
/// let region = Region::create("frames", 4096)?;
/// let (here, number) = (std::process::id(), region.as_fd().as_raw_fd()); // another's, in real life
/// assert_eq!(join(&procfs::Process::open(here)?, number)?.len(), 4096);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Pull {
    /// Takes the descriptor that has this number over there. It is close-on-exec here.
    ///
    /// # Errors
    ///
    /// Those of the way; nothing has changed then, and it can be tried again.
    fn pull(&self, number: RawFd) -> Result<OwnedFd>;
}
