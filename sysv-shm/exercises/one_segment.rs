//! Exercise: is it one segment?

/// What `/proc/<pid>` shows of an attachment: its line in `maps`, and where `ns/ipc` leads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub(crate) line: &'a str,
    pub(crate) namespace: &'a str,
}

/// Whether two lines, of one process or of two, show one memory. No process has moved to another IPC
/// namespace since it attached.
pub(crate) fn is_one_segment(one: Shown<'_>, other: Shown<'_>) -> bool {
    // HOLE: device and inode do for a memory file. Say what does for a segment, and take this line out.
    let _ = (one.namespace, other.namespace);
    let file = |shown: Shown<'_>| shown.line.split_whitespace().skip(3).take(2).collect::<String>();
    file(one) == file(other)
}
