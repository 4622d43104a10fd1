//! Processes around one driver, each of whose calls is printed as it is made: who, and what went to the driver or
//! came from it. `BR_NOOP`, which opens every read, is left out.

use binder_sim::driver::{Read, Translation, WriteRead};
use binder_sim::error::Error;
use binder_sim::protocol::{Command, Return};
use binder_sim::world::{Pid, World};

/// A world that says what its processes do.
#[derive(Debug)]
pub struct Stage<T = ()> {
    /// The world.
    pub world: World<T>,
}

impl<T> Stage<T> {
    /// A world without processes.
    pub fn new(translation: Translation) -> Stage<T> {
        Stage { world: World::new(translation) }
    }

    /// A process with three files as every process has them, and the device, mapped, under 3.
    pub fn process(&mut self, name: &str, terminal: impl Fn() -> T) -> Result<Pid, Error> {
        let pid = self.world.spawn(name);
        for fd in 0..3 {
            self.world.open_at(pid, fd, "terminal", terminal())?;
        }
        self.world.open_device(pid)?;
        self.world.mmap(pid, 128 << 10)?;
        // A thread's first call comes back at once, with nothing: not a part of any story.
        self.world.write_read(pid, vec![], Read::NONE)?;
        Ok(pid)
    }

    /// Says what a process does by itself.
    pub fn tell(&self, who: Pid, text: &str) {
        println!("  {:<8}  {text}", self.world.name(who));
    }

    /// Writes commands, and reads nothing.
    pub fn write(&mut self, who: Pid, commands: Vec<Command>) -> Result<(), Error> {
        self.wrote(who, &commands);
        self.world.write_read(who, commands, Read::NONE).map(drop)
    }

    /// Writes commands and waits; says what came, if something is there at once.
    pub fn call(&mut self, who: Pid, commands: Vec<Command>) -> Result<(), Error> {
        self.wrote(who, &commands);
        match self.world.write_read(who, commands, Read::WAIT)? {
            Some(came) => self.came(who, &came),
            None => self.tell(who, "waits"),
        }
        Ok(())
    }

    /// Reads what there is, without waiting.
    pub fn read(&mut self, who: Pid) -> Result<Vec<Return>, Error> {
        let came = self.world.write_read(who, vec![], Read::NOW)?;
        Ok(came.map(|came| self.report(who, came)).unwrap_or_default())
    }

    /// Lets everybody go on who has been woken, and says what came of the call in which `who` waited.
    pub fn resume(&mut self, who: Pid) -> Vec<Return> {
        self.world.run();
        let came = self.world.take_returned(who);
        came.map(|came| self.report(who, came)).unwrap_or_default()
    }

    /// The loop of a process that serves, until there is nothing to read: see [`World::serve`].
    pub fn serve(&mut self, who: Pid, mut answer: impl FnMut(&Return) -> Vec<Command>) -> Result<(), Error> {
        let name = self.world.name(who).to_owned();
        self.world.serve(who, |read| {
            let commands = answer(read);
            say(&name, "reads", [read].into_iter().filter(|read| **read != Return::Noop));
            say(&name, "writes", &commands);
            commands
        })
    }

    /// The numbers of a process, and what stands behind each.
    pub fn table(&self, who: Pid) -> String {
        let Some(table) = self.world.table(who) else { return "(none: it has exited)".into() };
        let rows = table.rows(|file| file.label().into()).into_iter().skip(4);
        let rows: Vec<String> = rows.map(|row| format!("{} {}", row.fd, row.file)).collect();
        if rows.is_empty() { "0 to 3 only".into() } else { format!("0 to 3; {}", rows.join("; ")) }
    }

    fn wrote(&self, who: Pid, commands: &[Command]) {
        say(self.world.name(who), "writes", commands);
    }

    fn came(&self, who: Pid, came: &WriteRead) {
        if came.error.is_some() {
            self.tell(who, "reads   nothing");
        }
        say(self.world.name(who), "reads", came.returns.iter().filter(|read| **read != Return::Noop));
    }

    fn report(&self, who: Pid, came: WriteRead) -> Vec<Return> {
        self.came(who, &came);
        came.returns
    }
}

/// One line for each.
fn say<'a, W: std::fmt::Display + 'a>(who: &str, verb: &str, words: impl IntoIterator<Item = &'a W>) {
    for word in words {
        println!("  {who:<8}  {verb:<7} {word}");
    }
}
