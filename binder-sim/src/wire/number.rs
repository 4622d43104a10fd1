//! The numbers of `linux/android/binder.h`: ioctls, `BC_` and `BR_` words, object types.
//!
//! An ioctl number says its direction, the size of its argument, a letter and a place in the letter's list;
//! the words that processes and driver write to each other are made in the same way. So a word carries the
//! size of what follows it, and two words may differ in that size alone (`BR_TRANSACTION` and
//! `BR_TRANSACTION_SEC_CTX`).
//!
//! ```text
//!  31 30 29            16 15      8 7       0
//! +-----+----------------+---------+---------+
//! | dir |  size of what  | letter  | place   |      dir: 1 the caller writes it, 2 it reads it, 3 both
//! |     |  follows       | b, c, r | in list |      b: ioctls, c: BC_, r: BR_
//! +-----+----------------+---------+---------+
//! ```

/// `_IO(letter, place)`: nothing follows.
const fn io(letter: u8, place: u8) -> u32 {
    (letter as u32) << 8 | place as u32
}

/// `_IOW(letter, place, size)`: the caller hands `size` bytes in.
const fn iow(letter: u8, place: u8, size: u32) -> u32 {
    1 << 30 | size << 16 | io(letter, place)
}

/// `_IOR(letter, place, size)`: the caller gets `size` bytes.
const fn ior(letter: u8, place: u8, size: u32) -> u32 {
    2 << 30 | size << 16 | io(letter, place)
}

/// `_IOWR(letter, place, size)`: `size` bytes in and out.
const fn iowr(letter: u8, place: u8, size: u32) -> u32 {
    3 << 30 | size << 16 | io(letter, place)
}

/// The bytes that follow a word, as the word itself says.
pub const fn size_of_payload(word: u32) -> usize {
    (word >> 16 & 0x3fff) as usize
}

macro_rules! numbers {
    ($(#[$doc:meta])* $module:ident: $($name:ident = $value:expr,)*) => {
        $(#[$doc])*
        #[allow(missing_docs, reason = "the names are the header's, and it explains them")]
        pub mod $module {
            #[allow(unused_imports, reason = "object types are made without")]
            use super::{io, ior, iow, iowr};
            $(pub const $name: u32 = $value;)*
            /// Every name with its number, for a check against the header.
            pub const ALL: &[(&str, u32)] = &[$((stringify!($name), $name),)*];
        }
    };
}

numbers! {
    /// The ioctls of `/dev/binder`.
    ioctl:
    BINDER_WRITE_READ = iowr(b'b', 1, 48),
    BINDER_SET_IDLE_TIMEOUT = iow(b'b', 3, 8),
    BINDER_SET_MAX_THREADS = iow(b'b', 5, 4),
    BINDER_SET_IDLE_PRIORITY = iow(b'b', 6, 4),
    BINDER_SET_CONTEXT_MGR = iow(b'b', 7, 4),
    BINDER_THREAD_EXIT = iow(b'b', 8, 4),
    BINDER_VERSION = iowr(b'b', 9, 4),
    BINDER_GET_NODE_DEBUG_INFO = iowr(b'b', 11, 24),
    BINDER_GET_NODE_INFO_FOR_REF = iowr(b'b', 12, 24),
    BINDER_SET_CONTEXT_MGR_EXT = iow(b'b', 13, 24),
    BINDER_FREEZE = iow(b'b', 14, 12),
    BINDER_GET_FROZEN_INFO = iowr(b'b', 15, 12),
    BINDER_ENABLE_ONEWAY_SPAM_DETECTION = iow(b'b', 16, 4),
    BINDER_GET_EXTENDED_ERROR = iowr(b'b', 17, 12),
}

numbers! {
    /// What a process writes.
    bc:
    BC_TRANSACTION = iow(b'c', 0, 64),
    BC_REPLY = iow(b'c', 1, 64),
    BC_ACQUIRE_RESULT = iow(b'c', 2, 4),
    BC_FREE_BUFFER = iow(b'c', 3, 8),
    BC_INCREFS = iow(b'c', 4, 4),
    BC_ACQUIRE = iow(b'c', 5, 4),
    BC_RELEASE = iow(b'c', 6, 4),
    BC_DECREFS = iow(b'c', 7, 4),
    BC_INCREFS_DONE = iow(b'c', 8, 16),
    BC_ACQUIRE_DONE = iow(b'c', 9, 16),
    BC_ATTEMPT_ACQUIRE = iow(b'c', 10, 8),
    BC_REGISTER_LOOPER = io(b'c', 11),
    BC_ENTER_LOOPER = io(b'c', 12),
    BC_EXIT_LOOPER = io(b'c', 13),
    BC_REQUEST_DEATH_NOTIFICATION = iow(b'c', 14, 12),
    BC_CLEAR_DEATH_NOTIFICATION = iow(b'c', 15, 12),
    BC_DEAD_BINDER_DONE = iow(b'c', 16, 8),
    BC_TRANSACTION_SG = iow(b'c', 17, 72),
    BC_REPLY_SG = iow(b'c', 18, 72),
    BC_REQUEST_FREEZE_NOTIFICATION = iow(b'c', 19, 12),
    BC_CLEAR_FREEZE_NOTIFICATION = iow(b'c', 20, 12),
    BC_FREEZE_NOTIFICATION_DONE = iow(b'c', 21, 8),
}

numbers! {
    /// What a process reads.
    br:
    BR_ERROR = ior(b'r', 0, 4),
    BR_OK = io(b'r', 1),
    BR_TRANSACTION_SEC_CTX = ior(b'r', 2, 72),
    BR_TRANSACTION = ior(b'r', 2, 64),
    BR_REPLY = ior(b'r', 3, 64),
    BR_ACQUIRE_RESULT = ior(b'r', 4, 4),
    BR_DEAD_REPLY = io(b'r', 5),
    BR_TRANSACTION_COMPLETE = io(b'r', 6),
    BR_INCREFS = ior(b'r', 7, 16),
    BR_ACQUIRE = ior(b'r', 8, 16),
    BR_RELEASE = ior(b'r', 9, 16),
    BR_DECREFS = ior(b'r', 10, 16),
    BR_ATTEMPT_ACQUIRE = ior(b'r', 11, 24),
    BR_NOOP = io(b'r', 12),
    BR_SPAWN_LOOPER = io(b'r', 13),
    BR_FINISHED = io(b'r', 14),
    BR_DEAD_BINDER = ior(b'r', 15, 8),
    BR_CLEAR_DEATH_NOTIFICATION_DONE = ior(b'r', 16, 8),
    BR_FAILED_REPLY = io(b'r', 17),
    BR_FROZEN_REPLY = io(b'r', 18),
    BR_ONEWAY_SPAM_SUSPECT = io(b'r', 19),
    BR_TRANSACTION_PENDING_FROZEN = io(b'r', 20),
    BR_FROZEN_BINDER = ior(b'r', 21, 16),
    BR_CLEAR_FREEZE_NOTIFICATION_DONE = ior(b'r', 22, 8),
}

numbers! {
    /// The first word of an object in a payload.
    object:
    BINDER_TYPE_BINDER = u32::from_be_bytes(*b"sb*\x85"),
    BINDER_TYPE_WEAK_BINDER = u32::from_be_bytes(*b"wb*\x85"),
    BINDER_TYPE_HANDLE = u32::from_be_bytes(*b"sh*\x85"),
    BINDER_TYPE_WEAK_HANDLE = u32::from_be_bytes(*b"wh*\x85"),
    BINDER_TYPE_FD = u32::from_be_bytes(*b"fd*\x85"),
    BINDER_TYPE_FDA = u32::from_be_bytes(*b"fda\x85"),
    BINDER_TYPE_PTR = u32::from_be_bytes(*b"pt*\x85"),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_what_follows_it() {
        assert_eq!(bc::BC_TRANSACTION, 0x4040_6300);
        assert_eq!(size_of_payload(bc::BC_TRANSACTION), 64);
        assert_eq!(size_of_payload(br::BR_TRANSACTION_SEC_CTX), 72);
        assert_eq!(size_of_payload(br::BR_NOOP), 0);
    }
}
