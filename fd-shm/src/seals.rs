//! Seals: promises about a memory file that nobody can take back, not even its owner.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use rustix::fs::SealFlags;

use crate::error::{Error, Kind, Meanings, Result};

/// A set of `F_SEAL_*`: what can never be done again to a memory file, through any descriptor of it.
///
/// A seal belongs to the file, not to the descriptor, so it binds every process that has it open, now or
/// later. Seals are only ever added. This is what ashmem's protection mask became, and more: ashmem could not
/// promise a fixed size to a receiver who does not trust the sender.
///
/// # Examples
///
/// ```
/// use fd_shm::{Memfd, Seals};
///
/// let memfd = Memfd::create("sealed")?;
/// memfd.set_len(4096)?;
/// memfd.add_seals(Seals::SHRINK | Seals::GROW)?;
/// assert!(memfd.set_len(8192).is_err_and(|e| e.is_sealed()));
/// # Ok::<(), fd_shm::Error>(())
/// ```
///
/// # References
///
/// `fcntl(2)`, "File Sealing"; `mm/memfd.c` (`memfd_add_seals`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Seals(u32);

impl Seals {
    /// No seal.
    pub const NONE: Self = Self(0);
    /// `F_SEAL_SEAL`: no further seals.
    pub const SEAL: Self = Self(SealFlags::SEAL.bits());
    /// `F_SEAL_SHRINK`: never smaller. Without it a peer can cut the file under a mapping, and touching what
    /// was cut off is SIGBUS.
    pub const SHRINK: Self = Self(SealFlags::SHRINK.bits());
    /// `F_SEAL_GROW`: never larger.
    pub const GROW: Self = Self(SealFlags::GROW.bits());
    /// `F_SEAL_WRITE`: contents never change again. Refused (EBUSY) while a shared writable mapping exists
    /// anywhere.
    pub const WRITE: Self = Self(SealFlags::WRITE.bits());
    /// `F_SEAL_FUTURE_WRITE` (Linux 5.1): no new way to write; mappings that can write already keep doing so.
    pub const FUTURE_WRITE: Self = Self(SealFlags::FUTURE_WRITE.bits());
    /// `F_SEAL_EXEC` (Linux 6.3): the executable bits of the file's mode never change. On a file that *is*
    /// executable it brings SHRINK, GROW, WRITE and FUTURE_WRITE with it: what can be run can no longer be
    /// written.
    pub const EXEC: Self = Self(SealFlags::EXEC.bits());

    /// Every seal of today's kernels with its name, in the order of their bits.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::SEAL, "F_SEAL_SEAL"),
        (Self::SHRINK, "F_SEAL_SHRINK"),
        (Self::GROW, "F_SEAL_GROW"),
        (Self::WRITE, "F_SEAL_WRITE"),
        (Self::FUTURE_WRITE, "F_SEAL_FUTURE_WRITE"),
        (Self::EXEC, "F_SEAL_EXEC"),
    ];

    /// `fcntl(fd, F_GET_SEALS)` - what can never be done again to the file behind any descriptor.
    ///
    /// # Errors
    ///
    /// [`is_not_a_region`](Error::is_not_a_region): it is no memory file, or opened with O_PATH.
    ///
    /// # Examples
    ///
    /// ```
    /// use fd_shm::{Region, Seals};
    ///
    /// let region = Region::create("frames", 4096)?;
    /// assert!(Seals::of(&region)?.contains(Seals::SHRINK | Seals::GROW));
    /// let (pipe, _) = std::io::pipe()?;
    /// assert!(Seals::of(&pipe).is_err_and(|e| e.is_not_a_region()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "F_GET_SEALS")]
    pub fn of(fd: impl AsFd) -> Result<Self> {
        get(fd)
    }

    /// Whether every seal of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Seals {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Seals {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

/// The names joined by ` | `, as in C; `0` for none, and a number for bits that are newer than this crate.
impl fmt::Display for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut separator = "";
        for (seal, name) in Self::ALL {
            if self.contains(seal) {
                write!(f, "{separator}{name}")?;
                separator = " | ";
                rest &= !seal.0;
            }
        }
        match (rest, self.0) {
            (_, 0) => f.write_str("0"),
            (0, _) => Ok(()),
            (rest, _) => write!(f, "{separator}{rest:#x}"),
        }
    }
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the kernel means when it does not show the seals.
const GET: Meanings = &[
    (Errno::EINVAL, Kind::NotARegion, "not a memory file: it cannot be sealed"),
    (Errno::EBADF, Kind::NotARegion, "opened with O_PATH: it names a file and opens nothing"),
];

/// What the kernel means when it does not add a seal.
const ADD: Meanings = &[
    (Errno::EPERM, Kind::Sealed, "F_SEAL_SEAL is set, or this descriptor is not open for writing"),
    (Errno::EBUSY, Kind::System, "F_SEAL_WRITE has to wait until nobody has a shared writable mapping"),
    (Errno::EINVAL, Kind::System, "not a memory file, or a seal that this kernel does not know"),
];

/// `fcntl(fd, F_GET_SEALS)`: the seals of the file behind `fd`.
pub(crate) fn get(fd: impl AsFd) -> Result<Seals> {
    let fd = fd.as_fd();
    match rustix::fs::fcntl_get_seals(fd) {
        Ok(seals) => Ok(Seals(seals.bits())),
        Err(e) => {
            Err(Error::system(format!("fcntl({}, F_GET_SEALS)", fd.as_raw_fd()), e.raw_os_error(), GET))
        }
    }
}

/// `fcntl(fd, F_ADD_SEALS, seals)`: adds `seals` to the file behind `fd`, for ever.
pub(crate) fn add(fd: impl AsFd, seals: Seals) -> Result<()> {
    let fd = fd.as_fd();
    rustix::fs::fcntl_add_seals(fd, SealFlags::from_bits_retain(seals.0)).map_err(|e| {
        let call = format!("fcntl({}, F_ADD_SEALS, {seals})", fd.as_raw_fd());
        Error::system(call, e.raw_os_error(), ADD)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seals_print_as_in_c() {
        assert_eq!(Seals::NONE.to_string(), "0");
        assert_eq!((Seals::GROW | Seals::SHRINK).to_string(), "F_SEAL_SHRINK | F_SEAL_GROW");
        assert_eq!((Seals::SEAL | Seals(0x1000)).to_string(), "F_SEAL_SEAL | 0x1000");
        assert_eq!(Seals(0x1000).to_string(), "0x1000");
    }
}
