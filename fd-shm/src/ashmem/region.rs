//! An ashmem-style region: a name, a size that is fixed from the start, and a descriptor.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::error::{Error, Kind, Result};
use crate::fixed::FixedFd;
use crate::mapping::{Mapping, ReadMapping};
use crate::memfd::{self, Memfd};
use crate::seals::Seals;
use crate::shareable::Shareable;

/// A memory region as Android makes them: created with a name and a size, found by nobody, shared by handing
/// its descriptor over.
///
/// # Invariants
///
/// Those of [`FixedFd`], and the file has a memory file's name.
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
/// # References
///
/// `ashmem_create_region` in Android's `libcutils/ashmem-dev.cpp`, memfd mode; `ASharedMemory_create` in the
/// NDK.
#[derive(Debug)]
pub struct Region {
    /// The descriptor, whose size nobody can change.
    fd: FixedFd,
}

impl Region {
    /// `memfd_create(name)`, `ftruncate(size)`, `fcntl(F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)` - a new
    /// region of `size` zero bytes.
    ///
    /// ashmem freezes the size when the region is first mapped; here it is frozen before anybody can have the
    /// descriptor. The size is kept as asked, though the last page is mapped whole. No memory is taken until
    /// a page is touched.
    ///
    /// # Errors
    ///
    /// * [`is_bad_input`](Error::is_bad_input) when the size is 0, the name is longer than
    ///   [`NAME_MAX`](crate::NAME_MAX) bytes (ashmem would cut it at 255), or it has a zero byte;
    /// * EMFILE, ENFILE when descriptors run out; EFBIG when the size is beyond the kernel's limit.
    #[doc(alias = "ashmem_create_region")]
    #[doc(alias = "ASharedMemory_create")]
    pub fn create(name: &str, size: usize) -> Result<Self> {
        if size == 0 {
            let call = format!("Region::create(\"{}\", 0)", name.escape_default());
            return Err(Error::refused(call, Kind::BadInput, "a region of size 0 can never be mapped"));
        }
        let memfd = Memfd::create(name)?;
        memfd.set_len(size as u64)?;
        memfd.add_seals(Seals::SHRINK | Seals::GROW)?;
        Ok(Self { fd: FixedFd::just_sealed(memfd.into(), size) })
    }

    /// Takes a descriptor that somebody handed over, and checks it: what a receiver does.
    ///
    /// # Errors
    ///
    /// Those of [`FixedFd::new`]. A descriptor that is refused is closed.
    pub fn from_fd(fd: OwnedFd) -> Result<Self> {
        Ok(Self { fd: FixedFd::new(fd)? })
    }

    /// `readlink(/proc/self/fd/N)` - the name that the region was created with: a label for people, unique to
    /// nothing.
    ///
    /// # Errors
    ///
    /// ENOENT when `/proc` is not mounted.
    #[doc(alias = "ASHMEM_GET_NAME")]
    pub fn name(&self) -> Result<OsString> {
        memfd::name(self.as_fd())
    }

    /// The number of bytes asked for at creation; never rounded.
    #[doc(alias = "ashmem_get_size_region")]
    #[doc(alias = "ASharedMemory_getSize")]
    #[allow(clippy::len_without_is_empty)] // never empty: an invariant of `FixedFd`
    pub fn len(&self) -> usize {
        self.fd.len()
    }

    /// `fcntl(fd, F_GET_SEALS)` - what can never be done to this region again; F_SEAL_SHRINK is among it.
    ///
    /// # Errors
    ///
    /// None known.
    pub fn seals(&self) -> Result<Seals> {
        self.fd.seals()
    }

    /// `mmap(PROT_READ | PROT_WRITE, MAP_SHARED)` - maps all of it, with a `T` at its beginning.
    ///
    /// # Errors
    ///
    /// Those of [`FixedFd::map`].
    pub fn map<T: Shareable>(&self) -> Result<Mapping<T>> {
        self.fd.map()
    }

    /// `mmap(PROT_READ, MAP_SHARED)` - maps all of it for loads only, with a view of `T` at its beginning.
    ///
    /// # Errors
    ///
    /// Those of [`FixedFd::map_read_only`].
    pub fn map_read_only<T: Shareable>(&self) -> Result<ReadMapping<T>> {
        self.fd.map_read_only()
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
        Self { fd }
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
