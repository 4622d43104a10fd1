//! The one error type of this crate.

use std::{fmt, io};

use nix::errno::Errno;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What failed, on what, and what that means here: `call(operands): ERRNO, meaning`.
///
/// # Design
///
/// One type for the whole crate, and opaque: the kernel's errnos do not say enough (`EINVAL` alone has five
/// meanings in `shmget` and `shmat`), so where one is ambiguous the crate looks, and keeps the cause. The
/// predicates answer what a caller would branch on; everything else is for people, and is in the text. Where
/// `std::io::ErrorKind` has a word for the question, the predicate is called so.
///
/// It becomes an `std::io::Error` by `?`, and is still inside then: `get_ref`.
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
#[derive(Clone, PartialEq, Eq)]
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
    /// It cannot be done without waiting.
    WouldBlock,
    /// It could not be done within the time given.
    TimedOut,
    /// A signal ended the waiting.
    Interrupted,
    /// A semaphore set was made, and never said to be ready.
    Uninitialised,
    /// A range does not lie in the tail.
    OutOfBounds,
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

    /// It could not be done without waiting, and waiting was not asked for; nothing was done.
    #[must_use]
    pub fn is_would_block(&self) -> bool {
        self.cause == Cause::WouldBlock
    }

    /// It could not be done within the time that the caller gave; nothing was done.
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        self.cause == Cause::TimedOut
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

    /// The range to be copied does not lie in the tail; nothing was copied.
    #[must_use]
    pub fn is_out_of_bounds(&self) -> bool {
        self.cause == Cause::OutOfBounds
    }

    /// The operands can never be right, whatever the state of the machine: size 0, mode bits beyond 0777.
    #[must_use]
    pub fn is_invalid_input(&self) -> bool {
        self.cause == Cause::Invalid
    }

    /// The kernel's errno; `None` when this crate refused by itself.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.errno.map(|errno| errno as i32)
    }

    /// The nearest that std has a word for; what std makes of the errno, where we have none.
    fn io_kind(&self) -> io::ErrorKind {
        use io::ErrorKind as Io;
        match self.cause {
            Cause::TooSmall | Cause::OutOfBounds | Cause::Invalid => Io::InvalidInput,
            Cause::Removed => Io::NotFound,
            Cause::TimedOut | Cause::Uninitialised => Io::TimedOut,
            Cause::Limit if self.errno == Some(Errno::ENOMEM) => Io::OutOfMemory,
            // Not what std makes of an EAGAIN that means a limit: nobody should try that again and again.
            Cause::Limit => Io::QuotaExceeded,
            _ => self.errno.map_or(Io::Other, |errno| io::Error::from(errno).kind()),
        }
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

/// The same text as `Display`: it is what `unwrap` shows, and a `main` that returns the error.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    /// The same text, with the kind that is nearest; the error itself is inside.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    /// use sysv_shm::{Key, Segment};
    ///
    /// fn size_of(key: Key) -> io::Result<usize> {
    ///     Ok(Segment::open(key, 0)?.size()?)
    /// }
    ///
    /// let refused = size_of(Key::PRIVATE).expect_err("nobody is found under it");
    /// assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    /// let inside = refused.get_ref().and_then(|error| error.downcast_ref::<sysv_shm::Error>());
    /// assert!(inside.is_some_and(|error| error.is_invalid_input()));
    /// ```
    fn from(error: Error) -> Self {
        Self::new(error.io_kind(), error)
    }
}
