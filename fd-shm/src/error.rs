//! The one error type: which call, with which operands, the errno, and what that errno means here.

use std::borrow::Cow;
use std::fmt;

use nix::errno::Errno;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, as `call(operands): ERRNO, what it means here`.
///
/// One opaque type for the whole crate: a caller that only reports needs no cases, and one that branches asks
/// a predicate. Without an errno the refusal is this crate's own, made before or after the kernel's.
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
    BadInput,
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
    /// A message that did not arrive whole.
    Truncated,
    /// The other side has closed the socket.
    EndOfStream,
    /// A whole message with another number of descriptors than expected.
    DescriptorCount,
    /// The kernel's rules keep this process out of another.
    Denied,
    /// The number is not open there.
    NoSuchDescriptor,
    /// The other process has ended.
    Gone,
    /// This process has no descriptor number left.
    TableFull,
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
        let (kind, meaning) = match meanings.iter().find(|row| row.0 == known) {
            Some(&(_, kind, meaning)) => (kind, meaning),
            None => (Kind::System, known.desc()),
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
    pub fn raw_os_error(&self) -> Option<i32> {
        self.errno
    }

    /// Whether an operand could never have worked: an empty region, a name too long, too many descriptors for
    /// one message.
    pub fn is_bad_input(&self) -> bool {
        self.kind == Kind::BadInput
    }

    /// Whether the descriptor is not a memory region at all, or not one that can be read.
    pub fn is_not_a_region(&self) -> bool {
        self.kind == Kind::NotARegion
    }

    /// Whether the descriptor is a memory region, but a holder could still shrink it under a mapping.
    pub fn is_shrinkable(&self) -> bool {
        self.kind == Kind::Shrinkable
    }

    /// Whether the descriptor is a sound region, but not of the size, the seals or the access agreed on.
    pub fn is_unexpected(&self) -> bool {
        self.kind == Kind::Unexpected
    }

    /// Whether a seal forbids it.
    pub fn is_sealed(&self) -> bool {
        self.kind == Kind::Sealed
    }

    /// Whether a range reached past the end of the region.
    pub fn is_out_of_bounds(&self) -> bool {
        self.kind == Kind::OutOfBounds
    }

    /// Whether a message did not arrive whole. What did arrive is closed already.
    pub fn is_truncated(&self) -> bool {
        self.kind == Kind::Truncated
    }

    /// Whether the other side has closed its end and everything before that was read.
    pub fn is_end_of_stream(&self) -> bool {
        self.kind == Kind::EndOfStream
    }

    /// Whether a whole message brought another number of descriptors than expected; they are closed already.
    pub fn is_descriptor_count(&self) -> bool {
        self.kind == Kind::DescriptorCount
    }

    /// Whether the kernel's rules keep this process out of another one, or out of its file.
    pub fn is_denied(&self) -> bool {
        self.kind == Kind::Denied
    }

    /// Whether the number, or the name, stands for no descriptor there.
    pub fn is_no_such_descriptor(&self) -> bool {
        self.kind == Kind::NoSuchDescriptor
    }

    /// Whether the other process has ended.
    pub fn is_gone(&self) -> bool {
        self.kind == Kind::Gone
    }

    /// Whether this process has no descriptor number left: EMFILE, and nothing was lost. A message that lost
    /// descriptors for that reason [`is_truncated`](Self::is_truncated).
    pub fn is_table_full(&self) -> bool {
        self.kind == Kind::TableFull
    }

    /// Whether somebody else held the lock for all of the time that the caller gave.
    pub fn is_timed_out(&self) -> bool {
        self.kind == Kind::TimedOut
    }

    /// Whether the robust mutex is lost for good: an owner died inside, and the next one did not repair.
    pub fn is_not_recoverable(&self) -> bool {
        self.kind == Kind::NotRecoverable
    }

    /// Whether a memory file was purged while it was allowed: told once, after which it reads as zeros.
    pub fn is_purged(&self) -> bool {
        self.kind == Kind::Purged
    }

    /// Whether a memory file was used after it had been deactivated.
    pub fn is_deactivated(&self) -> bool {
        self.kind == Kind::Deactivated
    }

    /// Whether something was written that is mapped for reading alone.
    pub fn is_read_only(&self) -> bool {
        self.kind == Kind::ReadOnly
    }

    /// Whether a peer has written nonsense over what a region says of its pins. The data can
    /// still be used, and pins cannot.
    pub fn is_damaged(&self) -> bool {
        self.kind == Kind::Damaged
    }

    /// Whether this system has no ashmem driver.
    pub fn is_no_driver(&self) -> bool {
        self.kind == Kind::NoDriver
    }

    /// Whether a non-blocking socket had nothing to give, or no room: EAGAIN.
    pub fn is_would_block(&self) -> bool {
        self.errno == Some(Errno::EAGAIN as i32)
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
        check(Error::refused("f(1)", Kind::BadInput, "never"), "f(1): never", None);
        assert!(Error::system("f(1)", 1, TABLE).is_sealed());
        assert!(!Error::system("f(1)", 2, TABLE).is_sealed());
    }
}
