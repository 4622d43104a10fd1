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

#[cfg(test)]
mod tests {
    use super::*;

    const ATTACHMENT: &str = "7f00-7f10 rw-s 00000000 00:01 98305                  /SYSV0000abcd (deleted)";

    #[test]
    fn a_line_and_what_belongs_to_it() {
        let text = format!(
            "55d0-55e0 r--p 00000000 fe:00 77 /usr/bin/some name with  spaces\nRss:  8 kB\nPss_Dirty: 9 kB\n\
             {ATTACHMENT}\nSize:  12 kB\nKernelPageSize:  4 kB\nRss:  8 kB\nPss:  3 kB\nVmFlags: rd wr sh\n\
             7fff-8000 rw-p 00000000 00:00 0 \n"
        );
        let [file, segment, last] = &mappings(&text).collect::<Vec<_>>()[..] else {
            panic!("three mappings")
        };
        assert_eq!((file.path, file.rss, file.pss), ("/usr/bin/some name with  spaces", 8192, 0));
        assert_eq!((segment.start, segment.permissions, segment.inode), (0x7f00, "rw-s", 98305));
        assert_eq!((segment.rss, segment.pss, segment.page_size), (8192, 3072, Some(4096)));
        assert_eq!((last.path, last.inode), ("", 0));
    }

    #[test]
    fn only_what_the_kernel_names_after_a_key_is_an_attachment() {
        let is = |line: &str| mappings(line).any(|mapping| mapping.is_of(98305));
        assert!(is(ATTACHMENT));
        for other in [
            ATTACHMENT.replace("rw-s", "rw-p"),
            ATTACHMENT.replace("98305", "98306"),
            ATTACHMENT.replace(" (deleted)", ""),
            ATTACHMENT.replace("0000abcd", ""), // a file called /SYSV
            ATTACHMENT.replace("0000abcd", "0000abcg"),
            ATTACHMENT.replace("0000abcd", "000\u{e9}abc"),
            ATTACHMENT.replace("/SYSV", "/tmp/SYSV"),
        ] {
            assert!(!is(&other), "{other}");
        }
        assert!(!mappings(ATTACHMENT).any(|mapping| mapping.is_of(-1)));
    }

    #[test]
    fn lines_that_mean_nothing_are_passed_over() {
        for text in [
            "",
            "\n\n",
            "-",
            "x-y rw-s",
            "Rss: 1 kB",
            "12-34",
            "12-34 rw-s 0 00:01 -5 /SYSV0000abcd (deleted)",
        ] {
            assert_eq!(mappings(text).count(), 0, "{text:?}");
        }
        let huge = format!("{ATTACHMENT}\nRss: 18446744073709551615 kB\nPss: many kB\nPss:\n");
        assert_eq!(mappings(&huge).map(|mapping| mapping.rss + mapping.pss).sum::<u64>(), 0);
    }
}
