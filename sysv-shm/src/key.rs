//! Keys: the numbers under which processes find one segment.

use std::fmt;

/// A `key_t`: the number by which processes that know nothing else of each other find one segment.
///
/// A key is not a path and not a handle. It is looked up once, by `shmget`, in the IPC namespace of the
/// caller; what is found is a [`SegmentId`](crate::SegmentId), and everything after that goes by the id. A
/// segment need not have a key ([`Key::PRIVATE`]), and it loses its key when it is removed.
///
/// Nothing protects a key: whoever can say the number is let in as far as the mode bits go, and two programs
/// that chose the same number meet in one segment.
///
/// # Examples
///
/// ```
/// use sysv_shm::Key;
///
/// assert_eq!(Key::new(0x5348_4d31).to_string(), "0x53484d31");
/// assert_eq!(Key::new(-1).to_string(), "0xffffffff"); // as ipcs shows it; /proc has it signed
/// assert_eq!(Key::PRIVATE.to_string(), "IPC_PRIVATE");
/// ```
///
/// # References
///
/// shmget(2), sysvipc(7)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(i32);

impl Key {
    /// `IPC_PRIVATE`, which is the number 0: creating under it always makes a segment without a key.
    ///
    /// Such a segment is shared by inheriting an attachment over `fork`, or by telling somebody its id.
    pub const PRIVATE: Self = Self(libc::IPC_PRIVATE);

    /// The key with this number; 0 is [`Key::PRIVATE`].
    #[must_use]
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// The number, as `shmget` takes it.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Whether this is `IPC_PRIVATE`, under which nothing can be found.
    #[must_use]
    pub const fn is_private(self) -> bool {
        self.0 == libc::IPC_PRIVATE
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_private() { f.write_str("IPC_PRIVATE") } else { write!(f, "{:#010x}", self.0) }
    }
}
