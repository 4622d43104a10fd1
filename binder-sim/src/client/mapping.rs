//! The mapping that the driver writes what arrives into.

#![allow(unsafe_code)]

use crate::wire::Memory;
use alloc::borrow::Cow;
use alloc::vec;
use core::num::NonZeroUsize;
use core::ptr::NonNull;
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::{Pid, SysconfVar, sysconf};
use std::io::IoSliceMut;
use std::os::fd::OwnedFd;

/// A mapping of the device, unmapped when dropped.
///
/// The driver writes into it while a call is made, so there is no slice of it: bytes are copied out by the
/// kernel (`process_vm_readv` of the process itself), which also says where nothing can be read.
///
/// # Invariants
/// `size` bytes at `base` are this mapping, and nobody else unmaps them.
#[derive(Debug)]
pub struct Mapping {
    /// Where it begins.
    base: NonNull<core::ffi::c_void>,
    /// Its size in bytes: whole pages.
    size: usize,
}

// SAFETY: nothing is ever read or written through `base` by this program; it is only an address.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps a device.
    pub(super) fn new(device: &OwnedFd, size: usize) -> Result<Mapping, Errno> {
        let length = NonZeroUsize::new(size).ok_or(Errno::EINVAL)?;
        // SAFETY: the kernel chooses where, so that no other mapping is touched.
        let base = unsafe { mmap(None, length, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE, device, 0) }?;
        // What is mapped is whole pages.
        let page = sysconf(SysconfVar::PAGE_SIZE)?.and_then(|bytes| usize::try_from(bytes).ok());
        // INVARIANT: mapped here, unmapped in `drop`, or in part in `shrink`.
        Ok(Mapping { base, size: page.map_or(size, |page| size.next_multiple_of(page)) })
    }

    /// Where it begins: buffers that the driver speaks of lie behind it.
    pub fn base(&self) -> u64 {
        self.base.as_ptr().addr() as u64
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Unmaps what lies behind the first `size` bytes. To the driver that is the end of all of it: nothing new is
    /// received any more.
    ///
    /// # Errors
    /// `EINVAL`: `size` is 0 or no whole number of pages, or nothing lies behind it.
    pub fn shrink(&mut self, size: usize) -> Result<(), Errno> {
        if size == 0 {
            return Err(Errno::EINVAL);
        }
        let rest = self.size.saturating_sub(size);
        // SAFETY: within the mapping, or where it ends.
        let behind = unsafe { self.base.byte_add(self.size - rest) };
        // SAFETY: a part of a mapping of our own, and nothing points into it; no part is refused.
        unsafe { munmap(behind, rest) }?;
        // INVARIANT: what is not mapped any more is not unmapped in `drop`.
        self.size = size;
        Ok(())
    }
}

impl Memory for Mapping {
    fn read(&self, address: u64, len: u64) -> Cow<'_, [u8]> {
        let Some(offset) = address.checked_sub(self.base()) else { return Cow::Borrowed(&[]) };
        let room = (self.size as u64).saturating_sub(offset);
        let (Ok(base), Ok(len)) = (usize::try_from(address), usize::try_from(len.min(room))) else {
            return Cow::Borrowed(&[]);
        };
        let mut bytes = vec![0; len];
        let from = [RemoteIoVec { base, len }];
        let read = process_vm_readv(Pid::this(), &mut [IoSliceMut::new(&mut bytes)], &from);
        bytes.truncate(read.unwrap_or(0));
        Cow::Owned(bytes)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `base` and `size` are a mapping of our own (`# Invariants`), and nothing points into it.
        let unmapped = unsafe { munmap(self.base, self.size) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}
