//! The one error type: which call, with which operands, the errno, and what that errno means here.

use std::borrow::Cow;
use std::{fmt, io};

use nix::errno::Errno;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, as `call(operands): ERRNO, what it means here`.
///
/// One opaque type for the whole crate: a caller that only reports needs no cases, and one that branches asks
/// a predicate. Where `std::io::ErrorKind` has a word for the question, the predicate is called so. Without
/// an errno the refusal is this crate's own, made before or after the kernel's.
///
/// It becomes an `std::io::Error` by `?`, and is still inside then: `get_ref`.
///
/// # Examples
///
/// ```
/// let (reader, _writer) = std::io::pipe()?;
/// let refused = fd_shm::FixedFd::new(reader.into()).expect_err("a pipe is no region");
/// assert!(refused.is_not_a_region());
/// assert_eq!(refused.raw_os_error(), Some(22)); // EINVAL: it cannot be sealed
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    /// The call with its operands, as one would write it.
    call: String,
    /// What the kernel answered; nothing when the refusal is ours.
    errno: Option<i32>,
    /// What it means here.
    meaning: Cow<'static, str>,
    /// What the predicates look at.
    kind: Kind,
}

/// What a caller may want to branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anything that the kernel refused and no other kind describes.
    System,
    /// An operand that could never work, refused before any call.
    InvalidInput,
    /// A descriptor that is no memory region.
    NotARegion,
    /// A region that somebody could still shrink.
    Shrinkable,
    /// A sound region that is not the one agreed on.
    Unexpected,
    /// A seal, or the lack of permission to seal, forbids it.
    Sealed,
    /// A range that reaches past the end.
    OutOfBounds,
    /// A region with fewer bytes than the mapped type needs.
    TooSmall,
    /// A message that did not arrive whole.
    Truncated,
    /// The other side has closed the socket.
    EndOfStream,
    /// A whole message with another number of descriptors than expected.
    DescriptorCount,
    /// The kernel's rules keep this process out of another.
    PermissionDenied,
    /// Nothing has the number or the name.
    NotFound,
    /// The other process has ended.
    Gone,
    /// This process has no descriptor number left.
    TableFull,
    /// Another limit: of this process, of its user, or of the system.
    Limit,
    /// It would have to be waited for.
    WouldBlock,
    /// A lock that somebody else held for all of the time given.
    TimedOut,
    /// A memory file whose content was taken while it was unpinned.
    Purged,
    /// A memory file that is not mapped any more.
    Deactivated,
    /// A write to what is mapped for reading.
    ReadOnly,
    /// What a region says of its pins makes no sense.
    Damaged,
    /// This system has no ashmem driver.
    NoDriver,
    /// A robust mutex that nobody can ever lock again.
    NotRecoverable,
}

/// For one call, what each errno means here.
pub(crate) type Meanings = &'static [(Errno, Kind, &'static str)];

impl Error {
    /// A refusal by the kernel, explained from the call's table, or in the general words for that errno.
    pub(crate) fn system(call: impl Into<String>, errno: i32, meanings: Meanings) -> Self {
        let known = Errno::from_raw(errno);
        let (kind, meaning) = match (meanings.iter().find(|row| row.0 == known), known) {
            (Some(&(_, kind, meaning)), _) => (kind, meaning),
            (None, Errno::EMFILE) => (Kind::TableFull, known.desc()),
            (None, Errno::ENFILE | Errno::ENOMEM) => (Kind::Limit, known.desc()),
            (None, _) => (Kind::System, known.desc()),
        };
        Self { call: call.into(), errno: Some(errno), meaning: meaning.into(), kind }
    }

    /// A refusal by this crate.
    pub(crate) fn refused(
        call: impl Into<String>,
        kind: Kind,
        meaning: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { call: call.into(), errno: None, meaning: meaning.into(), kind }
    }

    /// The same error, explained better: the caller has looked closer.
    pub(crate) fn because(self, kind: Kind, meaning: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, meaning: meaning.into(), ..self }
    }

    /// A refusal by this crate, said of the call that its user made; the kernel's
    /// is of the call that it refused.
    pub(crate) fn of(self, call: impl FnOnce() -> String) -> Self {
        match self.errno {
            None => Self { call: call(), ..self },
            Some(_) => self,
        }
    }

    /// The kernel's error number, if it was the kernel that refused.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.errno
    }

    /// The nearest that std has a word for; what std makes of the errno, where we have none.
    fn io_kind(&self) -> io::ErrorKind {
        use io::ErrorKind as Io;
        match self.kind {
            Kind::InvalidInput | Kind::OutOfBounds | Kind::TooSmall => Io::InvalidInput,
            Kind::NotARegion | Kind::Shrinkable | Kind::Unexpected | Kind::Damaged => Io::InvalidData,
            Kind::Truncated | Kind::DescriptorCount => Io::InvalidData,
            Kind::Sealed | Kind::PermissionDenied | Kind::ReadOnly => Io::PermissionDenied,
            Kind::NotFound | Kind::Gone => Io::NotFound,
            Kind::EndOfStream => Io::UnexpectedEof,
            Kind::WouldBlock => Io::WouldBlock,
            Kind::TimedOut => Io::TimedOut,
            Kind::NoDriver => Io::Unsupported,
            Kind::TableFull | Kind::Limit if self.errno == Some(Errno::ENOMEM as i32) => Io::OutOfMemory,
            // Not what std makes of an EAGAIN that means a limit: nobody should try that again and again.
            Kind::TableFull | Kind::Limit => Io::QuotaExceeded,
            Kind::System | Kind::Purged | Kind::Deactivated | Kind::NotRecoverable => {
                self.errno.map_or(Io::Other, |errno| io::Error::from_raw_os_error(errno).kind())
            }
        }
    }
}

/// The questions that a caller may have.
impl Error {
    /// Whether an operand could never have worked: an empty region, a name too long, too many descriptors for
    /// one message.
    #[must_use]
    pub fn is_invalid_input(&self) -> bool {
        self.kind == Kind::InvalidInput
    }

    /// Whether the descriptor is not a memory region at all, or not one that can be read.
    #[must_use]
    pub fn is_not_a_region(&self) -> bool {
        self.kind == Kind::NotARegion
    }

    /// Whether the descriptor is a memory region, but a holder could still shrink it under a mapping.
    #[must_use]
    pub fn is_shrinkable(&self) -> bool {
        self.kind == Kind::Shrinkable
    }

    /// Whether the descriptor is a sound region, but not of the size, the seals or the access agreed on.
    #[must_use]
    pub fn is_unexpected(&self) -> bool {
        self.kind == Kind::Unexpected
    }

    /// Whether a seal forbids it.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.kind == Kind::Sealed
    }

    /// Whether a range reached past the end of the region.
    #[must_use]
    pub fn is_out_of_bounds(&self) -> bool {
        self.kind == Kind::OutOfBounds
    }

    /// Whether the region has fewer bytes than the mapped type needs.
    #[must_use]
    pub fn is_too_small(&self) -> bool {
        self.kind == Kind::TooSmall
    }

    /// Whether a message did not arrive whole. What did arrive is closed already.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.kind == Kind::Truncated
    }

    /// Whether the other side has closed its end and everything before that was read.
    #[must_use]
    pub fn is_end_of_stream(&self) -> bool {
        self.kind == Kind::EndOfStream
    }

    /// Whether a whole message brought another number of descriptors than expected; they are closed already.
    #[must_use]
    pub fn is_descriptor_count(&self) -> bool {
        self.kind == Kind::DescriptorCount
    }

    /// Whether the kernel's rules keep this process out of another one, or out of its file.
    #[must_use]
    pub fn is_permission_denied(&self) -> bool {
        self.kind == Kind::PermissionDenied
    }

    /// Whether the number, or the name, stands for no descriptor there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind == Kind::NotFound
    }

    /// Whether the other process has ended.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.kind == Kind::Gone
    }

    /// Whether a limit was reached: of this process (its descriptors, which
    /// [`is_table_full`](Self::is_table_full) tells apart, or its mappings), of its user, or of the system.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        matches!(self.kind, Kind::Limit | Kind::TableFull)
    }

    /// Whether this process has no descriptor number left: EMFILE, and nothing was lost. A message that lost
    /// descriptors for that reason [`is_truncated`](Self::is_truncated).
    #[must_use]
    pub fn is_table_full(&self) -> bool {
        self.kind == Kind::TableFull
    }

    /// Whether it could not be done without waiting, and waiting was not asked for: a non-blocking socket had
    /// nothing to give, or no room; somebody has the lock; a lease would have to be waited for.
    #[must_use]
    pub fn is_would_block(&self) -> bool {
        self.kind == Kind::WouldBlock
    }

    /// Whether it could not be done within the time that the caller gave: somebody else held the lock.
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        self.kind == Kind::TimedOut
    }

    /// Whether the robust mutex is lost for good: an owner died inside, and the next one did not repair.
    #[must_use]
    pub fn is_not_recoverable(&self) -> bool {
        self.kind == Kind::NotRecoverable
    }

    /// Whether a memory file was purged while it was allowed: told once, after which it reads as zeros.
    #[must_use]
    pub fn is_purged(&self) -> bool {
        self.kind == Kind::Purged
    }

    /// Whether a memory file was used after it had been deactivated.
    #[must_use]
    pub fn is_deactivated(&self) -> bool {
        self.kind == Kind::Deactivated
    }

    /// Whether something was written that is mapped for reading alone.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.kind == Kind::ReadOnly
    }

    /// Whether a peer has written nonsense over what a region says of its pins. The data can
    /// still be used, and pins cannot.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.kind == Kind::Damaged
    }

    /// Whether this system has no ashmem driver.
    #[must_use]
    pub fn is_no_driver(&self) -> bool {
        self.kind == Kind::NoDriver
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, errno, meaning, .. } = self;
        match errno.map(|raw| (raw, Errno::from_raw(raw))) {
            None => write!(f, "{call}: {meaning}"),
            Some((raw, Errno::UnknownErrno)) => write!(f, "{call}: errno {raw}, {meaning}"),
            Some((_, known)) => write!(f, "{call}: {known:?}, {meaning}"),
        }
    }
}

/// The same text as `Display`, so that an `unwrap` in somebody's test reads well.
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
    ///
    /// fn region_of(text: &str) -> io::Result<fd_shm::Region> {
    ///     let region = fd_shm::Region::create("text", text.len())?;
    ///     region.map::<()>()?.copy_in(0, text.as_bytes())?;
    ///     Ok(region)
    /// }
    ///
    /// let refused = region_of("").expect_err("a region has at least one byte");
    /// assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    /// let inside = refused.get_ref().and_then(|error| error.downcast_ref::<fd_shm::Error>());
    /// assert!(inside.is_some_and(|error| error.is_invalid_input()));
    /// ```
    fn from(error: Error) -> Self {
        Self::new(error.io_kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_call_errno_meaning() {
        const TABLE: Meanings = &[(Errno::EPERM, Kind::Sealed, "a seal forbids it")];
        let check = |error: Error, text: &str, errno| {
            assert_eq!((error.to_string().as_str(), error.raw_os_error()), (text, errno));
        };
        check(Error::system("f(1)", 1, TABLE), "f(1): EPERM, a seal forbids it", Some(1));
        check(Error::system("f(1)", 2, TABLE), "f(1): ENOENT, No such file or directory", Some(2));
        check(Error::system("f(1)", 4000, TABLE), "f(1): errno 4000, Unknown errno", Some(4000));
        check(Error::refused("f(1)", Kind::InvalidInput, "never"), "f(1): never", None);
        assert!(Error::system("f(1)", 1, TABLE).is_sealed());
        assert!(!Error::system("f(1)", 2, TABLE).is_sealed());
    }

    #[test]
    fn as_an_io_error_it_has_the_nearest_kind_and_is_still_inside() {
        use io::ErrorKind as Io;
        // A limit that the kernel tells by EAGAIN must not look like something to try again.
        const LIMIT: Meanings = &[(Errno::EAGAIN, Kind::Limit, "RLIMIT_MEMLOCK")];
        const BUSY: Meanings = &[(Errno::EBUSY, Kind::WouldBlock, "somebody has it")];
        let system = |errno: Errno, meanings| Error::system("f(1)", errno as i32, meanings);
        let refused = |kind| Error::refused("f(1)", kind, "no");
        let rows = [
            (system(Errno::EEXIST, &[]), Io::AlreadyExists),
            (system(Errno::ENOMEM, &[]), Io::OutOfMemory),
            (system(Errno::EMFILE, &[]), Io::QuotaExceeded),
            (system(Errno::EAGAIN, LIMIT), Io::QuotaExceeded),
            (system(Errno::EBUSY, BUSY), Io::WouldBlock),
            (refused(Kind::InvalidInput), Io::InvalidInput),
            (refused(Kind::Truncated), Io::InvalidData),
            (refused(Kind::PermissionDenied), Io::PermissionDenied),
            (refused(Kind::NotFound), Io::NotFound),
            (refused(Kind::EndOfStream), Io::UnexpectedEof),
            (refused(Kind::TimedOut), Io::TimedOut),
            (refused(Kind::NoDriver), Io::Unsupported),
            (refused(Kind::Purged), Io::Other),
        ];
        for (error, kind) in rows {
            let (text, whole) = (error.to_string(), error.clone());
            let converted = io::Error::from(error);
            assert_eq!((converted.kind(), converted.to_string()), (kind, text));
            assert_eq!(converted.downcast::<Error>().ok(), Some(whole));
        }
    }
}
