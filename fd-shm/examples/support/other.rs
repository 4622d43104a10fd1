//! The other process of an example: this program, started again, with a socket to us as its standard input.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};

/// The other process; killed and reaped when dropped before `end`.
#[derive(Debug)]
pub(crate) struct Other {
    /// Our end of the socket.
    pub(crate) socket: UnixStream,
    /// The process.
    child: Reaped,
}

/// A process that does not outlive this value.
#[derive(Debug)]
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // Both fail harmlessly when it has been reaped already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// This program with another role. `/proc/self/exe` can be started by whatever user the role is given.
pub(crate) fn role(name: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(name);
    command
}

/// Starts a role.
pub(crate) fn start(mut role: Command) -> io::Result<Other> {
    let (socket, theirs) = UnixStream::pair()?;
    let child = role.stdin(OwnedFd::from(theirs)).spawn()?;
    Ok(Other { socket, child: Reaped(child) })
}

/// In the other process: its end of the socket.
pub(crate) fn socket() -> io::Result<UnixStream> {
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

/// Tells the other side to go on.
pub(crate) fn go(mut socket: &UnixStream) -> io::Result<()> {
    socket.write_all(&[1])
}

/// Waits for the other side to say that; an error when it has ended instead.
pub(crate) fn wait(mut socket: &UnixStream) -> io::Result<()> {
    socket.read_exact(&mut [0])
}

impl Other {
    /// Its process id, for those who look at it through /proc.
    #[allow(dead_code)] // one file for several examples, and most look at nobody
    pub(crate) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Closes the socket, waits for the end, and says what it was.
    pub(crate) fn end(self) -> io::Result<String> {
        let Self { socket, mut child } = self;
        drop(socket);
        let status = child.0.wait()?;
        Ok(match (status.signal(), status.code()) {
            (Some(libc::SIGBUS), _) => "was killed by SIGBUS".into(),
            (Some(libc::SIGSEGV), _) => "was killed by SIGSEGV".into(),
            (Some(libc::SIGKILL), _) => "was killed by SIGKILL".into(),
            (None, Some(0)) => "ended well".into(),
            _ => return Err(io::Error::other(format!("the other process: {status}"))),
        })
    }
}

/// A line of a role's story, broken before column 100.
pub(crate) fn tell(role: &str, story: impl std::fmt::Display) {
    let (mut line, mut text) = (format!("  {role:10}"), String::new());
    for word in story.to_string().split(' ') {
        if line.len() + word.len() >= 99 {
            text.push_str(line.trim_end());
            text.push('\n');
            line = " ".repeat(14);
        }
        line.push_str(word);
        line.push(' ');
    }
    text.push_str(line.trim_end());
    println!("{text}");
}
