//! A process's table of descriptors, as a value: numbers, and the open files behind them.
//!
//! The lowest free number is found as the kernel finds it (`fs/file.c`): a bit for each number, a bit for each
//! full word of those, and a hint below which nothing is free.

use crate::errno::Errno;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// What a process may have open at most, unless its limit is changed (`RLIMIT_NOFILE`).
pub const DEFAULT_LIMIT: u32 = 1024;

/// The most that a limit can allow (`fs.nr_open`).
const LIMIT_MAX: u32 = 1 << 20;

/// A number that is taken and not yet in use: nobody can see it until it is installed.
///
/// # Invariants
/// Made by [`FdTable::get_unused_fd_flags`]; each ends in [`FdTable::fd_install`] or [`FdTable::put_unused_fd`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a reserved number is lost to its process until it is installed or put back"]
pub struct Reserved(u32);

impl Reserved {
    /// The number.
    pub fn number(&self) -> u32 {
        self.0
    }
}

/// What stands behind a number.
#[derive(Debug, Clone)]
struct Open<F> {
    /// The open file.
    file: F,
    /// `FD_CLOEXEC`: the number does not survive exec. A flag of the number, not of the file.
    close_on_exec: bool,
}

/// A line of a printed table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct FdRow {
    /// The number.
    pub fd: u32,
    /// The open file, by its label.
    pub file: String,
    /// `FD_CLOEXEC`.
    pub close_on_exec: bool,
}

/// `struct files_struct`: the numbers of one process.
///
/// # Invariants
/// Bit `n` of `taken` is set for exactly the numbers that are open or reserved; bit `w` of `full` for exactly
/// the words of `taken` without a free bit; no number below `next` is free. Every taken number is below
/// 2^20, the most that a limit can allow.
#[derive(Debug, Clone)]
pub struct FdTable<F> {
    /// The open files, by number.
    files: Vec<Option<Open<F>>>,
    /// A bit for each number (`open_fds`).
    taken: Vec<u64>,
    /// A bit for each word of `taken` (`full_fds_bits`).
    full: Vec<u64>,
    /// Where the search begins (`next_fd`).
    next: u32,
    /// The number that cannot be reached (`RLIMIT_NOFILE`).
    limit: u32,
    /// How many numbers are open.
    open: usize,
}

impl<F> Default for FdTable<F> {
    fn default() -> Self {
        FdTable::new()
    }
}

impl<F> FdTable<F> {
    /// An empty table.
    pub fn new() -> FdTable<F> {
        let (files, taken, full) = (Vec::new(), Vec::new(), Vec::new());
        FdTable { files, taken, full, next: 0, limit: DEFAULT_LIMIT, open: 0 }
    }

    /// `setrlimit(RLIMIT_NOFILE, limit)`: numbers from `limit` on are not given out; those in use stay.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit.min(LIMIT_MAX);
    }

    /// `RLIMIT_NOFILE`.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// How many numbers are open.
    pub fn len(&self) -> usize {
        self.open
    }

    /// Whether no number is open.
    pub fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// `get_unused_fd_flags()`: takes the lowest free number, and tells nobody.
    ///
    /// # Errors
    /// `EMFILE`: every number below the limit is taken.
    pub fn get_unused_fd_flags(&mut self) -> Result<Reserved, Errno> {
        let number = self.lowest_free();
        if number >= self.limit {
            return Err(Errno::EMFILE);
        }
        self.take(number);
        // INVARIANT: it was the lowest free number, so nothing up to it is free now.
        self.next = number + 1;
        Ok(Reserved(number))
    }

    /// `put_unused_fd()`: a reserved number that is not needed after all.
    pub fn put_unused_fd(&mut self, reserved: Reserved) {
        self.give_back(reserved.0);
    }

    /// `fd_install()`: the number is in use from here on.
    pub fn fd_install(&mut self, reserved: Reserved, file: F, close_on_exec: bool) -> u32 {
        self.put(reserved.0, file, close_on_exec);
        reserved.0
    }

    /// The file behind `fd`.
    pub fn get(&self, fd: u32) -> Option<&F> {
        Some(&self.files.get(fd as usize)?.as_ref()?.file)
    }

    /// Whether `fd` is open and closed by exec.
    pub fn is_close_on_exec(&self, fd: u32) -> bool {
        self.files.get(fd as usize).is_some_and(|open| open.as_ref().is_some_and(|o| o.close_on_exec))
    }

    /// Opens `file` under exactly the number `fd` (as `dup2` does).
    ///
    /// # Errors
    /// `EBADF`: the number is at or above the limit. `EBUSY`: it is in use.
    pub fn open_at(&mut self, fd: u32, file: F) -> Result<(), Errno> {
        if fd >= self.limit {
            return Err(Errno::EBADF);
        }
        if self.is_taken(fd) {
            return Err(Errno::EBUSY);
        }
        self.take(fd);
        self.put(fd, file, false);
        Ok(())
    }

    /// `close(fd)`: gives the number back, and the file to the caller.
    ///
    /// # Errors
    /// `EBADF`: nothing is open there.
    pub fn close(&mut self, fd: u32) -> Result<F, Errno> {
        let open = self.files.get_mut(fd as usize).and_then(Option::take).ok_or(Errno::EBADF)?;
        self.open -= 1;
        self.give_back(fd);
        Ok(open.file)
    }

    /// The open files with their numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &F)> {
        (0..).zip(&self.files).filter_map(|(fd, open)| open.as_ref().map(|open| (fd, &open.file)))
    }

    /// The table as lines; `label` names a file.
    pub fn rows(&self, label: impl Fn(&F) -> String) -> Vec<FdRow> {
        let row =
            |(fd, file): (u32, &F)| FdRow { fd, file: label(file), close_on_exec: self.is_close_on_exec(fd) };
        self.iter().map(row).collect()
    }

    /// How many numbers are reserved and neither installed nor put back: none, between any two calls.
    pub(crate) fn reserved(&self) -> usize {
        let taken: u32 = self.taken.iter().map(|bits| bits.count_ones()).sum();
        (taken as usize).saturating_sub(self.open)
    }

    /// The lowest number that is neither open nor reserved, limit or not.
    fn lowest_free(&self) -> u32 {
        let mut word = self.next as usize / 64;
        if self.taken.get(word).is_some_and(|&bits| bits == u64::MAX) {
            let from = word / 64;
            let full = (from..self.full.len()).find(|&at| self.full[at] != u64::MAX);
            word = full.map_or(self.taken.len(), |at| at * 64 + self.full[at].trailing_ones() as usize);
        }
        let bits = self.taken.get(word).copied().unwrap_or(0);
        // INVARIANT: numbers stay below LIMIT_MAX, so this never runs out of 32 bits.
        u32::try_from(word * 64).unwrap_or(u32::MAX).saturating_add(bits.trailing_ones())
    }

    /// Whether the number is open or reserved.
    fn is_taken(&self, fd: u32) -> bool {
        self.taken.get(fd as usize / 64).is_some_and(|bits| bits >> (fd % 64) & 1 == 1)
    }

    /// Sets the number's bit.
    fn take(&mut self, fd: u32) {
        let word = fd as usize / 64;
        if self.taken.len() <= word {
            self.taken.resize(word + 1, 0);
            self.full.resize(word / 64 + 1, 0);
        }
        self.taken[word] |= 1 << (fd % 64);
        if self.taken[word] == u64::MAX {
            self.full[word / 64] |= 1 << (word % 64);
        }
    }

    /// Clears the number's bit.
    fn give_back(&mut self, fd: u32) {
        let word = fd as usize / 64;
        if let Some(bits) = self.taken.get_mut(word) {
            *bits &= !(1 << (fd % 64));
            self.full[word / 64] &= !(1 << (word % 64));
            self.next = self.next.min(fd);
        }
    }

    /// Puts a file behind a number whose bit is set.
    fn put(&mut self, fd: u32, file: F, close_on_exec: bool) {
        let at = fd as usize;
        if self.files.len() <= at {
            self.files.resize_with(at + 1, || None);
        }
        self.files[at] = Some(Open { file, close_on_exec });
        self.open += 1;
    }
}

impl<F: fmt::Display> fmt::Display for FdTable<F> {
    /// A line for each number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (fd, file) in self.iter() {
            let flag = if self.is_close_on_exec(fd) { "  close-on-exec" } else { "" };
            writeln!(f, "{fd:>5}  {file}{flag}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::FdTable;
    use crate::errno::Errno;
    use alloc::collections::BTreeSet;

    fn open(table: &mut FdTable<&'static str>) -> Result<u32, Errno> {
        table.get_unused_fd_flags().map(|reserved| table.fd_install(reserved, "file", true))
    }

    #[test]
    fn the_lowest_free_number_is_taken_and_a_reserved_one_cannot_be_seen() {
        let mut table = FdTable::new();
        for expected in 0..200 {
            assert_eq!(open(&mut table), Ok(expected));
        }
        for hole in [150, 3, 64] {
            table.close(hole).expect("open");
        }
        let first = table.get_unused_fd_flags().expect("room");
        assert_eq!((first.number(), table.get(3), table.len()), (3, None, 197));
        assert_eq!(open(&mut table), Ok(64), "3 is reserved");
        table.put_unused_fd(first);
        assert_eq!([open(&mut table), open(&mut table), open(&mut table)], [Ok(3), Ok(150), Ok(200)]);
    }

    #[test]
    fn the_limit_stops_new_numbers_only() {
        let mut table = FdTable::new();
        table.set_limit(2);
        assert_eq!(
            [open(&mut table), open(&mut table), open(&mut table)],
            [Ok(0), Ok(1), Err(Errno::EMFILE)]
        );
        table.set_limit(1);
        assert!(table.get(1).is_some(), "a number in use stays");
        assert_eq!(table.open_at(1, "x"), Err(Errno::EBADF));
        assert_eq!(table.close(7), Err(Errno::EBADF));
        assert_eq!(table.open_at(0, "x"), Err(Errno::EBUSY));
    }

    #[test]
    fn random_opens_and_closes_agree_with_a_set_of_free_numbers() {
        let mut table = FdTable::new();
        table.set_limit(9_000);
        let mut free: BTreeSet<u32> = (0..9_000).collect();
        let mut state = 1_u32;
        for round in 0..40_000_u32 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // More opens than closes at first, so that words and words of words fill up; then the reverse.
            if (state >> 16) % 4 < if round < 25_000 { 3 } else { 1 } {
                assert_eq!(open(&mut table).ok(), free.pop_first(), "round {round}");
            } else if let Some(fd) = ((state >> 8) % 9_000..9_000).find(|fd| !free.contains(fd)) {
                assert!(free.insert(fd));
                table.close(fd).expect("open");
            }
        }
        assert_eq!((table.len(), table.reserved()), (9_000 - free.len(), 0));
    }
}
