//! The one error type of this crate.

use std::fmt;

use nix::errno::Errno;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What failed, on what, and what that means here: `call(operands): ERRNO, meaning`.
///
/// # Design
///
/// One type for the whole crate, and opaque: the kernel's errnos do not say enough (`EINVAL` alone has five
/// meanings in `shmget` and `shmat`), so where one is ambiguous the crate looks, and keeps the cause. The
/// predicates answer what a caller would branch on; everything else is for people, and is in the text.
///
/// # Examples
///
/// ```
/// use sysv_shm::{Key, Segment};
///
/// let error = Segment::create(Key::PRIVATE, 0).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "shmget(IPC_PRIVATE, 0, IPC_CREAT | 0600): EINVAL, size 0: a new segment has at least one byte"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The call with its operands, as it would be written in C.
    call: String,
    /// What the kernel said; `None` when this crate refused by itself.
    errno: Option<Errno>,
    /// What the failure is, for the predicates.
    cause: Cause,
    /// What it means here: the end of the sentence that `call` and `errno` begin.
    meaning: String,
}

/// What went wrong, as far as a caller would branch on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// No segment has the key.
    NotFound,
    /// The key is taken.
    Exists,
    /// The segment has fewer bytes than were asked for.
    TooSmall,
    /// Mode bits, ownership or a capability are missing.
    Denied,
    /// The id names nothing, or something else by now.
    Removed,
    /// A limit of the namespace or of the machine was reached.
    Limit,
    /// It cannot be done without waiting, or not within the time given.
    WouldBlock,
    /// A signal ended the waiting.
    Interrupted,
    /// A semaphore set was made, and never said to be ready.
    Uninitialised,
    /// An operand can never be right.
    Invalid,
    /// None of these.
    Other,
}

impl Error {
    /// The kernel refused `call` with `errno`, which means `meaning` here.
    pub(crate) fn kernel(call: String, errno: Errno, cause: Cause, meaning: impl Into<String>) -> Self {
        Self { call, errno: Some(errno), cause, meaning: meaning.into() }
    }

    /// This crate did not make `call`, or did not keep what it gave, because of `meaning`.
    pub(crate) fn refused(call: String, cause: Cause, meaning: impl Into<String>) -> Self {
        Self { call, errno: None, cause, meaning: meaning.into() }
    }

    /// No segment has the key in this IPC namespace: nobody made it yet, or it was removed.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.cause == Cause::NotFound
    }

    /// The key is taken, and a new segment was asked for.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.cause == Cause::Exists
    }

    /// The segment is there, but has fewer bytes than were asked for, or than the attached type needs.
    #[must_use]
    pub fn is_too_small(&self) -> bool {
        self.cause == Cause::TooSmall
    }

    /// The mode bits, or the rule that only owner and creator may do this, refuse.
    #[must_use]
    pub fn is_permission_denied(&self) -> bool {
        self.cause == Cause::Denied
    }

    /// The id names no segment any more (or never did), or a different one by now.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.cause == Cause::Removed
    }

    /// A limit was reached: of the namespace (`shmmax`, `shmmni`, `shmall`), of the machine, or of this
    /// process (its address space, the memory that it may lock).
    #[must_use]
    pub fn is_limit(&self) -> bool {
        self.cause == Cause::Limit
    }

    /// It could not be done without waiting, or not within the time given; nothing was done.
    #[must_use]
    pub fn is_would_block(&self) -> bool {
        self.cause == Cause::WouldBlock
    }

    /// A signal came while the call waited; nothing was done, and it may be tried again.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.cause == Cause::Interrupted
    }

    /// A semaphore set is there, and nobody said within the time given that its values are meant.
    #[must_use]
    pub fn is_uninitialised(&self) -> bool {
        self.cause == Cause::Uninitialised
    }

    /// The operands can never be right, whatever the state of the machine: size 0, mode bits beyond 0777, a
    /// range outside the tail.
    #[must_use]
    pub fn is_invalid_input(&self) -> bool {
        self.cause == Cause::Invalid
    }

    /// The kernel's errno; `None` when this crate refused by itself.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.errno.map(|errno| errno as i32)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errno {
            Some(errno) => write!(f, "{}: {errno:?}, {}", self.call, self.meaning),
            None => write!(f, "{}: refused, {}", self.call, self.meaning),
        }
    }
}

impl std::error::Error for Error {}
