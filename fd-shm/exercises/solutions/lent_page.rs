//! Solution: a page that is lent between two uses.

use fd_shm::{Mapping, Region, Result};

/// Lets `work` use the page, which the region was unpinned for until now, and lends it again afterwards. If
/// its memory was taken meanwhile, `make` makes its content again; if not, there is nothing to make.
pub(crate) fn with_page(
    region: &Region,
    page: &Mapping,
    make: impl FnOnce() -> Vec<u8>,
    work: impl FnOnce(&Mapping),
) -> Result<()> {
    // Pinned first: what is read afterwards is there to stay. The answer is the only word about a loss.
    if region.pin(0, 0)?.was_purged() {
        page.copy_in(0, &make())?;
    }
    work(page);
    region.unpin(0, 0)
}
