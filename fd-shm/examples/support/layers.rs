//! The four layers of shared memory as /proc shows them, of any process that this one may look into.

use std::os::fd::RawFd;
use std::os::unix::fs::FileExt;
use std::{fmt, fs, io};

use rustix::param::page_size;

/// What the kernel keeps of one descriptor and of the open file behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// Of the descriptor: whether exec closes it.
    pub(crate) close_on_exec: bool,
    /// Of the open file: where the next read begins.
    pub(crate) offset: u64,
    /// Of the open file: whether it is open for writing too.
    pub(crate) writable: bool,
    /// Of the open file: O_NONBLOCK, a status flag.
    pub(crate) nonblock: bool,
}

/// `/proc/<task>/fdinfo/<number>`; an error when the task has no such descriptor.
pub(crate) fn descriptor(task: u32, number: RawFd) -> io::Result<Descriptor> {
    let text = fs::read_to_string(format!("/proc/{task}/fdinfo/{number}"))?;
    let field = |name: &str, radix| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = value.and_then(|value| u64::from_str_radix(value.trim(), radix).ok());
        value.ok_or_else(|| io::Error::other(format!("no {name} in fdinfo")))
    };
    let flags = field("flags", 8)?;
    Ok(Descriptor {
        close_on_exec: flags & 0o2_000_000 != 0, // shown among the flags, and not one of them
        offset: field("pos", 10)?,
        writable: flags & 0o3 == 0o2,
        nonblock: flags & 0o4_000 != 0,
    })
}

/// One mapping of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapped {
    /// The first address.
    pub(crate) address: usize,
    /// The number of bytes.
    pub(crate) len: usize,
    /// `rw-s` and the like.
    pub(crate) access: String,
}

/// The mappings that a task has of the file with this inode, in the order of their access.
pub(crate) fn mappings(task: u32, inode: u64) -> io::Result<Vec<Mapped>> {
    let maps = fs::read_to_string(format!("/proc/{task}/maps"))?;
    let mapped = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [range, access, _offset, _device, number, path, ..] = fields[..] else { return None };
        let (first, end) = range.split_once('-')?;
        let address = usize::from_str_radix(first, 16).ok()?;
        let len = usize::from_str_radix(end, 16).ok()?.checked_sub(address)?;
        // A path, and so a file: a segment can have the inode 0, and what is no file has it as well.
        (number.parse() == Ok(inode) && path.starts_with('/')).then(|| Mapped {
            address,
            len,
            access: access.to_owned(),
        })
    };
    let mut found: Vec<_> = maps.lines().filter_map(mapped).collect();
    found.sort_by(|one, other| one.access.cmp(&other.access));
    Ok(found)
}

/// What a page table has behind an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Nothing: it has not been touched here.
    None,
    /// A page of the file.
    File,
    /// A copy of this process's own.
    Own,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Entry::None => "-",
            Entry::File => "file",
            Entry::Own => "own",
        })
    }
}

/// `/proc/<task>/pagemap`: the page table's entries from an address on. It tells everybody whether there is a
/// page and of what kind, and root alone which one.
pub(crate) fn entries(task: u32, address: usize, pages: usize) -> io::Result<Vec<Entry>> {
    const PRESENT: u64 = 1 << 63;
    const SWAPPED: u64 = 1 << 62;
    const OF_A_FILE: u64 = 1 << 61;
    let pagemap = fs::File::open(format!("/proc/{task}/pagemap"))?;
    let mut words = vec![0; pages * 8];
    pagemap.read_exact_at(&mut words, (address / page_size() * 8) as u64)?;
    let words = words.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word));
    Ok(words
        .map(|word| match (word & (PRESENT | SWAPPED) != 0, word & OF_A_FILE != 0) {
            (false, _) => Entry::None,
            (true, true) => Entry::File,
            (true, false) => Entry::Own,
        })
        .collect())
}
