//! Bulk copies between private memory and memory that other processes write, at the speed of libc's memcpy.
//!
//! `ptr::copy` on shared memory is a data race in the eyes of the compiler, whatever the machine does: it may
//! assume that the bytes stand still, read them twice, or not at all. What happens inside inline assembly is
//! outside its sight; it must allow for anything that the operands can reach. So the copy is a call of libc's
//! memcpy from an assembly block. A racing peer can then tear the copied bytes, which is in the nature of
//! sharing, but nothing else.
//!
//! Under Miri, which cannot run assembly, and on other machines, a loop of relaxed atomic bytes does the
//! same. Bytes, since racing accesses of different sizes to one byte are undefined: words would be faster,
//! and wrong as soon as two copies at different offsets meet.

#![allow(unsafe_code)]

/// Copies `from` into shared memory at `to`.
///
/// # Safety
///
/// `to` is valid for writes of `from.len()` bytes for the length of the call; these bytes are reached through
/// nothing but this module's copies while any thread of any process may be here (no typed head overlaps
/// them).
#[inline]
pub(crate) unsafe fn into_shared(to: *mut u8, from: &[u8]) {
    // SAFETY: the caller vouches for `to`, the slice for its own bytes. They cannot overlap: a slice is
    // private memory.
    unsafe { imp::copy(to, from.as_ptr(), from.len()) }
}

/// Copies shared memory at `from` into `to`; bytes that a peer writes meanwhile may come out torn.
///
/// # Safety
///
/// As [`into_shared`], with `from` valid for reads of `to.len()` bytes.
#[inline]
pub(crate) unsafe fn from_shared(to: &mut [u8], from: *const u8) {
    // SAFETY: the caller vouches for `from`, the slice for its own bytes. They cannot overlap: a slice is
    // private memory.
    unsafe { imp::copy(to.as_mut_ptr(), from, to.len()) }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
use call_x86_64 as imp;

#[cfg(all(target_arch = "aarch64", not(miri)))]
use call_aarch64 as imp;

#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
use atomic_bytes as imp;

/// The call on x86-64, System V calling convention.
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod call_x86_64 {
    use std::arch::asm;

    /// `memcpy(to, from, len)`, unseen by the compiler.
    ///
    /// # Safety
    ///
    /// memcpy's: `from` readable and `to` writable for `len` bytes, no overlap.
    #[inline]
    pub(super) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
        // SAFETY: memcpy's contract is the caller's; the operands are its three arguments in their registers,
        // everything that a C function may change is declared, and without `nostack` the stack is aligned for
        // a call.
        unsafe {
            asm!(
                "call {memcpy}",
                memcpy = sym libc::memcpy,
                inout("rdi") to => _,
                inout("rsi") from => _,
                inout("rdx") len => _,
                clobber_abi("C"),
            );
        }
    }
}

/// The call on aarch64, AAPCS64.
#[cfg(all(target_arch = "aarch64", not(miri)))]
mod call_aarch64 {
    use std::arch::asm;

    /// `memcpy(to, from, len)`, unseen by the compiler.
    ///
    /// # Safety
    ///
    /// memcpy's: `from` readable and `to` writable for `len` bytes, no overlap.
    #[inline]
    pub(super) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
        // SAFETY: memcpy's contract is the caller's; the operands are its three arguments in their registers,
        // everything that a C function may change (the link register among it) is declared, and the stack is
        // always aligned.
        unsafe {
            asm!(
                "bl {memcpy}",
                memcpy = sym libc::memcpy,
                inout("x0") to => _,
                inout("x1") from => _,
                inout("x2") len => _,
                clobber_abi("C"),
            );
        }
    }
}

/// The loop for Miri and for machines without a call above; always compiled for tests, so that it stays
/// right.
#[cfg(any(test, miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod atomic_bytes {
    use std::sync::atomic::{AtomicU8, Ordering};

    /// Copies byte by byte. One side is private, where an atomic access is as good as a plain one.
    ///
    /// # Safety
    ///
    /// `from` readable and `to` writable for `len` bytes, no overlap; racing accesses are byte-sized and
    /// atomic.
    pub(super) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
        for at in 0..len {
            // SAFETY: `at` is below `len`, so this stays inside what the caller vouches for.
            let source = unsafe { from.add(at) };
            // SAFETY: as for `source`.
            let target = unsafe { to.add(at) };
            // SAFETY: readable, and aligned since it is a byte; the cast drops no right, for only a load
            // follows.
            let source = unsafe { AtomicU8::from_ptr(source.cast_mut()) };
            // SAFETY: writable, and aligned since it is a byte.
            let target = unsafe { AtomicU8::from_ptr(target) };
            target.store(source.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every offset in a line and every length round the sizes at which memcpy changes its method, copied
    /// into the middle of a guarded buffer: the bytes arrive, and the guards stay.
    fn check(copy: unsafe fn(*mut u8, *const u8, usize)) {
        let source: Vec<u8> = (0..=255).cycle().take(9000).collect();
        let lengths =
            [0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 256, 4095, 4096, 8193];
        for offset in [0, 1, 7, 8, 63] {
            for len in lengths {
                let mut target = vec![0xee; 64 + len + 64];
                let (from, to) = (&source[offset..offset + len], &mut target[offset..offset + len]);
                // SAFETY: both slices have `len` bytes, and one is a vector of its own.
                unsafe { copy(to.as_mut_ptr(), from.as_ptr(), len) };
                assert_eq!(to, from, "offset {offset}, length {len}");
                let (before, after) = (&target[..offset], &target[offset + len..]);
                assert!(
                    before.iter().chain(after).all(|&b| b == 0xee),
                    "offset {offset}, length {len}: a guard"
                );
            }
        }
    }

    #[test]
    fn the_call_copies_exactly_what_it_is_told() {
        check(imp::copy);
    }

    #[test]
    fn the_loop_copies_exactly_what_it_is_told() {
        check(atomic_bytes::copy);
    }
}
