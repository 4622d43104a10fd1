//! The real `/dev/ashmem`, where there is one: its ioctls as they are, one method each.

#![allow(unsafe_code)]

use std::ffi::{c_long, c_ulong, c_void};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

use nix::errno::Errno;
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};

use super::area::{PAGE, Pin, PinStatus};
use super::prot::Prot;
use crate::error::{Error, Kind, Meanings, Result};
use crate::fixed::stat;

/// The ioctl numbers of `uapi/ashmem.h`; those that take a size are as long as a `size_t`.
mod request {
    use std::ffi::c_ulong;

    /// `_IOC(direction, 0x77, nr, size)`.
    #[allow(clippy::cast_possible_truncation)] // 256 at the most
    const fn number(direction: c_ulong, nr: c_ulong, size: usize) -> c_ulong {
        direction << 30 | (size as c_ulong) << 16 | 0x77 << 8 | nr
    }

    pub(super) const SET_NAME: c_ulong = number(1, 1, super::NAME_LEN);
    pub(super) const GET_NAME: c_ulong = number(2, 2, super::NAME_LEN);
    pub(super) const SET_SIZE: c_ulong = number(1, 3, size_of::<usize>());
    pub(super) const GET_SIZE: c_ulong = number(0, 4, 0);
    pub(super) const SET_PROT_MASK: c_ulong = number(1, 5, size_of::<usize>());
    pub(super) const GET_PROT_MASK: c_ulong = number(0, 6, 0);
    pub(super) const PIN: c_ulong = number(1, 7, 8);
    pub(super) const UNPIN: c_ulong = number(1, 8, 8);
    pub(super) const GET_PIN_STATUS: c_ulong = number(0, 9, 0);
    pub(super) const PURGE_ALL_CACHES: c_ulong = number(0, 10, 0);
}

/// What a call of the driver's answers.
type Answer<T> = std::result::Result<T, Errno>;

/// `ASHMEM_NAME_LEN`.
const NAME_LEN: usize = 256;

/// Where the driver is; and where newer Androids have it, with this boot's id behind the name.
const PATH: &str = "/dev/ashmem";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What the kernel means when it does not open the device.
const OPEN: Meanings = &[
    (Errno::ENOENT, Kind::NoDriver, "this kernel has no ashmem driver (Linux 5.18 dropped it)"),
    (Errno::ENXIO, Kind::NoDriver, "a device file is there, and no driver behind it"),
    (Errno::ENODEV, Kind::NoDriver, "a device file is there, and no driver behind it"),
    (Errno::EACCES, Kind::PermissionDenied, "the device's mode bits do not let this user open it"),
    (Errno::EMFILE, Kind::TableFull, "this process has no free descriptor (RLIMIT_NOFILE)"),
];

/// `struct ashmem_pin`.
#[repr(C)]
struct PinArgument {
    /// In bytes.
    offset: u32,
    /// In bytes; 0 is "to the end".
    len: u32,
}

/// One region of the real driver: an open file of `/dev/ashmem`.
///
/// The methods are the driver's calls and answer with its errno, as those of
/// [`Area`](super::Area) do, so that the two can be held side by side. A program wants
/// [`Region`](super::Region), which uses this where it can.
///
/// # Examples
///
/// ```
/// use fd_shm::ashmem::Device;
///
/// match Device::open() {
///     Ok(device) => assert_eq!(device.size(), Ok(0)),
///     Err(refused) => assert!(refused.is_no_driver() || refused.is_permission_denied(), "{refused}"),
/// }
/// ```
///
/// # References
///
/// `drivers/staging/android/ashmem.c`; `ashmem-dev.cpp` in Android's libcutils.
#[derive(Debug)]
pub struct Device<F = OwnedFd> {
    /// The open file, close-on-exec.
    fd: F,
}

impl Device {
    /// `open("/dev/ashmem", O_RDWR | O_CLOEXEC)` - a new region, without name and size.
    ///
    /// # Errors
    ///
    /// [`is_no_driver`](Error::is_no_driver) where there is none; EACCES; EMFILE, ENFILE.
    pub fn open() -> Result<Self> {
        let mut opened = open(PATH);
        if matches!(&opened, Err(refused) if refused.is_no_driver())
            && let Ok(id) = std::fs::read_to_string(BOOT_ID)
        {
            // Refused as well, the plain path is what to speak of.
            opened = open(&format!("{PATH}{}", id.trim())).or(opened);
        }
        let fd = opened?;
        let found = stat(&fd)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::CharacterDevice {
            let text = "something is there that is no device";
            return Err(Error::refused(format!("open({PATH})"), Kind::NoDriver, text));
        }
        Ok(Self { fd })
    }

    /// Takes a descriptor that was handed over, if it is one of this driver's.
    ///
    /// # Errors
    ///
    /// [`is_not_a_region`](Error::is_not_a_region) for anything else; the descriptor is closed then.
    #[doc(alias = "ashmem_valid")]
    pub fn from_fd(fd: OwnedFd) -> Result<Self> {
        if is_device(&stat(&fd)?) {
            return Ok(Self { fd });
        }
        let call = format!("Device::from_fd({})", fd.as_raw_fd());
        Err(Error::refused(call, Kind::NotARegion, "no open file of this system's ashmem driver"))
    }
}

impl<F: AsFd> Device<F> {
    /// For a descriptor that was checked.
    pub(crate) const fn of(fd: F) -> Self {
        Self { fd }
    }

    /// `ASHMEM_SET_NAME`. What is longer than 255 bytes is cut; so is what follows a zero byte.
    ///
    /// # Errors
    ///
    /// EINVAL once the region has been mapped.
    pub fn set_name(&self, name: &[u8]) -> Answer<()> {
        let mut argument = [0_u8; NAME_LEN];
        let len = name.len().min(NAME_LEN);
        argument[..len].copy_from_slice(&name[..len]);
        self.with(request::SET_NAME, &mut argument).map(drop)
    }

    /// `ASHMEM_GET_NAME`, without its zero byte.
    ///
    /// # Errors
    ///
    /// None known.
    pub fn name(&self) -> Answer<Vec<u8>> {
        let mut name = [0_u8; NAME_LEN];
        self.with(request::GET_NAME, &mut name)?;
        Ok(name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec())
    }

    /// `ASHMEM_SET_SIZE`.
    ///
    /// # Errors
    ///
    /// EINVAL once the region has been mapped.
    pub fn set_size(&self, size: usize) -> Answer<()> {
        self.by_value(request::SET_SIZE, size).map(drop)
    }

    /// `ASHMEM_GET_SIZE`. Whole, since it is asked as a plain system call: libc's `ioctl` answers an `int`.
    ///
    /// # Errors
    ///
    /// None known.
    pub fn size(&self) -> Answer<usize> {
        self.by_value(request::GET_SIZE, 0)
    }

    /// `ASHMEM_SET_PROT_MASK`.
    ///
    /// # Errors
    ///
    /// EINVAL for what is not in the present mask.
    pub fn set_prot_mask(&self, mask: Prot) -> Answer<()> {
        self.by_value(request::SET_PROT_MASK, mask.bits() as usize).map(drop)
    }

    /// `ASHMEM_GET_PROT_MASK`.
    ///
    /// # Errors
    ///
    /// None known.
    pub fn prot_mask(&self) -> Answer<Prot> {
        let mask = self.by_value(request::GET_PROT_MASK, 0)?;
        Ok(Prot::from_bits(u32::try_from(mask).unwrap_or(u32::MAX)))
    }

    /// `ASHMEM_PIN`.
    ///
    /// # Errors
    ///
    /// Those of [`Area::pin`](super::Area::pin).
    pub fn pin(&self, offset: u32, len: u32) -> Answer<Pin> {
        Ok((self.with(request::PIN, &mut PinArgument { offset, len })? == 1).into())
    }

    /// `ASHMEM_UNPIN`.
    ///
    /// # Errors
    ///
    /// Those of [`Area::pin`](super::Area::pin).
    pub fn unpin(&self, offset: u32, len: u32) -> Answer<()> {
        self.with(request::UNPIN, &mut PinArgument { offset, len }).map(drop)
    }

    /// `ASHMEM_GET_PIN_STATUS`.
    ///
    /// # Errors
    ///
    /// Those of [`Area::pin`](super::Area::pin).
    pub fn pin_status(&self, offset: u32, len: u32) -> Answer<PinStatus> {
        Ok(match self.with(request::GET_PIN_STATUS, &mut PinArgument { offset, len })? {
            0 => PinStatus::Unpinned,
            _ => PinStatus::Pinned,
        })
    }

    /// `ASHMEM_PURGE_ALL_CACHES` - of *all* regions of the system; the number of pages that could be taken.
    ///
    /// # Errors
    ///
    /// EPERM without CAP_SYS_ADMIN.
    pub fn purge_all_caches(&self) -> Answer<usize> {
        self.by_value(request::PURGE_ALL_CACHES, 0)
    }

    /// `mmap(len, prot, MAP_SHARED or MAP_PRIVATE, offset)`.
    ///
    /// # Errors
    ///
    /// Those of [`Area::mmap`](super::Area::mmap).
    pub fn mmap(&self, len: usize, prot: Prot, shared: bool, offset: u64) -> Answer<DeviceMapping> {
        let prot = ProtFlags::from_bits_retain(prot.bits());
        let flags = if shared { MapFlags::SHARED } else { MapFlags::PRIVATE };
        // SAFETY: at an address of the kernel's choice, so nothing that this process has is replaced.
        let mapped = unsafe { rustix::mm::mmap(ptr::null_mut(), len, prot, flags, &self.fd, offset) };
        match mapped {
            Ok(address) => Ok(DeviceMapping { address, len }),
            Err(e) => Err(Errno::from_raw(e.raw_os_error())),
        }
    }

    /// Maps and unmaps a page without access: from then on name and size are what they are, for everybody.
    ///
    /// # Errors
    ///
    /// EINVAL for a region without size.
    pub fn freeze(&self) -> Answer<()> {
        self.mmap(PAGE, Prot::NONE, true, 0).map(drop)
    }

    /// The number of the descriptor.
    fn number(&self) -> RawFd {
        self.fd.as_fd().as_raw_fd()
    }

    /// An ioctl whose argument is a number, or nothing.
    fn by_value(&self, request: c_ulong, argument: usize) -> Answer<usize> {
        // SAFETY: with these requests the driver takes the argument as a number, and touches no memory.
        let answer = unsafe { libc::syscall(libc::SYS_ioctl, self.number(), request, argument) };
        answered(answer)
    }

    /// An ioctl whose argument is read, or written, by the driver.
    fn with<T>(&self, request: c_ulong, argument: &mut T) -> Answer<usize> {
        let argument = ptr::from_mut(argument);
        // SAFETY: each caller passes the structure that its request is about; it is not kept by the driver.
        let answer = unsafe { libc::syscall(libc::SYS_ioctl, self.number(), request, argument) };
        answered(answer)
    }
}

impl<F: AsFd> AsFd for Device<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Device> for OwnedFd {
    fn from(device: Device) -> Self {
        device.fd
    }
}

/// A mapping as it comes from the driver: an address, and nothing proved about what lies there. Unmapped when
/// dropped.
#[derive(Debug)]
pub struct DeviceMapping {
    /// Where the kernel put it.
    address: *mut c_void,
    /// As it was asked for.
    len: usize,
}

impl DeviceMapping {
    /// Where it is. What may be touched there, and whether it is a signal, is for the caller to know.
    #[must_use]
    pub const fn address(&self) -> *mut c_void {
        self.address
    }

    /// `mprotect(prot)`.
    ///
    /// # Errors
    ///
    /// EACCES for what was not in the region's mask when this was mapped.
    pub fn protect(&self, prot: Prot) -> Answer<()> {
        let prot = MprotectFlags::from_bits_retain(prot.bits());
        // SAFETY: our own mapping, of which no reference is ever made.
        let done = unsafe { rustix::mm::mprotect(self.address, self.len, prot) };
        done.map_err(|e| Errno::from_raw(e.raw_os_error()))
    }
}

impl Drop for DeviceMapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `mmap` with this length, and unmapped here alone.
        let done = unsafe { rustix::mm::munmap(self.address, self.len) };
        debug_assert!(done.is_ok(), "a mapping of ours can be unmapped");
    }
}

/// Whether an open file is one of this system's driver.
pub(crate) fn is_device(found: &Stat) -> bool {
    if FileType::from_raw_mode(found.st_mode) != FileType::CharacterDevice {
        return false;
    }
    // As libcutils does it: every open file of the driver has the device's number.
    Device::open().is_ok_and(|device| stat(&device).is_ok_and(|ours| ours.st_rdev == found.st_rdev))
}

fn open(path: &str) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| Error::system(format!("open({path})"), e.raw_os_error(), OPEN))
}

/// The answer of a system call, or its errno.
fn answered(answer: c_long) -> Answer<usize> {
    // With 32 bits, sizes of 2 GiB and more come as negative numbers.
    #[allow(clippy::cast_possible_truncation)] // a `c_long` is as wide as a `usize`
    Errno::result(answer).map(|answer| answer as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requests_have_the_numbers_of_the_header() {
        let all = [
            request::SET_NAME,
            request::GET_NAME,
            request::SET_SIZE,
            request::GET_SIZE,
            request::SET_PROT_MASK,
            request::GET_PROT_MASK,
            request::PIN,
            request::UNPIN,
            request::GET_PIN_STATUS,
            request::PURGE_ALL_CACHES,
        ];
        let size_t = if cfg!(target_pointer_width = "64") { 8 } else { 4 };
        let header = [
            0x4100_7701,
            0x8100_7702,
            0x4000_7703 | size_t << 16,
            0x7704,
            0x4000_7705 | size_t << 16,
            0x7706,
            0x4008_7707,
            0x4008_7708,
            0x7709,
            0x770a,
        ];
        assert_eq!(all, header);
    }

    #[test]
    fn what_is_no_ashmem_is_refused() {
        let null = std::fs::File::open("/dev/null").expect("/dev/null");
        assert!(Device::from_fd(null.into()).is_err_and(|refused| refused.is_not_a_region()));
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        assert!(Device::from_fd(reader.into()).is_err_and(|refused| refused.is_not_a_region()));
    }
}
