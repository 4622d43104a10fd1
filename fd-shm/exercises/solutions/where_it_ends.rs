//! Solution: where does it end?

/// What a load from a mapping of a memory file comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// A byte, be it the file's or one behind its end.
    Byte,
    /// The signal of a mapping behind which the file has no page.
    Sigbus,
    /// The signal of an address at which nothing is mapped.
    Sigsegv,
}

/// What a load at `offset` comes to, in a mapping that was asked for with `mapped` bytes, of a file that has
/// `len` bytes.
pub(crate) fn load(offset: usize, mapped: usize, len: usize, page: usize) -> Load {
    let (file, mapping) = (len.next_multiple_of(page), mapped.next_multiple_of(page));
    match offset {
        offset if offset >= mapping => Load::Sigsegv,
        offset if offset >= file => Load::Sigbus,
        _ => Load::Byte,
    }
}
