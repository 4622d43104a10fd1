//! Solution: is it one segment?

/// What `/proc/<pid>` shows of an attachment: its line in `maps`, and where `ns/ipc` leads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub(crate) line: &'a str,
    pub(crate) namespace: &'a str,
}

/// Whether two lines, of one process or of two, show one memory.
pub(crate) fn is_one_segment(one: Shown<'_>, other: Shown<'_>) -> bool {
    /// Device and inode of a segment's file. A memory file has the same device, and may have the same
    /// inode.
    fn segment(line: &str) -> Option<(&str, &str)> {
        let mut fields = line.split_whitespace().skip(3);
        let (device, inode, name) = (fields.next()?, fields.next()?, fields.next()?);
        name.starts_with("/SYSV").then_some((device, inode))
    }
    let (first, second) = (segment(one.line), segment(other.line));
    first.is_some() && first == second && one.namespace == other.namespace
}
