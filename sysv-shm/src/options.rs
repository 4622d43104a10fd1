//! How a segment is made or found: the arguments of `shmget`.

use libc::c_int;

use crate::error::{Cause, Error, Result};
use crate::{Key, Segment, diagnosis};

/// The mode bits of a new segment when none are given: reading and writing for its owner, nothing for others.
const OWNER_ONLY: u32 = 0o600;
/// What opening asks for when nothing is given: reading, without which nothing can be attached.
const READING: u32 = 0o400;

/// The mode bits of `shmget`, for a segment to be made or found.
///
/// # Examples
///
/// ```
/// use sysv_shm::{Key, SegmentOptions};
///
/// let for_the_group = SegmentOptions::new().mode(0o640).create(Key::PRIVATE, 4096)?.remove_on_drop();
/// assert_eq!(for_the_group.stat()?.mode, 0o640);
/// # Ok::<(), sysv_shm::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SegmentOptions {
    /// The mode bits, when given.
    mode: Option<u32>,
}

impl SegmentOptions {
    /// The options that [`Segment::create`], [`Segment::create_new`] and [`Segment::open`] use.
    #[must_use]
    pub const fn new() -> Self {
        Self { mode: None }
    }

    /// The nine permission bits, as in `0o640`: what a new segment grants, and what is asked of an existing
    /// one.
    ///
    /// Asking is a check made once, now: any of the three digits may hold the bits asked for, and with none
    /// (`0`) any segment is found, whoever owns it. What can be done with it is decided again when it is
    /// attached. The umask plays no part. Without this, a new segment gets `0o600`, creating over an existing
    /// one asks for the same, and opening asks for `0o400`.
    #[must_use]
    pub const fn mode(self, bits: u32) -> Self {
        Self { mode: Some(bits) }
    }

    /// `shmget(key, size, IPC_CREAT | mode)` - as [`Segment::create`], with these options.
    ///
    /// # Errors
    ///
    /// As [`Segment::create`]; refused without a call when the mode has bits beyond 0777.
    pub fn create(self, key: Key, size: usize) -> Result<Segment> {
        self.get(key, size, libc::IPC_CREAT, OWNER_ONLY)
    }

    /// `shmget(key, size, IPC_CREAT | IPC_EXCL | mode)` - as [`Segment::create_new`], with these options.
    ///
    /// # Errors
    ///
    /// As [`Segment::create_new`]; refused without a call when the mode has bits beyond 0777.
    pub fn create_new(self, key: Key, size: usize) -> Result<Segment> {
        self.get(key, size, libc::IPC_CREAT | libc::IPC_EXCL, OWNER_ONLY)
    }

    /// `shmget(key, at_least, mode)` - as [`Segment::open`], with these options.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`]; refused without a call when the mode has bits beyond 0777.
    pub fn open(self, key: Key, at_least: usize) -> Result<Segment> {
        if key.is_private() {
            // shmget has no way to say "find" here: with key 0 it makes a segment, whatever the flags.
            let call = diagnosis::get_call(key, at_least, self.checked_mode(key, at_least, READING)?);
            return Err(Error::refused(
                call,
                Cause::Invalid,
                "nothing can be found under IPC_PRIVATE, only made",
            ));
        }
        self.get(key, at_least, 0, READING)
    }

    /// `shmget` with `flags` and the mode, which is `default` when none was given.
    fn get(self, key: Key, size: usize, flags: c_int, default: u32) -> Result<Segment> {
        Segment::get(key, size, flags | self.checked_mode(key, size, default)?)
    }

    /// The mode as `shmget` takes it, refused where its bits would be flags: 01000 is `IPC_CREAT`.
    fn checked_mode(self, key: Key, size: usize, default: u32) -> Result<c_int> {
        let mode = self.mode.unwrap_or(default);
        match c_int::try_from(mode) {
            Ok(bits @ 0..=0o777) => Ok(bits),
            _ => {
                let call = format!("shmget({key}, {size}, 0{mode:o})");
                Err(Error::refused(call, Cause::Invalid, "a mode has no bits beyond 0777"))
            }
        }
    }
}
