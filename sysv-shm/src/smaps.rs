//! `/proc/<pid>/smaps`, as far as segments are concerned.
//!
//! The `procfs` crate reads this file too, but it cuts a path that begins with `/SYSV` at fixed places, and
//! a shorter one makes it panic: any process can map a file of that name in a mount namespace of its own.
//! Here a line that is not understood is passed over.

/// One mapping of some process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping<'a> {
    /// Where it begins.
    pub(crate) start: u64,
    /// `rw-s` and the like.
    pub(crate) permissions: &'a str,
    /// The number of the mapped file, which is the id of a segment.
    pub(crate) inode: u64,
    /// The name of the mapped file, with ` (deleted)` where that is so.
    pub(crate) path: &'a str,
    /// Bytes of it in memory.
    pub(crate) rss: u64,
    /// The same, each page divided by the number of its mappings.
    pub(crate) pss: u64,
    /// The size of its pages; `None` in a maps file, which does not tell.
    pub(crate) page_size: Option<u64>,
}

impl<'a> Mapping<'a> {
    /// `<start>-<end> <permissions> <offset> <device> <inode> <path>`; `None` for any other line.
    fn parse(line: &'a str) -> Option<Self> {
        let mut rest = line;
        let mut field = || {
            let (field, behind) = rest.split_once(' ').unwrap_or((rest, ""));
            rest = behind;
            field
        };
        let (start, _end) = field().split_once('-')?;
        let start = u64::from_str_radix(start, 16).ok()?;
        let (permissions, _offset, _device) = (field(), field(), field());
        let inode = field().parse().ok()?;
        Some(Self { start, permissions, inode, path: rest.trim_start(), rss: 0, pss: 0, page_size: None })
    }

    /// Takes in a line `Rss:     4 kB`; any other is of no interest.
    fn add(&mut self, line: &str) {
        let Some((name, value)) = line.split_once(':') else { return };
        let in_kb = value.trim_start().strip_suffix(" kB").and_then(|value| value.parse::<u64>().ok());
        let Some(bytes) = in_kb.and_then(|kb| kb.checked_mul(1024)) else { return };
        match name {
            "Rss" => self.rss = bytes,
            "Pss" => self.pss = bytes,
            "KernelPageSize" => self.page_size = Some(bytes),
            _ => {}
        }
    }

    /// Whether this is an attachment of the segment `id`, as its maps line tells it: shared, the id as inode,
    /// and a name that the kernel made of a key.
    #[allow(dead_code)]
    pub(crate) fn is_of(&self, id: i32) -> bool {
        let key = self.path.strip_prefix("/SYSV").and_then(|path| path.strip_suffix(" (deleted)"));
        u64::try_from(id).is_ok_and(|id| id == self.inode)
            && self.permissions.ends_with('s')
            && key.is_some_and(|key| key.len() == 8 && key.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }
}

/// The mappings in the text of a maps or smaps file.
pub(crate) fn mappings(text: &str) -> impl Iterator<Item = Mapping<'_>> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        let mut mapping = lines.by_ref().find_map(Mapping::parse)?;
        while let Some(line) = lines.next_if(|line| Mapping::parse(line).is_none()) {
            mapping.add(line);
        }
        Some(mapping)
    })
}
