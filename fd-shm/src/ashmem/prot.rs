//! What a mapping may do: the three bits of `mmap` and of ashmem's protection mask.

use std::fmt;
use std::ops::{BitAnd, BitOr};

/// A set of `PROT_READ`, `PROT_WRITE` and `PROT_EXEC`.
///
/// Bits beyond the three can be held, since a caller of the driver can pass any number; no mask ever has one.
///
/// # Examples
///
/// ```
/// use fd_shm::ashmem::Prot;
///
/// let mask = Prot::READ | Prot::EXEC;
/// assert!(mask.contains(Prot::READ) && !mask.contains(Prot::WRITE));
/// assert_eq!((mask.to_string(), mask.bits()), ("r-x".to_owned(), 5));
/// ```
///
/// # References
///
/// `mmap(2)`; `uapi/asm-generic/mman-common.h`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Prot(u32);

impl Prot {
    /// `PROT_NONE`: no access.
    pub const NONE: Self = Self(0);
    /// `PROT_READ`.
    pub const READ: Self = Self(1);
    /// `PROT_WRITE`.
    pub const WRITE: Self = Self(2);
    /// `PROT_EXEC`.
    pub const EXEC: Self = Self(4);
    /// All three: the mask of a new region.
    pub const ALL: Self = Self(7);

    /// The set with these bits, whatever they are.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether every bit of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Prot {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Prot {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// Three letters as in `/proc/<pid>/maps`; a number for bits that mean nothing.
impl fmt::Display for Prot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > Self::ALL.0 {
            return write!(f, "{:#x}", self.0);
        }
        for (bit, letter) in [(Self::READ, "r"), (Self::WRITE, "w"), (Self::EXEC, "x")] {
            f.write_str(if self.contains(bit) { letter } else { "-" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Prot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
