//! How a segment is made or found: the arguments of `shmget`.

use libc::c_int;

use crate::error::{Cause, Error, Result};
use crate::{Key, Segment, diagnosis, sys};

/// The mode bits of a new segment when none are given: reading and writing for its owner, nothing for others.
const OWNER_ONLY: u32 = 0o600;
/// What opening asks for when nothing is given: reading, without which nothing can be attached.
const READING: u32 = 0o400;

/// The flags of `shmget`, for a segment to be made or found.
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct SegmentOptions {
    /// The mode bits, when given.
    mode: Option<u32>,
    /// `SHM_NORESERVE`.
    no_reserve: bool,
    /// `SHM_HUGETLB`.
    huge_pages: Option<HugePages>,
}

/// Which huge pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum HugePages {
    /// Of the machine's default size.
    Default,
    /// Of so many bytes each.
    Of(usize),
}

impl SegmentOptions {
    /// The options that [`Segment::create`], [`Segment::create_new`] and [`Segment::open`] use.
    #[must_use]
    pub const fn new() -> Self {
        Self { mode: None, no_reserve: false, huge_pages: None }
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
        Self { mode: Some(bits), ..self }
    }

    /// `SHM_NORESERVE` - a new segment is not charged for its size when it is made, but page by page when it
    /// is touched.
    ///
    /// What is promised too often is answered later and worse than by an error: by the OOM killer, and with
    /// huge pages by SIGBUS. Where overcommit is forbidden (`vm.overcommit_memory` = 2) the flag does
    /// nothing.
    #[must_use]
    pub const fn no_reserve(self) -> Self {
        Self { no_reserve: true, ..self }
    }

    /// `SHM_HUGETLB` - a new segment is made of huge pages of the machine's default size (`Hugepagesize` in
    /// `/proc/meminfo`).
    ///
    /// They come from a pool that an administrator has filled (`vm.nr_hugepages`), and are set aside when the
    /// segment is made. Attaching it takes
    /// [`AttachOptions::accept_huge_pages`](crate::AttachOptions::accept_huge_pages).
    #[must_use]
    pub const fn huge_pages(self) -> Self {
        Self { huge_pages: Some(HugePages::Default), ..self }
    }

    /// `SHM_HUGETLB | log2(bytes) << SHM_HUGE_SHIFT` - the same with pages of `bytes` each, a power of two
    /// (the machine's sizes are in `/sys/kernel/mm/hugepages`).
    #[must_use]
    pub const fn huge_pages_of(self, bytes: usize) -> Self {
        Self { huge_pages: Some(HugePages::Of(bytes)), ..self }
    }

    /// `shmget(key, size, IPC_CREAT | mode)` - as [`Segment::create`], with these options.
    ///
    /// # Errors
    ///
    /// As [`Segment::create`]; with huge pages EPERM (no CAP_IPC_LOCK, and not in `vm.hugetlb_shm_group`),
    /// ENOMEM (too few are free) and EINVAL (the machine has none of this size). Refused without a call when
    /// the mode has bits beyond 0777, or the size of a huge page is no power of two.
    pub fn create(self, key: Key, size: usize) -> Result<Segment> {
        self.make(key, size, sys::IPC_CREAT)
    }

    /// `shmget(key, size, IPC_CREAT | IPC_EXCL | mode)` - as [`Segment::create_new`], with these options.
    ///
    /// # Errors
    ///
    /// As [`Segment::create_new`] and [`create`](SegmentOptions::create).
    pub fn create_new(self, key: Key, size: usize) -> Result<Segment> {
        self.make(key, size, sys::IPC_CREAT | sys::IPC_EXCL)
    }

    /// `shmget(key, at_least, mode)` - as [`Segment::open`], with these options.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`]; refused without a call when the mode has bits beyond 0777.
    #[inline]
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
        Segment::get(key, at_least, self.checked_mode(key, at_least, READING)?)
    }

    /// `shmget` with `flags`, the mode, and what a new segment is made of.
    fn make(self, key: Key, size: usize, flags: c_int) -> Result<Segment> {
        let mode = self.checked_mode(key, size, OWNER_ONLY)?;
        let reserve = if self.no_reserve { sys::SHM_NORESERVE } else { 0 };
        let pages = match self.huge_pages {
            None => 0,
            Some(HugePages::Default) => sys::SHM_HUGETLB,
            Some(HugePages::Of(bytes)) if bytes.is_power_of_two() => {
                sys::SHM_HUGETLB | (bytes.ilog2() << sys::SHM_HUGE_SHIFT).cast_signed()
            }
            Some(HugePages::Of(bytes)) => {
                let call = diagnosis::get_call(key, size, flags | reserve | sys::SHM_HUGETLB | mode);
                let meaning = format!("a huge page has a power of two bytes, and {bytes} is none");
                return Err(Error::refused(call, Cause::Invalid, meaning));
            }
        };
        Segment::get(key, size, flags | reserve | pages | mode)
    }

    /// The mode as `shmget` takes it, refused where its bits would be flags: 01000 is `IPC_CREAT`.
    #[inline]
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
