//! How fast do bytes get into shared memory, and out of it?
//!
//! Rule: memory that a peer writes is never a slice, so all that is no atomic word is copied. The copy has to
//! be as fast as libc's, or nobody would keep the rule. Both copy between the same private buffer, on a
//! boundary of 64 bytes, and the same pages; misaligned, the two ends are 1 and 3 bytes behind such a
//! boundary.

use std::cell::RefCell;
use std::hint::black_box;
use std::os::fd::AsFd;
use std::rc::Rc;

use fd_shm::Region;

use crate::Failure;
use crate::clock::Alone;
use crate::floor::memfd;
use crate::measure::Entry;
use crate::payload::pattern;

/// A cache line, and the boundary of aligned copies.
const LINE: usize = 64;

/// The sizes; the largest is larger than any cache.
const SIZES: [usize; 4] = [4 << 10, 64 << 10, 1 << 20, 64 << 20];

/// The sizes that a run looks at.
pub(super) fn sizes(largest: u64) -> impl Iterator<Item = usize> {
    // The full run goes up to where no cache helps; a quick one keeps to its own limit.
    let quick = largest < 16 << 20;
    SIZES.into_iter().filter(move |size| !quick || *size as u64 <= largest)
}

/// The ways of one size.
pub(super) fn entries(size: usize) -> Result<Vec<Entry>, Failure> {
    let aligned = pairs(size, ["copy in", "copy out"], 0, 0)?;
    let misaligned = pairs(size, ["copy in, misaligned", "copy out, misaligned"], 1, 3)?;
    Ok(aligned.into_iter().chain(misaligned).collect())
}

/// Both directions, by memcpy and by the library, with the two ends so many bytes behind a boundary.
fn pairs(
    size: usize,
    names: [&'static str; 2],
    shared: usize,
    private: usize,
) -> Result<[Entry; 4], Failure> {
    let region = Region::create("bulk", size + LINE)?;
    let raw = Rc::new(memfd::map(region.as_fd())?);
    let ours = Rc::new(region.map::<()>()?);
    let buffer = Rc::new(RefCell::new(Buffer::new(size, private)));
    let in_bytes = size as u64;
    let [name_in, name_out] = names;
    let (to_raw, from_raw, to_ours, from_ours) = (Rc::clone(&raw), raw, Rc::clone(&ours), ours);
    let take = || Rc::clone(&buffer);
    let (one, two, three, four) = (take(), take(), take(), take());
    Ok([
        Entry::floor(
            name_in,
            in_bytes,
            Alone(move || {
                to_raw.write(shared, one.borrow().bytes());
                Ok(())
            }),
        ),
        Entry::ours(name_in, in_bytes, Alone(move || Ok(to_ours.copy_in(shared, two.borrow().bytes())?))),
        Entry::floor(
            name_out,
            in_bytes,
            Alone(move || {
                from_raw.read(shared, three.borrow_mut().bytes_mut());
                black_box(&three);
                Ok(())
            }),
        ),
        Entry::ours(
            name_out,
            in_bytes,
            Alone(move || {
                from_ours.copy_out(shared, four.borrow_mut().bytes_mut())?;
                black_box(&four);
                Ok(())
            }),
        ),
    ])
}

/// Private bytes that begin where they are wanted.
struct Buffer {
    /// More than are needed.
    bytes: Vec<u8>,
    /// Where they begin.
    from: usize,
    /// How many they are.
    len: usize,
}

impl Buffer {
    /// `len` bytes that begin `behind` bytes behind a boundary.
    fn new(len: usize, behind: usize) -> Self {
        let bytes = pattern(len + 2 * LINE);
        let from = bytes.as_ptr().align_offset(LINE) + behind;
        Self { bytes, from, len }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[self.from..][..self.len]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.from..][..self.len]
    }
}
