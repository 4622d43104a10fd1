//! How a set is made or found: the arguments of `semget`.

use libc::c_int;

use super::diagnosis;
use crate::error::{Cause, Error, Result};
use crate::{Key, SemaphoreSet, sys};

/// The mode bits when none are given: reading and changing for the owner, nothing for others.
const OWNER_ONLY: u32 = 0o600;

/// The mode bits of `semget`, for a set to be made or found.
///
/// # Examples
///
/// ```
/// use sysv_shm::{Key, SemaphoreSetOptions};
///
/// let set = SemaphoreSetOptions::new().mode(0o640).create(Key::PRIVATE, 1)?.remove_on_drop();
/// assert_eq!(set.stat()?.mode, 0o640);
/// # Ok::<(), sysv_shm::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SemaphoreSetOptions {
    /// The mode bits.
    mode: u32,
}

impl Default for SemaphoreSetOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl SemaphoreSetOptions {
    /// The options that [`SemaphoreSet::create`], [`SemaphoreSet::create_new`] and [`SemaphoreSet::open`]
    /// use.
    #[must_use]
    pub const fn new() -> Self {
        Self { mode: OWNER_ONLY }
    }

    /// The nine permission bits: what a new set grants, and what is asked of an existing one; `0o600` if this
    /// is not called.
    ///
    /// With `0` any set is found, whoever owns it: nothing is asked for, so nothing is refused. What may be
    /// done is decided again at each operation.
    #[must_use]
    pub const fn mode(mut self, bits: u32) -> Self {
        self.mode = bits;
        self
    }

    /// `semget(key, count, IPC_CREAT | mode)` - as [`SemaphoreSet::create`], with these options.
    ///
    /// # Errors
    ///
    /// As [`SemaphoreSet::create`]; refused without a call when the mode has bits beyond 0777.
    pub fn create(self, key: Key, count: u16) -> Result<SemaphoreSet> {
        self.get(key, count, sys::IPC_CREAT)
    }

    /// `semget(key, count, IPC_CREAT | IPC_EXCL | mode)` - as [`SemaphoreSet::create_new`], with these
    /// options.
    ///
    /// # Errors
    ///
    /// As [`SemaphoreSet::create_new`]; refused without a call when the mode has bits beyond 0777.
    pub fn create_new(self, key: Key, count: u16) -> Result<SemaphoreSet> {
        self.get(key, count, sys::IPC_CREAT | sys::IPC_EXCL)
    }

    /// `semget(key, at_least, mode)` - as [`SemaphoreSet::open`], with these options.
    ///
    /// # Errors
    ///
    /// As [`SemaphoreSet::open`]; refused without a call when the mode has bits beyond 0777.
    pub fn open(self, key: Key, at_least: u16) -> Result<SemaphoreSet> {
        if key.is_private() {
            let call = diagnosis::get_call(key, at_least, self.checked_mode(key, at_least)?);
            let meaning = "nothing can be found under IPC_PRIVATE, only made";
            return Err(Error::refused(call, Cause::Invalid, meaning));
        }
        self.get(key, at_least, 0)
    }

    fn get(self, key: Key, count: u16, flags: c_int) -> Result<SemaphoreSet> {
        SemaphoreSet::find_or_make(key, count, flags | self.checked_mode(key, count)?)
    }

    /// The mode as `semget` takes it, refused where its bits would be flags: 01000 is `IPC_CREAT`.
    fn checked_mode(self, key: Key, count: u16) -> Result<c_int> {
        match c_int::try_from(self.mode) {
            Ok(bits @ 0..=0o777) => Ok(bits),
            _ => {
                let call = format!("semget({key}, {count}, 0{:o})", self.mode);
                Err(Error::refused(call, Cause::Invalid, "a mode has no bits beyond 0777"))
            }
        }
    }
}
