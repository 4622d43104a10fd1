//! The world's invariants: the driver's, and that every reference to every file is accounted for.

use super::{File, World};
use crate::driver::Broken;
use alloc::collections::BTreeMap;
use alloc::format;

impl<T> World<T> {
    /// Asserts every invariant of the driver, and counts files: each reference is a number in some table, a
    /// mapping or a file in flight, so nothing leaks and nothing is counted twice.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&self) -> Result<(), Broken> {
        self.driver.check()?;
        let tables = self.processes.iter().filter_map(|process| process.table.as_ref());
        if tables.clone().any(|table| table.reserved() > 0) {
            return Err(Broken("a number was reserved, and neither installed nor put back".into()));
        }
        let in_tables = tables.flat_map(|table| table.iter().map(|(_, file)| file));
        let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
        let closing = self.closing.iter().map(|(_, file)| file);
        let mapped = self.processes.iter().flat_map(|process| &process.mappings);
        for file in in_tables.chain(mapped).chain(closing).chain(self.driver.files()) {
            *seen.entry(file.identity()).or_default() += 1;
        }
        for watch in &self.ledger {
            let seen = seen.remove(&watch.identity()).unwrap_or(0);
            if seen != watch.references() {
                let text = format!("{} references to a file, {seen} accounted for", watch.references());
                return Err(Broken(text));
            }
        }
        Ok(())
    }

    /// How many files are in flight: with the driver, in nobody's table.
    pub fn in_flight(&self) -> usize {
        self.driver.files().count()
    }

    /// Whether anybody has a file with this label: a process under a number, or the driver on its way.
    pub fn holds(&self, label: &str) -> bool {
        self.ledger.iter().any(|watch| watch.is(label))
    }

    /// The file behind a number of a process.
    pub fn file(&self, pid: super::Pid, fd: u32) -> Option<&File<T>> {
        self.table(pid)?.get(fd)
    }
}
