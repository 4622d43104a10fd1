//! What each actor has open of the device, as a script speaks of it.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// One open of the device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// Its numbers.
    pub fds: BTreeSet<u32>,
    /// Whether it is mapped: a mapping keeps it open, also without a number.
    pub mapped: bool,
}

impl Opened {
    /// Whether anything keeps it open.
    pub fn is_kept(&self) -> bool {
        self.mapped || !self.fds.is_empty()
    }
}

/// The opens of one actor, in the order in which they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opens(Vec<Opened>);

impl Opens {
    /// A new open, under this number.
    pub fn opened(&mut self, fd: u32) {
        self.0.push(Opened { fds: BTreeSet::from([fd]), mapped: false });
    }

    /// Another number for what is open under `from`.
    pub fn duplicated(&mut self, from: u32, to: u32) {
        if let Some(place) = self.place(Some(from)) {
            self.0[place].fds.insert(to);
        }
    }

    /// A number is closed; gives the place of the open that had it.
    pub fn closed(&mut self, fd: u32) -> Option<usize> {
        let place = self.place(Some(fd))?;
        self.0[place].fds.remove(&fd);
        Some(place)
    }

    /// The open at this place is mapped now, or no longer.
    pub fn set_mapped(&mut self, place: usize, mapped: bool) {
        if let Some(open) = self.0.get_mut(place) {
            open.mapped = mapped;
        }
    }

    /// The open that has this number; without a number, the first that anything keeps open.
    pub fn place(&self, fd: Option<u32>) -> Option<usize> {
        self.0.iter().position(|open| match fd {
            Some(fd) => open.fds.contains(&fd),
            None => open.is_kept(),
        })
    }

    /// The open at this place.
    pub fn get(&self, place: usize) -> Option<&Opened> {
        self.0.get(place)
    }

    /// A number of the open that a step uses; `fd` as the step says it.
    pub fn number(&self, fd: Option<u32>) -> Option<u32> {
        self.0[self.place(fd)?].fds.first().copied()
    }

    /// All are gone.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
