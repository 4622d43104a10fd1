//! Exercise: what is it called?

/// The name that a memory file was given, from its line in `/proc/<pid>/maps`; `None` for any other
/// file. (The kernel writes a line end as `\012` there, and so can this.)
pub(crate) fn label(line: &[u8]) -> Option<Vec<u8>> {
    // HOLE: this reads a word, and a name need not be one. Read all of it, and take this line out.
    let line = String::from_utf8_lossy(line);
    let path = line.split_whitespace().nth(5)?;
    Some(path.strip_prefix("/memfd:")?.as_bytes().to_vec())
}
