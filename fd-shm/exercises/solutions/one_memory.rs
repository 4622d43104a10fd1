//! Solution: is it one memory?

/// Whether two lines of `/proc/<pid>/maps`, of one process or of two, show one memory.
pub(crate) fn is_one_memory(one: &str, other: &str) -> bool {
    /// Device and inode of the file that the mapping shares, if it shares any.
    fn shared_file(line: &str) -> Option<(&str, &str)> {
        let mut fields = line.split_whitespace().skip(1);
        let (access, _offset, device, inode) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        (access.ends_with('s') && inode != "0").then_some((device, inode))
    }
    let one = shared_file(one);
    one.is_some() && one == shared_file(other)
}
