//! `/proc/PID/maps` and `smaps`: a line for each mapping, and in `smaps` what is counted for it.
//!
//! They are read as bytes, and by their first five columns. What comes behind is a name that some process
//! chose: it may have spaces in it, or ` (deleted)`, or be no UTF-8. Only a line's end is not to be found in
//! it, for the kernel writes `\012` instead. A line that means nothing here is passed over. (`sysv-shm` has a
//! reader of its own, for text and without devices: what a segment is called, the kernel decides.)

use std::fmt;

/// A device by its two numbers, as maps has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Device(pub(crate) u32, pub(crate) u32);

impl Device {
    /// The same of what `stat` gives.
    pub(crate) fn of(number: u64) -> Self {
        Self(rustix::fs::major(number), rustix::fs::minor(number))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}", self.0, self.1)
    }
}

/// One mapping of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// Where it begins.
    pub(crate) start: u64,
    /// Where it ends.
    pub(crate) end: u64,
    /// `rw-s` and the like.
    pub(crate) permissions: String,
    /// Where in the file it begins.
    pub(crate) offset: u64,
    /// The file system that the file is in.
    pub(crate) device: Device,
    /// The file's number there.
    pub(crate) inode: u64,
    /// The file's name, as far as it has one.
    pub(crate) name: Vec<u8>,
    /// Bytes in memory that this mapping has touched.
    pub(crate) rss: u64,
    /// The same, each page divided by the mappings that have touched it.
    pub(crate) pss: u64,
}

// ANCHOR: parse
impl Mapping {
    /// `START-END PERMISSIONS OFFSET DEVICE INODE NAME`; `None` for any other line.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let mut rest = line;
        let mut field = || {
            let length = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
            let (field, behind) = rest.split_at(length);
            rest = behind.strip_prefix(b" ").unwrap_or(behind);
            str::from_utf8(field).ok()
        };
        let hex = |digits: &str| u64::from_str_radix(digits, 16).ok();
        let small = |digits: &str| u32::from_str_radix(digits, 16).ok();
        let (start, end) = field()?.split_once('-')?;
        let permissions = field()?.to_owned();
        let offset = hex(field()?)?;
        let (major, minor) = field()?.split_once(':')?;
        let inode = field()?.parse().ok()?;
        let (start, end, device) = (hex(start)?, hex(end)?, Device(small(major)?, small(minor)?));
        let name = rest.trim_ascii_start().to_vec(); // names begin with / or [, and may end with spaces
        (start <= end).then_some(Self {
            start,
            end,
            permissions,
            offset,
            device,
            inode,
            name,
            rss: 0,
            pss: 0,
        })
    }

    /// Takes in `Rss:     4 kB` or `Pss:     2 kB`; any other line is of no interest.
    fn count(&mut self, line: &[u8]) {
        let Some((name, value)) = str::from_utf8(line).ok().and_then(|line| line.split_once(':')) else {
            return;
        };
        let kb = value.trim().strip_suffix(" kB").and_then(|value| value.parse::<u64>().ok());
        match (name, kb.and_then(|kb| kb.checked_mul(1024))) {
            ("Rss", Some(bytes)) => self.rss = bytes,
            ("Pss", Some(bytes)) => self.pss = bytes,
            _ => {}
        }
    }

    /// The fourth letter: whether what is stored is stored for all who map the file.
    pub(crate) fn is_shared(&self) -> bool {
        self.permissions.ends_with('s')
    }

    /// How many bytes of address space it has.
    pub(crate) fn len(&self) -> u64 {
        self.end - self.start
    }
}
// ANCHOR_END: parse

/// The mappings in the bytes of a maps or smaps file.
pub(crate) fn mappings(bytes: &[u8]) -> Vec<Mapping> {
    let mut found: Vec<Mapping> = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        match (Mapping::parse(line), found.last_mut()) {
            (Some(mapping), _) => found.push(mapping),
            (None, Some(last)) => last.count(line),
            (None, None) => {}
        }
    }
    found
}

/// A name that somebody chose, in quotation marks.
pub(crate) fn quoted(name: &[u8]) -> String {
    format!("\"{}\"", escaped(name))
}

/// A name that somebody chose, on one line and without effect on a terminal, whatever is in it.
pub(crate) fn escaped(name: &[u8]) -> String {
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        text.extend(chunk.valid().chars().flat_map(char::escape_debug));
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}
