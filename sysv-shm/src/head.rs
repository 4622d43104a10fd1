//! What an attachment begins with: one shareable value, or as many words as there is room for.

#![allow(unsafe_code)]

use std::ptr;

use crate::shareable::Shareable;
use placed::Placed;

/// What an attachment may begin with: the type that is chosen when it is made, and by which its head is
/// reached.
///
/// * A [`Shareable`] `T`: one value of a size that the compiler knows. What lies behind it is copied in and
///   out.
/// * A slice `[W]` of shareable words: as many as the segment has room for. Nothing is copied; the words are
///   read and written where they lie. The attachment's own `len` still counts bytes; `iter().len()`
///   counts words.
/// * [`HeadAndWords<H, W>`](HeadAndWords): both, one behind the other.
///
/// Words in place save the copy, and cost care: a peer can write between two loads of one word. Load it once,
/// and check and use what was loaded.
///
/// Each byte belongs to the head, and is then reached at the one atomic size that its type gives it, or to
/// the tail, and is then copied: no attachment offers both. So the trait is sealed, and there is no way from
/// an attachment of one type to one of another.
///
/// # Examples
///
/// A sum in place, over as many words as came:
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use sysv_shm::{Key, Segment};
///
/// let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
/// let numbers = segment.attach::<[AtomicU64]>()?;
/// numbers[511].store(7, Ordering::Release);
///
/// let seen = segment.attach_read_only::<[AtomicU64]>()?;
/// assert_eq!(seen.iter().map(|word| word.load(Ordering::Acquire)).sum::<u64>(), 7);
/// # Ok::<(), sysv_shm::Error>(())
/// ```
///
/// What is reached in place cannot be copied as well:
///
/// ```
/// use std::sync::atomic::AtomicU64;
/// use sysv_shm::{Key, Segment};
///
/// let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
/// let numbers = segment.attach::<[AtomicU64]>()?;
/// assert!(numbers.copy_in(0, &[1]).is_err_and(|refused| refused.is_out_of_bounds()));
/// # Ok::<(), sysv_shm::Error>(())
/// ```
///
/// Plain words are not to be had, in place or otherwise:
///
/// ```compile_fail,E0277
/// # use sysv_shm::{Key, Segment};
/// let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
/// let numbers = segment.attach::<[u64]>()?;
/// # Ok::<(), sysv_shm::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` must not lie in memory that other processes write",
    label = "not made of shareable atomics",
    note = "atomic integers of a fixed size may, arrays and slices of them, and structures declared with `shareable!`"
)]
pub trait Head: Placed {}

impl<T: Shareable> Head for T {}

impl<W: Shareable> Head for [W] {}

impl<H: Shareable, W: Shareable> Head for HeadAndWords<H, W> {}

/// A value at the beginning, and behind it words to the end of the segment.
///
/// For the words that say *when* beside the data in place: a ring with its counts, a frame with its number.
///
/// Between the two there is no gap, so `size_of::<H>()` has to be a multiple of the words' size, and `H` must
/// not be aligned higher than they are; both are checked when the program is compiled.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use sysv_shm::{HeadAndWords, Key, Segment};
///
/// let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
/// let frame = segment.attach::<HeadAndWords<AtomicU64, AtomicU64>>()?;
/// frame.words.iter().for_each(|word| word.store(3, Ordering::Relaxed));
/// frame.head.store(1, Ordering::Release); // the words are there: whoever sees the 1 sees them
/// assert_eq!(frame.words.len(), 511);
/// # Ok::<(), sysv_shm::Error>(())
/// ```
///
/// Words that would begin behind a gap do not compile:
///
/// ```compile_fail,E0080
/// use std::sync::atomic::{AtomicU32, AtomicU64};
/// use sysv_shm::{HeadAndWords, Key, Segment};
///
/// let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
/// let frame = segment.attach::<HeadAndWords<AtomicU32, AtomicU64>>()?;
/// # Ok::<(), sysv_shm::Error>(())
/// ```
#[derive(Debug)]
#[repr(C)]
pub struct HeadAndWords<H, W> {
    /// The value.
    pub head: H,
    /// As many words as there is room for.
    pub words: [W],
}

/// Private, so that nobody else decides how an attachment is reached.
mod placed {
    /// How a head lies in an attachment.
    ///
    /// # Safety
    ///
    /// For an implementation, and every `len` from `LEAST` on:
    /// * `size_in(len)` is at most `len`;
    /// * `at(base, len)` and `view_at(base, len)` point to `base`, and what they point to, padding at its end
    ///   included, has `size_in(len)` bytes;
    /// * every one of these bytes belongs to a [`Shareable`](crate::Shareable) value, or to its view;
    /// * neither needs an alignment above `ALIGN`.
    pub unsafe trait Placed: Sync + 'static {
        /// The same layout with loads only: what a read-only attachment shows.
        type View: ?Sized + Sync;
        /// The alignment of the beginning.
        const ALIGN: usize;
        /// The fewest bytes into which it fits.
        const LEAST: usize;
        /// The bytes that belong to it in an attachment of `len` bytes.
        fn size_in(len: usize) -> usize;
        /// Where it is in the `len` bytes from `base` on.
        fn at(base: *const u8, len: usize) -> *const Self;
        /// Where its view is in them.
        fn view_at(base: *const u8, len: usize) -> *const Self::View;
    }
}

// SAFETY: one `T`, whatever `len` is; a view has its size, and an alignment that is no higher, by
// `Shareable`.
unsafe impl<T: Shareable> Placed for T {
    type View = T::View;
    const ALIGN: usize = align_of::<T>();
    const LEAST: usize = size_of::<T>();

    #[inline]
    fn size_in(_: usize) -> usize {
        size_of::<T>()
    }

    #[inline]
    fn at(base: *const u8, _: usize) -> *const T {
        base.cast()
    }

    #[inline]
    fn view_at(base: *const u8, _: usize) -> *const T::View {
        base.cast()
    }
}

/// How many `W` lie in so many bytes.
const fn count<W>(bytes: usize) -> usize {
    const { assert!(size_of::<W>() > 0, "words without a size: any number of them would fit") };
    bytes / size_of::<W>()
}

// SAFETY: as many whole `W` as `len` bytes hold, without gaps between them; a view has the size of its word,
// and an alignment that is no higher, by `Shareable`.
unsafe impl<W: Shareable> Placed for [W] {
    type View = [W::View];
    const ALIGN: usize = align_of::<W>();
    const LEAST: usize = 0;

    #[inline]
    fn size_in(len: usize) -> usize {
        count::<W>(len) * size_of::<W>()
    }

    #[inline]
    fn at(base: *const u8, len: usize) -> *const [W] {
        ptr::slice_from_raw_parts(base.cast(), count::<W>(len))
    }

    #[inline]
    fn view_at(base: *const u8, len: usize) -> *const [W::View] {
        ptr::slice_from_raw_parts(base.cast(), count::<W>(len))
    }
}

impl<H: Shareable, W: Shareable> HeadAndWords<H, W> {
    /// The size of the head, behind which the words begin.
    const HEAD: usize = {
        assert!(size_of::<H>().is_multiple_of(align_of::<W>()), "the words would begin behind a gap");
        // Else there could be padding at the end, outside of the attachment.
        assert!(align_of::<H>() <= align_of::<W>(), "the head is aligned higher than the words");
        size_of::<H>()
    };

    /// How many words lie behind the head in `len` bytes.
    const fn words_in(len: usize) -> usize {
        count::<W>(len - Self::HEAD)
    }
}

// SAFETY: `repr(C)` puts the words behind the head, with no gap and no padding at the end by the assertions
// in `HEAD`; as many whole ones as `len` bytes hold, of which the head has `LEAST`. The views have the
// same sizes, and alignments that are no higher, by `Shareable`. A pointer to a slice keeps its number of
// elements when it becomes one to a structure that ends with the slice.
unsafe impl<H: Shareable, W: Shareable> Placed for HeadAndWords<H, W> {
    type View = HeadAndWords<H::View, W::View>;
    const ALIGN: usize = align_of::<W>();
    const LEAST: usize = Self::HEAD;

    #[inline]
    fn size_in(len: usize) -> usize {
        Self::HEAD + Self::words_in(len) * size_of::<W>()
    }

    #[inline]
    fn at(base: *const u8, len: usize) -> *const Self {
        ptr::slice_from_raw_parts(base.cast::<W>(), Self::words_in(len)) as *const Self
    }

    #[inline]
    fn view_at(base: *const u8, len: usize) -> *const HeadAndWords<H::View, W::View> {
        ptr::slice_from_raw_parts(base.cast::<W::View>(), Self::words_in(len)) as *const _
    }
}
