//! Two real processes in one example: the program starts itself again, once per role, and shows what they
//! print.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, PipeReader, Stdout, Write};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};

/// The pipe into which every role prints.
///
/// One pipe for all keeps their lines in the order in which they were written. This process holds no writing
/// end of it, so reading ends when the last role ends: a role that fails early cannot leave us waiting.
#[derive(Debug)]
pub struct Stage {
    lines: BufReader<PipeReader>,
    first: Option<io::PipeWriter>,
}

/// One role's process; killed and reaped when dropped before `finish`.
#[derive(Debug)]
pub struct Actor {
    role: &'static str,
    child: Child,
}

impl Stage {
    /// An empty stage.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(Self { lines: BufReader::new(reader), first: Some(writer) })
    }

    /// Starts this program again as `role`.
    pub fn enter(&mut self, role: &'static str) -> io::Result<Actor> {
        let output = match self.first.take() {
            Some(writer) => Stdio::from(writer),
            // A pipe can be opened again for writing through /proc, which spares us from holding a writing
            // end.
            None => {
                let path = format!("/proc/self/fd/{}", self.lines.get_ref().as_raw_fd());
                Stdio::from(OpenOptions::new().write(true).open(path)?)
            }
        };
        let child = Command::new(std::env::current_exe()?).arg(role).stdout(output).spawn()?;
        Ok(Actor { role, child })
    }

    /// Shows lines up to the first that contains `words`; an error when every role ends before that.
    pub fn show_until(&mut self, words: &str) -> io::Result<()> {
        while let Some(line) = self.show_line()? {
            if line.contains(words) {
                return Ok(());
            }
        }
        Err(io::Error::other(format!("every role ended before one of them said \"{words}\"")))
    }

    /// Shows everything until the last role ends.
    pub fn show_rest(mut self) -> io::Result<()> {
        while self.show_line()?.is_some() {}
        Ok(())
    }

    fn show_line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut out: Stdout = io::stdout();
        out.write_all(line.as_bytes())?;
        Ok(Some(line))
    }
}

impl Actor {
    /// This role's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the role to end; an error unless it succeeded.
    pub fn finish(mut self) -> io::Result<()> {
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("the {} ended with {status}", self.role)))
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // Both fail harmlessly when the child has been reaped already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
