//! Where a region's file has its data, and where what is known of its pins.
//!
//! ```text
//!  0                            rounded to pages                                             the file's length
//!  +----------------------------+------------------------------------------+-----------------+
//!  | data, as long as asked for | 256 bytes, then 16 for each page, and one more, rounded    | length % page |
//!  +----------------------------+------------------------------------------+-----------------+
//! ```
//!
//! So the length of the file says how long the data is, and a file that was just made says all of this
//! without a page of it touched. All of it is a hole until the first pin operation.

use rustix::param::page_size;

/// Up to the records: the head, and room for a change that is under way.
pub(super) const RECORDS: usize = 256;

/// The length of a record.
pub(super) const RECORD: usize = 16;

/// The bytes that pin operations can name: their offsets have 32 bits.
const NAMEABLE: u64 = 1 << 32;

/// How the file of a region that keeps its own pins is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The length of the data.
    len: usize,
    /// The size of a page.
    page: usize,
}

impl Layout {
    /// For `len` bytes of data; none when no file can be so long.
    pub(crate) fn of_data(len: usize) -> Option<Self> {
        let layout = Self { len, page: page_size() };
        let pages = len.checked_next_multiple_of(layout.page)?.checked_add(layout.records_len())?;
        let whole = pages.checked_add(layout.page)?;
        isize::try_from(whole).is_ok().then_some(layout)
    }

    /// For a file of `file_len` bytes; none when no region has such a file.
    pub(crate) fn of_file(file_len: usize) -> Option<Self> {
        isize::try_from(file_len).ok()?; // so that no sum below wraps
        let page = page_size();
        let (pages, rest) = (file_len / page, file_len % page);
        // The more data, the longer the file: the data is found by halving.
        let (mut low, mut high) = (1, pages);
        while low < high {
            let middle = low + (high - low) / 2;
            let layout = Self { len: middle * page, page };
            if layout.file_len() / page < pages { low = middle + 1 } else { high = middle }
        }
        let len = if rest == 0 { low * page } else { low.checked_sub(1)? * page + rest };
        Self::of_data(len).filter(|layout| layout.file_len() == file_len)
    }

    /// The length of the data, as it was asked for.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The size of a page.
    pub(super) const fn page(&self) -> usize {
        self.page
    }

    /// The length of the data in whole pages, which is where the rest begins.
    pub(super) const fn rounded(&self) -> usize {
        self.len.next_multiple_of(self.page)
    }

    /// The page where an empty range can be, which is what "to the end" is there: the end of the region, cut
    /// to 32 bits as the driver cuts it.
    pub(super) fn empty_place(&self) -> u32 {
        let bytes = self.rounded() as u64 % NAMEABLE;
        u32::try_from(bytes / self.page as u64).unwrap_or(u32::MAX)
    }

    /// How many ranges can be written down: one for each page, and an empty one.
    pub(super) fn records(&self) -> u32 {
        let bytes = NAMEABLE.min(self.rounded() as u64);
        u32::try_from(bytes / self.page as u64 + 1).unwrap_or(u32::MAX)
    }

    /// The length of what follows the data, in whole pages.
    pub(super) fn records_len(&self) -> usize {
        (RECORDS + self.records() as usize * RECORD).next_multiple_of(self.page)
    }

    /// The length of the file.
    pub(crate) fn file_len(&self) -> usize {
        self.rounded() + self.records_len() + self.len % self.page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_the_file_says_how_long_the_data_is() {
        let page = page_size();
        let around = |len: usize| (len - 2)..=(len + 2);
        let lengths = (1..3 * page).chain(
            // As many pages as have addresses: with 32 bits, fewer.
            [4, 7, 255, 256, 1 << 18, 1 << 20, 1 << 21]
                .into_iter()
                .filter_map(|n: usize| n.checked_mul(page).filter(|&len| len < usize::MAX / 2))
                .flat_map(around),
        );
        for len in lengths {
            let layout = Layout::of_data(len).expect("a file can be so long");
            assert_eq!(Layout::of_file(layout.file_len()), Some(layout), "{len}");
        }
    }

    #[test]
    fn no_other_length_is_taken_for_one() {
        let page = page_size();
        for file_len in (0..600 * page).step_by(page / 4) {
            if let Some(layout) = Layout::of_file(file_len) {
                assert_eq!(layout.file_len(), file_len);
            }
        }
        for none in [0, 1, page, page + 1, usize::MAX, usize::MAX - page] {
            assert_eq!(Layout::of_file(none), None, "{none}");
        }
        assert_eq!(Layout::of_data(usize::MAX), None);
        assert_eq!(Layout::of_data(usize::MAX / 2 + 1), None);
    }
}
