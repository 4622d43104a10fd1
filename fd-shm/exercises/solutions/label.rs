//! Solution: what is it called?

/// The name that a memory file was given, from its line in `/proc/<pid>/maps`; `None` for any other
/// file.
pub(crate) fn label(line: &[u8]) -> Option<Vec<u8>> {
    let mut rest = line;
    for _ in 0..5 {
        let space = rest.iter().position(|byte| *byte == b' ')?;
        rest = &rest[space + 1..];
    }
    // Spaces stand before the path, and belong to it behind.
    let path = rest.trim_ascii_start();
    // The kernel adds this once, whatever the name ends with.
    Some(path.strip_prefix(b"/memfd:")?.strip_suffix(b" (deleted)")?.to_vec())
}
