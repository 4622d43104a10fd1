//! The error: one sentence that names the call, its operands, and what the failure means for the run.

use std::fmt;
use std::io;

/// A benchmark could not run.
///
/// Every failure ends the whole run: a table with a hole in it compares nothing. So there is nothing to
/// branch on, only something to say.
#[derive(Debug)]
pub struct Failure {
    /// The sentence.
    text: String,
    /// What the kernel said, where it was the kernel.
    errno: Option<i32>,
}

impl Failure {
    /// A failure that no system call reported.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), errno: None }
    }

    /// `call: ERRNO, meaning` for a system call that failed; `call` with its operands, as one would write
    /// it in C.
    pub fn call(call: impl fmt::Display, error: &io::Error) -> Self {
        let errno = error.raw_os_error();
        let text = match errno.map(nix::errno::Errno::from_raw) {
            Some(name) => format!("{call}: {name:?}, {}", name.desc()),
            None => format!("{call}: {error}"),
        };
        Self { text, errno }
    }

    /// A failure of `call` with the current errno.
    pub(crate) fn last(call: impl fmt::Display) -> Self {
        Self::call(call, &io::Error::last_os_error())
    }

    /// Turns the error of anything else into a failure that names the step.
    pub(crate) fn step<E: fmt::Display>(step: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::new(format!("{step}: {error}"))
    }

    /// The errno, where a system call failed.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.errno
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

impl From<sysv_shm::Error> for Failure {
    fn from(error: sysv_shm::Error) -> Self {
        Self { errno: error.raw_os_error(), text: error.to_string() }
    }
}

impl From<fd_shm::Error> for Failure {
    fn from(error: fd_shm::Error) -> Self {
        Self { errno: error.raw_os_error(), text: error.to_string() }
    }
}
