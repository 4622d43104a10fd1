//! A process that serves: it reads, does something, writes, and reads again.

use super::{Pid, World};
use crate::driver::{Read, ThreadId};
use crate::error::Error;
use crate::protocol::{Command, Return};
use alloc::vec::Vec;

impl<T> World<T> {
    /// The loop of a process's main thread, for as long as there is something to read: `answer` says what to write
    /// after each return. Afterwards the thread waits in a read, where the next call finds it.
    ///
    /// # Errors
    /// `EBADF`: the device is not open.
    pub fn serve(&mut self, pid: Pid, mut answer: impl FnMut(&Return) -> Vec<Command>) -> Result<(), Error> {
        self.run();
        let main = self.open_of(pid).map(|process| ThreadId { process, tid: pid.raw() });
        let mut read = match self.take_returned(pid) {
            None if main.is_some_and(|main| self.driver.is_in_call(main)) => return Ok(()),
            None => self.write_read(pid, Vec::from([Command::EnterLooper]), Read::WAIT)?,
            read => read,
        };
        while let Some(came) = read {
            let write: Vec<Command> = came.returns.iter().flat_map(&mut answer).collect();
            read = self.write_read(pid, write, Read::WAIT)?;
        }
        Ok(())
    }
}
