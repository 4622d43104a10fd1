//! What may live in memory that other processes write, and how it may be seen through a read-only mapping.

#![allow(unsafe_code)]

use std::fmt;
use std::sync::atomic::{AtomicI8, AtomicI16, AtomicI32, AtomicU8, AtomicU16, AtomicU32, Ordering, fence};
#[cfg(target_pointer_width = "64")]
use std::sync::atomic::{AtomicI64, AtomicU64};

use crate::ashmem::{PinTable, RECENT};
use crate::lock::{LockWord, SlotWord};

/// A type that may live in memory which other processes write at any moment.
///
/// A plain `&u32` promises the compiler that the value stands still while the reference lives. No such
/// promise can be kept for memory that somebody else has mapped, so only atomics, and arrays and structures
/// made of nothing but atomics, are shareable. Structures are declared with
/// [`shareable!`](crate::shareable!), which checks them at compile time and needs no `unsafe`.
///
/// Deliberately missing: `AtomicBool` (a peer can store a 2), `AtomicPtr` (an address means nothing over
/// there), `AtomicUsize` and `AtomicIsize` (a 32-bit and a 64-bit process would disagree about their size).
/// The 64-bit atomics are shareable on 64-bit targets only, since elsewhere a load of them may need a store.
///
/// # Safety
///
/// For an implementation, all of this holds:
/// * every bit pattern of `size_of::<Self>()` bytes is a valid value: whatever a peer writes can be looked
///   at;
/// * every byte belongs to an atomic integer: there is no padding and no plain field;
/// * there is no pointer, reference or other value whose meaning is private to one process;
/// * `align_of::<Self>()` is at most 64;
/// * `View` has the same size and the same atomics at the same offsets, needs no higher alignment, and offers
///   nothing but relaxed loads of at most pointer size, which are sound on pages mapped without PROT_WRITE.
///
/// # References
///
/// `std::sync::atomic`, "Atomic accesses to read-only memory" and "Memory model for atomic accesses".
#[diagnostic::on_unimplemented(
    message = "`{Self}` must not lie in memory that other processes write",
    label = "not made of shareable atomics",
    note = "atomic integers of a fixed size may, arrays of them, and structures declared with `shareable!`"
)]
pub unsafe trait Shareable: Sync + Sized + 'static {
    /// The same layout with loads only: what a read-only mapping shows.
    type View: Sync + fmt::Debug;
}

/// An atomic that can only be loaded: the form in which `A` appears in a read-only mapping.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// let region = fd_shm::Region::create("view", 4096)?;
/// let writer = region.map::<AtomicU32>()?;
/// let reader = region.map_read_only::<AtomicU32>()?;
/// writer.store(7, Ordering::Release);
/// assert_eq!(reader.load(Ordering::Acquire), 7);
/// # Ok::<(), fd_shm::Error>(())
/// ```
///
/// A store does not compile:
///
/// ```compile_fail,E0599
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// let reader = fd_shm::Region::create("view", 4096)?.map_read_only::<AtomicU32>()?;
/// reader.store(7, Ordering::Release);
/// # Ok::<(), fd_shm::Error>(())
/// ```
#[repr(transparent)]
pub struct ReadOnly<A>(A);

/// Makes one atomic integer shareable, with a view that can load it.
macro_rules! shareable_atomic {
    ($($atomic:ty => $integer:ty),+ $(,)?) => {$(
        // SAFETY: an atomic integer holds any bit pattern, has no padding, and is aligned to at most 8;
        // `ReadOnly` is transparent, so the view is the same atomic at the same place, and `load` makes
        // relaxed loads only.
        unsafe impl Shareable for $atomic {
            type View = ReadOnly<$atomic>;
        }

        impl ReadOnly<$atomic> {
            /// Loads the value, ordered as asked.
            ///
            /// The load itself is relaxed, since std promises only that one not to write (the page may be
            /// mapped without PROT_WRITE); the order comes from fences round it.
            ///
            /// # Panics
            ///
            /// For `Release` and `AcqRel`, which no load can have, as std's atomics do.
            #[inline]
            pub fn load(&self, order: Ordering) -> $integer {
                match order {
                    Ordering::Relaxed => self.0.load(Ordering::Relaxed),
                    Ordering::Acquire => {
                        let value = self.0.load(Ordering::Relaxed);
                        // Pairs with the peer's release store (or release fence) that wrote `value`.
                        fence(Ordering::Acquire);
                        value
                    }
                    Ordering::SeqCst => {
                        // One fence on each side puts the load into the single order of all SeqCst
                        // operations: the first before every later store that it missed, the second after the
                        // store that it saw.
                        fence(Ordering::SeqCst);
                        let value = self.0.load(Ordering::Relaxed);
                        fence(Ordering::SeqCst);
                        value
                    }
                    other => panic!("a load cannot be {other:?}"),
                }
            }
        }

        impl fmt::Debug for ReadOnly<$atomic> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.load(Ordering::Relaxed).fmt(f)
            }
        }
    )+};
}

shareable_atomic! {
    AtomicU8 => u8, AtomicU16 => u16, AtomicU32 => u32,
    AtomicI8 => i8, AtomicI16 => i16, AtomicI32 => i32,
}

#[cfg(target_pointer_width = "64")]
shareable_atomic! { AtomicU64 => u64, AtomicI64 => i64 }

// SAFETY: nothing has no bit pattern, no padding and no pointer.
unsafe impl Shareable for () {
    type View = ();
}

// SAFETY: an array is its elements one after the other with nothing between them, so each rule holds for it
// because it holds for `T`; the same is true of the array of views.
unsafe impl<T: Shareable, const N: usize> Shareable for [T; N] {
    type View = [T::View; N];
}

/// Declares that a structure of shareable fields may be shared; checked at compile time, no `unsafe` needed.
///
/// Name the structure and repeat its fields, all of them, in order. What is checked: the fields are exactly
/// these, each is [`Shareable`], each begins where the one before it ends (so the order in
/// memory is the order on paper, as `#[repr(C)]` gives), nothing is left over at the end (padding would be
/// plain bytes), and the alignment is at most 64. A visibility before a field is the visibility of that field
/// in the view.
///
/// The declaration adds names to nothing, so one structure can be declared shareable for several crates.
/// It takes no type parameters: sizes and offsets are checked here, once, and theirs would not be known yet.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// #[repr(C)]
/// struct Meeting {
///     server: AtomicU32,
///     client: AtomicU32,
/// }
/// fd_shm::shareable!(Meeting { server: AtomicU32, client: AtomicU32 });
///
/// let region = fd_shm::Region::create("meeting", 4096)?;
/// let (ours, theirs) = (region.map::<Meeting>()?, region.map_read_only::<Meeting>()?);
/// ours.server.store(1, Ordering::Release);
/// assert_eq!(theirs.server.load(Ordering::Acquire), 1);
/// # Ok::<(), fd_shm::Error>(())
/// ```
///
/// A plain field does not compile, since a peer would write it under our eyes:
///
/// ```compile_fail,E0277
/// #[repr(C)]
/// struct Plain { count: u32 }
/// fd_shm::shareable!(Plain { count: u32 });
/// ```
///
/// Nor does a hole, whose bytes would belong to nobody:
///
/// ```compile_fail,E0080
/// # use std::sync::atomic::{AtomicU8, AtomicU32};
/// #[repr(C)]
/// struct Holed { flag: AtomicU8, count: AtomicU32 }
/// fd_shm::shareable!(Holed { flag: AtomicU8, count: AtomicU32 });
/// ```
///
/// Nor a field kept from the list:
///
/// ```compile_fail,E0027
/// # use std::sync::atomic::AtomicU32;
/// #[repr(C)]
/// struct Meeting { server: AtomicU32, client: AtomicU32 }
/// fd_shm::shareable!(Meeting { server: AtomicU32 });
/// ```
///
/// Nor a pointer that calls itself a number of the same size:
///
/// ```compile_fail,E0308
/// # use std::sync::atomic::AtomicU64;
/// #[repr(C)]
/// struct Disguised { count: &'static AtomicU64 }
/// fd_shm::shareable!(Disguised { count: AtomicU64 });
/// ```
///
/// Nor a layout that is left to the compiler, when the compiler uses the freedom:
///
/// ```compile_fail,E0080
/// # use std::sync::atomic::{AtomicU16, AtomicU32};
/// struct Reordered { low: AtomicU16, high: AtomicU16, word: AtomicU32 }
/// fd_shm::shareable!(Reordered { low: AtomicU16, high: AtomicU16, word: AtomicU32 });
/// ```
#[macro_export]
macro_rules! shareable {
    ($name:ident { $($vis:vis $field:ident : $type:ty),+ $(,)? }) => {
        // A constant without a name: the items inside can be seen by nobody else, however often this is used.
        const _: () = {
            /// The same fields, loads only.
            #[repr(C)]
            #[derive(Debug)]
            #[allow(dead_code)] // a field that a program only writes is never read in its view
            #[allow(unreachable_pub)] // as public as the structure may be
            pub struct __View {
                $(
                    /// Loads only.
                    $vis $field: <$type as $crate::Shareable>::View,
                )+
            }

            #[allow(dead_code)] // compiled to be checked, never called
            fn __has_exactly_these_fields(whole: &$name) {
                let $name { $($field: _),+ } = whole;
                // Raw pointers, because references would be dereferenced until the types agree.
                $(let _: *const $type = &raw const whole.$field;)+
            }

            let end = 0;
            $(
                assert!(
                    ::core::mem::offset_of!($name, $field) == end,
                    "a field does not begin where the one before it ends: reorder them, and use #[repr(C)]"
                );
                let end = end + ::core::mem::size_of::<$type>();
            )+
            assert!(::core::mem::size_of::<$name>() == end, "padding at the end: fill it with a field");
            assert!(::core::mem::align_of::<$name>() <= 64, "aligned to more than 64 bytes");
            assert!(::core::mem::size_of::<__View>() == end);
            assert!(::core::mem::align_of::<__View>() <= ::core::mem::align_of::<$name>());

            // SAFETY: each field is `Shareable`; the assertions above leave no byte outside the fields and
            // put the same fields of the view at the same offsets; the function above proves that the list of
            // fields is complete.
            unsafe impl $crate::Shareable for $name {
                type View = __View;
            }
        };
    };
}

// Here, since the macro's `unsafe impl` counts as this crate's own where the crate itself uses it.
crate::shareable!(LockWord { state: AtomicU32 });
crate::shareable!(SlotWord { state: AtomicU32 });
crate::shareable!(PinTable {
    lock: SlotWord,
    generation: AtomicU32,
    used: AtomicU32,
    pending: AtomicU32,
    first: AtomicU32,
    end: AtomicU32,
    slots: [AtomicU32; 2],
    recent: [AtomicU32; RECENT as usize]
});

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest there is.
    #[cfg(target_pointer_width = "64")]
    type Word = AtomicU64;
    #[cfg(target_pointer_width = "32")]
    type Word = AtomicU32;

    /// Every kind of field: a word, an array, a nested structure, nothing.
    #[repr(C)]
    struct Outer {
        word: Word,
        bytes: [AtomicU8; 6],
        half: AtomicI16,
        inner: Inner,
        nothing: (),
    }
    #[repr(C)]
    struct Inner {
        pair: [AtomicI32; 2],
    }
    crate::shareable!(Inner { pair: [AtomicI32; 2] });
    crate::shareable!(Outer { word: Word, bytes: [AtomicU8; 6], half: AtomicI16, inner: Inner, nothing: () });

    #[test]
    fn a_view_sees_the_same_values_at_the_same_places() {
        let outer = Outer {
            word: Word::new(!1),
            bytes: [1, 2, 3, 4, 5, 6].map(AtomicU8::new),
            half: AtomicI16::new(-7),
            inner: Inner { pair: [8, -9].map(AtomicI32::new) },
            nothing: (),
        };
        // SAFETY: this is the promise of `Shareable`: a view has the layout of its type, and only loads.
        let view = unsafe { &*(&raw const outer).cast::<<Outer as Shareable>::View>() };
        for order in [Ordering::Relaxed, Ordering::Acquire, Ordering::SeqCst] {
            assert_eq!(view.word.load(order), !1);
            assert_eq!(view.bytes.each_ref().map(|byte| byte.load(order)), [1, 2, 3, 4, 5, 6]);
            assert_eq!(view.half.load(order), -7);
            assert_eq!(view.inner.pair.each_ref().map(|word| word.load(order)), [8, -9]);
        }
        outer.half.store(10, Ordering::Relaxed);
        assert_eq!((view.half.load(Ordering::Relaxed), view.nothing), (10, ()));
        assert_eq!(format!("{:?}", view.inner), "__View { pair: [8, -9] }");
    }

    #[test]
    #[should_panic(expected = "a load cannot be Release")]
    fn a_load_cannot_release() {
        ReadOnly(AtomicU8::new(0)).load(Ordering::Release);
    }
}
