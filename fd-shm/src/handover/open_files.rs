//! One of each open file, however often it arrives.

use std::cmp::Ordering;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::error::Result;
use crate::sys;

/// What a receiver has made of the descriptors that it was given: one `T` for each open file.
///
/// A sender that hands the same region over a hundred times gives a hundred numbers to the receiver, and no
/// number tells that they are one. The kernel can: kcmp compares open files, and even orders them. So each
/// descriptor that arrives is looked up here first, and closed at once if its open file is known; the table
/// and the address space stay as small as what was really shared.
///
/// Comparing open files is more exact than comparing inodes: one file may be open for writing here and for
/// reading there.
///
/// # Invariants
///
/// The `T` are in kcmp's order, which stands as long as they are open, and no two are one open file.
///
/// # Examples
///
/// ```
/// use std::os::fd::AsFd;
///
/// use fd_shm::{Region, handover::OpenFiles};
///
/// let region = Region::create("frames", 4096)?;
/// let mut known = OpenFiles::new();
/// for _ in 0..100 {
///     let arrived = region.as_fd().try_clone_to_owned()?; // as if received
///     known.keep(arrived, Region::from_fd)?;
/// }
/// assert_eq!(known.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct OpenFiles<T: AsFd = OwnedFd> {
    /// In kcmp's order.
    known: Vec<T>,
}

impl<T: AsFd> OpenFiles<T> {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        // INVARIANT: nothing to order.
        Self { known: Vec::new() }
    }

    /// The `T` of this open file: the one that is known, or else what `make` makes of the descriptor, which
    /// is kept. A descriptor that was known is closed.
    ///
    /// `make` should keep the descriptor that it is given; if it keeps another open file, that one is what
    /// will be known.
    ///
    /// # Errors
    ///
    /// Those of [`same_open_file`](crate::same_open_file), and those of `make`. The descriptor is closed.
    pub fn keep(&mut self, descriptor: OwnedFd, make: impl FnOnce(OwnedFd) -> Result<T>) -> Result<&T> {
        let place = match self.find(descriptor.as_fd())? {
            Ok(place) => place,
            Err(_) => {
                let made = make(descriptor)?;
                match self.find(made.as_fd())? {
                    Ok(place) => place, // `make` has answered with one that is known
                    Err(place) => {
                        // INVARIANT: the place that the search has found for it.
                        self.known.insert(place, made);
                        place
                    }
                }
            }
        };
        Ok(&self.known[place])
    }

    /// How many open files are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// All of them, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.known.iter()
    }

    /// Where this open file is, or where it would belong.
    fn find(&self, descriptor: BorrowedFd<'_>) -> Result<std::result::Result<usize, usize>> {
        let here = std::process::id();
        let mut refused = None;
        let found = self.known.binary_search_by(|known| {
            let order =
                sys::order_of_open_files((here, known.as_fd().as_raw_fd()), (here, descriptor.as_raw_fd()));
            order.unwrap_or_else(|error| {
                refused = Some(error);
                Ordering::Equal // ends the search
            })
        });
        refused.map_or(Ok(found), Err)
    }
}

impl<T: AsFd> Default for OpenFiles<T> {
    fn default() -> Self {
        Self::new()
    }
}
