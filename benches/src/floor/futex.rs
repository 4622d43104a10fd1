//! The futex call in libc's form.

#![allow(unsafe_code)]

use std::ptr;
use std::sync::atomic::AtomicU32;

/// `futex(word, FUTEX_WAIT, seen)` - sleeps unless the word has changed; may return for no reason.
#[inline]
pub(crate) fn wait(word: &AtomicU32, seen: u32) {
    // SAFETY: the word outlives the call, and the kernel reads it as an atomic. Without a timeout there is
    // no other pointer. EAGAIN and EINTR both mean "look again", which every caller does.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, seen, ptr::null::<u8>()) };
}

/// `futex(word, FUTEX_WAKE, 1)`.
#[inline]
pub(crate) fn wake(word: &AtomicU32) {
    // SAFETY: FUTEX_WAKE uses the address as a name, and cannot fail for one that is mapped.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}
