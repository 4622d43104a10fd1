//! The crate's one error: a call of the simulated world that could not be made.

use crate::errno::Errno;
use alloc::string::String;
use core::fmt;

/// A call that a process of the world made and that failed: `call(operands): ERRNO, what it means here`.
///
/// Refusals *inside* a transaction are not errors of the call: as in the kernel the ioctl succeeds, and the
/// refusal is read as `BR_FAILED_REPLY` or `BR_DEAD_REPLY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The call and its operands, as text.
    call: String,
    /// What went wrong, as a number.
    errno: Errno,
    /// What the number means for this call.
    meaning: &'static str,
}

impl Error {
    /// An error of `call` (with its operands).
    pub(crate) fn new(call: String, errno: Errno, meaning: &'static str) -> Error {
        Error { call, errno, meaning }
    }

    /// The error number under its name.
    pub fn errno(&self) -> Errno {
        self.errno
    }

    /// The number as the kernel would return it, positive.
    pub fn raw_os_error(&self) -> i32 {
        self.errno.raw()
    }

    /// Whether a table of descriptors is full (`EMFILE`).
    pub fn is_table_full(&self) -> bool {
        self.errno == Errno::EMFILE
    }

    /// Whether a number names no open descriptor (`EBADF`).
    pub fn is_bad_descriptor(&self) -> bool {
        self.errno == Errno::EBADF
    }

    /// Whether something is taken or under way already (`EBUSY`).
    pub fn is_busy(&self) -> bool {
        self.errno == Errno::EBUSY
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, {}", self.call, self.errno, self.meaning)
    }
}

impl core::error::Error for Error {}
