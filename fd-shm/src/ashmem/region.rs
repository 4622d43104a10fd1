//! An ashmem-style region: a name, a size that is fixed from the start, a descriptor, and pins.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::sync::Mutex;

use nix::errno::Errno;
use rustix::fs::{Mode, fchmod};

use super::device::Device;
use super::layout::Layout;
use super::pins::Pins;
use super::prot::Prot;
use crate::error::{Error, Kind, Meanings, Result};
use crate::fixed::{FixedFd, KEEPS_PINS, Keeper};
use crate::head::Head;
use crate::mapping::{Mapping, ReadMapping};
use crate::memfd::{self, Memfd};
use crate::seals::{self, Seals};

/// What ashmem's answers to pin operations mean here.
pub(super) const ASHMEM: Meanings = &[
    (Errno::EINVAL, Kind::InvalidInput, "offset and length are whole pages of the region, below 4 GiB"),
    (Errno::EPERM, Kind::PermissionDenied, "the driver purges for CAP_SYS_ADMIN alone"),
];

/// What its answer to a mask means.
const MASK: Meanings = &[(Errno::EINVAL, Kind::InvalidInput, "a mask only ever loses bits")];

/// Who keeps the pins of a region, and so what [`Region::unpin`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pinning {
    /// Nobody, as Android's own memfd regions have it: every call succeeds and changes nothing, and all of
    /// the region is pinned. The file is as long as the region, like any memory file.
    Ignored,
    /// The region's holders, in the region's own file, behind the data. A purge punches holes into it.
    Kept,
    /// The ashmem driver, where this kernel has it. The system purges when memory is short.
    Driver,
}

/// A memory region as Android makes them: created with a name and a size, found by nobody, shared by handing
/// its descriptor over; and, if it was [made so](Self::create_purgeable), with pages that can be lent to the
/// system.
///
/// # Pins
///
/// All of a region is pinned at first. [`unpin`](Self::unpin) says that the content of some pages can be made
/// again, so their memory may be taken; [`pin`](Self::pin) says that it is needed, and tells whether it was
/// lost meanwhile. The pages stay mapped and can be touched all the time: what was taken reads as zeros.
/// Every rule is the driver's, as [`Area`](super::Area) has it, odd ones included, and holds between all
/// holders of the region, in any process: the state lies behind the data in the region's file, under a lock
/// that is the driver's mutex seen from user space ([`SlotLock`](crate::lock::SlotLock)).
///
/// What differs from the driver, because a memory file cannot do it:
/// * Nobody purges by itself: somebody has to call [`purge_all`](Self::purge_all),
///   [`evict_one`](Self::evict_one), or a [`Shrinker`](super::Shrinker) for many regions.
/// * Dropping PROT_WRITE from the mask is F_SEAL_FUTURE_WRITE, under which the kernel punches no
///   hole. From then on every pin operation answers [`is_sealed`](Error::is_sealed). PROT_READ
///   and PROT_EXEC stay in the mask.
/// * The size is fixed, and pins count, from the start, not from the first mapping on.
/// * Pins live as long as the file does, not as long as the last descriptor.
///
/// A peer can write whatever it likes over the state. Then operations answer
/// [`is_damaged`](Error::is_damaged), or are told something untrue about what can be written and
/// purged by that peer anyhow; they never crash, hang or touch anything but the region. Each
/// waits at most 10 s for its turn.
///
/// An operation costs about a third of a microsecond, and hardly grows with the number of unpinned ranges: by
/// a third from one to a thousand. Where processes take turns it doubles at most, since each reads what the
/// others have written meanwhile. Only one who has missed many changes (more than 32 ranges) reads all of
/// them again, at up to 0.2 us each.
///
/// # Invariants
///
/// Those of [`FixedFd`], and the file has a memory file's name, or the driver's.
///
/// # Examples
///
/// ```
/// use fd_shm::Region;
///
/// let region = Region::create("frames", 10_000)?;
/// assert_eq!((region.name()?.to_str(), region.len()), (Some("frames"), 10_000));
/// # Ok::<(), fd_shm::Error>(())
/// ```
///
/// A cache that can be made again:
///
/// ```
/// use fd_shm::Region;
/// use fd_shm::ashmem::Pinning;
///
/// let cache = Region::create_with("thumbnails", 1 << 20, Pinning::Kept)?;
/// cache.map::<()>()?.copy_in(0, b"pixels")?;
/// cache.unpin(0, 0)?; // all of it
///
/// cache.purge_all()?; // memory is short: anybody who has the descriptor can do this
///
/// assert!(cache.pin(0, 0)?.was_purged(), "draw them again");
/// assert!(!cache.pin(0, 0)?.was_purged(), "told once");
/// # Ok::<(), fd_shm::Error>(())
/// ```
///
/// # References
///
/// `ashmem_create_region` in Android's `libcutils/ashmem-dev.cpp`, memfd mode; `ASharedMemory_create` in the
/// NDK; `drivers/staging/android/ashmem.c`.
#[derive(Debug)]
pub struct Region {
    /// The descriptor, whose size nobody can change.
    pub(super) fd: FixedFd,
    /// Our party to the pins, from the first operation on.
    pub(super) pins: Mutex<Option<Pins>>,
}

impl Region {
    /// `memfd_create(name)`, `ftruncate(size)`, `fcntl(F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)` - a new
    /// region of `size` zero bytes, all of it pinned for good.
    ///
    /// ashmem freezes the size when the region is first mapped; here it is frozen before anybody can have the
    /// descriptor. The size is kept as asked, though the last page is mapped whole. No memory is taken until
    /// a page is touched.
    ///
    /// # Errors
    ///
    /// * [`is_invalid_input`](Error::is_invalid_input) when the size is 0, the name is longer than
    ///   [`NAME_MAX`](crate::NAME_MAX) bytes (ashmem would cut it at 255), or it has a zero byte;
    /// * EMFILE, ENFILE when descriptors run out; EFBIG when the size is beyond the kernel's limit.
    #[doc(alias = "ashmem_create_region")]
    #[doc(alias = "ASharedMemory_create")]
    pub fn create(name: &str, size: usize) -> Result<Self> {
        Self::create_with(name, size, Pinning::Ignored)
    }

    /// A new region whose pages can be unpinned: of the ashmem driver where this system has one, else a
    /// memory file that keeps its own pins.
    ///
    /// # Errors
    ///
    /// Those of [`create_with`](Self::create_with).
    #[doc(alias = "ashmem_create_region")]
    pub fn create_purgeable(name: &str, size: usize) -> Result<Self> {
        match Self::create_with(name, size, Pinning::Driver) {
            Err(refused) if refused.is_no_driver() || refused.is_permission_denied() => {
                Self::create_with(name, size, Pinning::Kept)
            }
            made => made,
        }
    }

    /// A new region of `size` zero bytes, whose pins are kept by whom you say.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Self::create); for [`Pinning::Driver`] those of [`Device::open`].
    pub fn create_with(name: &str, size: usize, pinning: Pinning) -> Result<Self> {
        let call = || format!("Region::create(\"{}\", {size})", name.escape_default());
        if size == 0 {
            return Err(Error::refused(call(), Kind::InvalidInput, "a region of size 0 can never be mapped"));
        }
        if pinning == Pinning::Driver {
            let device = Device::open()?;
            let sized = device.set_name(name.as_bytes()).and_then(|()| device.set_size(size));
            sized.map_err(|errno| Error::system(call(), errno as i32, ASHMEM))?;
            return Ok(FixedFd::of_driver(device.into())?.into());
        }
        let memfd = Memfd::create(name)?;
        let mut keeper = Keeper::Nobody;
        if pinning == Pinning::Kept {
            let Some(layout) = Layout::of_data(size) else {
                return Err(Error::refused(call(), Kind::InvalidInput, "no file has so many bytes"));
            };
            fchmod(&memfd, KEEPS_PINS | Mode::from_raw_mode(0o666))
                .map_err(|e| Error::system(call(), e.raw_os_error(), &[]))?;
            keeper = Keeper::Holders(layout);
        }
        memfd.set_len(keeper.file_len(size) as u64)?;
        memfd.add_seals(Seals::SHRINK | Seals::GROW)?;
        Ok(FixedFd::just_sealed(memfd.into(), size, keeper).into())
    }

    /// Takes a descriptor that somebody handed over, and checks it: what a receiver does. Whether
    /// it keeps pins is seen from it.
    ///
    /// # Errors
    ///
    /// Those of [`FixedFd::new`]. A descriptor that is refused is closed.
    #[doc(alias = "ashmem_valid")]
    pub fn from_fd(fd: OwnedFd) -> Result<Self> {
        Ok(FixedFd::new(fd)?.into())
    }

    /// `fcntl(fd, F_DUPFD_CLOEXEC)` - another descriptor of the same open file, to keep or, as an
    /// [`OwnedFd`], to hand over. Over pins it is a party of its own, as one in another process would be.
    ///
    /// # Errors
    ///
    /// Those of [`FixedFd::try_clone`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::fs::File;
    /// use std::os::fd::OwnedFd;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// let region = fd_shm::Region::create("frames", 4096)?;
    /// let ours = region.map::<AtomicU32>()?;
    /// ours.store(7, Ordering::Relaxed);
    /// assert_eq!(region.try_clone()?.map::<AtomicU32>()?.load(Ordering::Relaxed), 7);
    /// let file = File::from(OwnedFd::from(region.try_clone()?));
    /// # assert_eq!(file.metadata().expect("open").len(), 4096);
    /// # Ok::<(), fd_shm::Error>(())
    /// ```
    pub fn try_clone(&self) -> Result<Self> {
        Ok(self.fd.try_clone()?.into())
    }

    /// `readlink(/proc/self/fd/N)` - the name that the region was created with: a label for people, unique to
    /// nothing.
    ///
    /// # Errors
    ///
    /// ENOENT when `/proc` is not mounted.
    #[doc(alias = "ASHMEM_GET_NAME")]
    pub fn name(&self) -> Result<OsString> {
        if self.pinning() == Pinning::Driver {
            return self.driver("name()", |device| device.name().map(OsString::from_vec));
        }
        memfd::name(self.as_fd())
    }

    /// The number of bytes asked for at creation; never rounded.
    #[doc(alias = "ashmem_get_size_region")]
    #[doc(alias = "ASharedMemory_getSize")]
    #[doc(alias = "ASHMEM_GET_SIZE")]
    #[allow(clippy::len_without_is_empty)] // never empty: an invariant of `FixedFd`
    pub fn len(&self) -> usize {
        self.fd.len()
    }

    /// Who keeps its pins.
    pub fn pinning(&self) -> Pinning {
        match self.fd.keeper() {
            Keeper::Nobody => Pinning::Ignored,
            Keeper::Holders(_) => Pinning::Kept,
            Keeper::Driver => Pinning::Driver,
        }
    }

    /// `fcntl(fd, F_GET_SEALS)` - what can never be done to this region again; F_SEAL_SHRINK is among it. Of
    /// a region of the driver, what its mask and its frozen size come to.
    ///
    /// # Errors
    ///
    /// None known.
    pub fn seals(&self) -> Result<Seals> {
        self.fd.seals()
    }

    /// What later mappings may ask for: all, or all but PROT_WRITE once writing is sealed.
    ///
    /// # Errors
    ///
    /// None known.
    #[doc(alias = "ASHMEM_GET_PROT_MASK")]
    pub fn prot_mask(&self) -> Result<Prot> {
        if self.pinning() == Pinning::Driver {
            return self.driver("prot_mask()", |device| device.prot_mask());
        }
        let seals = self.seals()?;
        let sealed = seals.contains(Seals::WRITE) || seals.contains(Seals::FUTURE_WRITE);
        Ok(if sealed { Prot::READ | Prot::EXEC } else { Prot::ALL })
    }

    /// Takes rights away from every later mapping, through any descriptor; what is mapped keeps its rights.
    ///
    /// Without the driver this is F_SEAL_FUTURE_WRITE for a mask without PROT_WRITE, and a memory file can
    /// lose no other bit. A region sealed so is never purged again, and its pin operations say that.
    ///
    /// # Errors
    ///
    /// EINVAL ([`is_invalid_input`](Error::is_invalid_input)) for what is not in the present mask; EPERM
    /// ([`is_sealed`](Error::is_sealed)) when F_SEAL_SEAL forbids further seals.
    #[doc(alias = "ashmem_set_prot_region")]
    #[doc(alias = "ASharedMemory_setProt")]
    #[doc(alias = "ASHMEM_SET_PROT_MASK")]
    pub fn set_prot_mask(&self, mask: Prot) -> Result<()> {
        let refused =
            |errno: Errno| Error::system(format!("Region::set_prot_mask({mask})"), errno as i32, MASK);
        if self.pinning() == Pinning::Driver {
            return Device::of(self.as_fd()).set_prot_mask(mask).map_err(refused);
        }
        let present = self.prot_mask()?;
        if !present.contains(mask) {
            return Err(refused(Errno::EINVAL));
        }
        if mask.contains(Prot::WRITE) || !present.contains(Prot::WRITE) {
            return Ok(());
        }
        seals::add(self, Seals::FUTURE_WRITE)
    }

    /// `mmap(PROT_READ | PROT_WRITE, MAP_SHARED)` - maps all of it, with a `T` at its beginning.
    ///
    /// # Errors
    ///
    /// Those of [`FixedFd::map`].
    pub fn map<T: Head + ?Sized>(&self) -> Result<Mapping<T>> {
        self.fd.map()
    }

    /// `mmap(PROT_READ, MAP_SHARED)` - maps all of it for loads only, with a view of `T` at its beginning.
    ///
    /// # Errors
    ///
    /// Those of [`FixedFd::map_read_only`].
    pub fn map_read_only<T: Head + ?Sized>(&self) -> Result<ReadMapping<T>> {
        self.fd.map_read_only()
    }

    /// A call of the driver's.
    pub(super) fn driver<R>(
        &self,
        call: &str,
        ask: impl FnOnce(&Device<BorrowedFd<'_>>) -> std::result::Result<R, Errno>,
    ) -> Result<R> {
        ask(&Device::of(self.as_fd()))
            .map_err(|errno| Error::system(format!("Region::{call}"), errno as i32, ASHMEM))
    }
}

impl AsFd for Region {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A descriptor that was checked, by [`Expected::check`](crate::Expected::check) for instance.
impl From<FixedFd> for Region {
    fn from(fd: FixedFd) -> Self {
        // INVARIANT: what can be sealed and has the shrink seal is a memory file, which always has its name.
        Self { fd, pins: Mutex::new(None) }
    }
}

impl From<Region> for FixedFd {
    fn from(region: Region) -> Self {
        region.fd
    }
}

impl From<Region> for OwnedFd {
    fn from(region: Region) -> Self {
        region.fd.into()
    }
}
