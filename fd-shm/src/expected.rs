//! What a receiver asks of a region beyond that it cannot shrink: its size, its seals, the right to write.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::OFlags;

use crate::error::{Error, Kind, Result};
use crate::fixed::FixedFd;
use crate::seals::Seals;

/// What was agreed on about a region, to hold against the one that arrives.
///
/// [`FixedFd::new`] asks the one question without which nothing is safe: can it shrink? What else a receiver
/// relies on is for it to say, and to have checked in one place before it maps: a head that must fit, a size
/// that it is ready to pay for, contents that stay as they are.
///
/// # Examples
///
/// A service that takes messages of up to 1 MiB, and wants them to stand still once they are here:
///
/// ```
/// use fd_shm::{Expected, Memfd, Region, Seals};
///
/// let message = Expected::new().at_most(1 << 20).sealed(Seals::WRITE);
///
/// let restless = Region::create("restless", 4096)?;
/// let refused = message.check(restless.into()).expect_err("its sender can still write");
/// assert!(refused.is_unexpected());
///
/// let memfd = Memfd::create("message")?;
/// memfd.set_len(4096)?;
/// memfd.add_seals(Seals::SHRINK | Seals::GROW | Seals::WRITE)?;
/// assert_eq!(message.check(memfd.into())?.len(), 4096);
/// # Ok::<(), fd_shm::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Expected {
    /// The least number of bytes.
    at_least: usize,
    /// The largest number of bytes.
    at_most: usize,
    /// Seals that it must have, beside F_SEAL_SHRINK.
    seals: Seals,
    /// Whether it must be writable through this descriptor.
    writable: bool,
}

impl Default for Expected {
    fn default() -> Self {
        Self::new()
    }
}

impl Expected {
    /// Any region that cannot shrink.
    #[must_use]
    pub const fn new() -> Self {
        Self { at_least: 1, at_most: usize::MAX, seals: Seals::NONE, writable: false }
    }

    /// No smaller than `len` bytes.
    #[must_use]
    pub const fn at_least(self, len: usize) -> Self {
        Self { at_least: len, ..self }
    }

    /// No larger than `len` bytes: a sender decides how large its file is, a receiver what it maps.
    #[must_use]
    pub const fn at_most(self, len: usize) -> Self {
        Self { at_most: len, ..self }
    }

    /// Exactly `len` bytes.
    #[must_use]
    pub const fn exactly(self, len: usize) -> Self {
        self.at_least(len).at_most(len)
    }

    /// With all of these seals (and F_SEAL_SHRINK, which is never left out).
    #[must_use]
    pub const fn sealed(self, seals: Seals) -> Self {
        Self { seals, ..self }
    }

    /// Such that [`FixedFd::map`] can write: open for writing, and not sealed against it.
    #[must_use]
    pub const fn writable(self) -> Self {
        Self { writable: true, ..self }
    }

    /// Checks `fd` as [`FixedFd::new`] does, and then against all of this.
    ///
    /// What was true stays true, but for one thing: a seal against writing may still be added by another
    /// holder, after which [`FixedFd::map`] fails with EPERM. A size may grow; the one that was checked is
    /// kept.
    ///
    /// # Errors
    ///
    /// Those of [`FixedFd::new`], and [`is_unexpected`](Error::is_unexpected) for a sound region that is not
    /// the one agreed on; the text says what was expected and what came. A descriptor that is refused is
    /// closed.
    pub fn check(self, fd: OwnedFd) -> Result<FixedFd> {
        let number = fd.as_raw_fd();
        let fixed = FixedFd::new(fd)?;
        let refuse = |found: String| {
            let call = format!("Expected::check({number})");
            Err(Error::refused(call, Kind::Unexpected, format!("expected {self}, {found}")))
        };
        let len = fixed.len();
        if !(self.at_least..=self.at_most).contains(&len) {
            return refuse(format!("it has {len} bytes"));
        }
        let seals = fixed.seals()?;
        if !seals.contains(self.seals) {
            return refuse(format!("its seals are {seals}"));
        }
        if self.writable && (seals.contains(Seals::WRITE) || seals.contains(Seals::FUTURE_WRITE)) {
            return refuse(format!("its seals are {seals}"));
        }
        if self.writable && !is_open_for_writing(&fixed)? {
            return refuse("the descriptor is open for reading only".into());
        }
        Ok(fixed)
    }
}

/// `1 to 4096 bytes, F_SEAL_WRITE, writable`: what is asked, and nothing of what is not.
impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.at_least, self.at_most) {
            (least, most) if least == most => write!(f, "{least} bytes")?,
            (least, usize::MAX) => write!(f, "at least {least} bytes")?,
            (least, most) => write!(f, "{least} to {most} bytes")?,
        }
        if self.seals != Seals::NONE {
            write!(f, ", {}", self.seals)?;
        }
        f.write_str(if self.writable { ", writable" } else { "" })
    }
}

/// `fcntl(fd, F_GETFL)`: whether the open file takes writes.
fn is_open_for_writing(fixed: &FixedFd) -> Result<bool> {
    let fd = fixed.as_fd();
    match rustix::fs::fcntl_getfl(fd) {
        Ok(flags) => Ok(flags & OFlags::RWMODE == OFlags::RDWR),
        Err(e) => Err(Error::system(format!("fcntl({}, F_GETFL)", fd.as_raw_fd()), e.raw_os_error(), &[])),
    }
}
