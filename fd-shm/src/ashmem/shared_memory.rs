//! Android's `SharedMemory` (API 27): a region that is mapped in parts, and whose rights only shrink.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use rustix::param::page_size;

use super::prot::Prot;
use super::region::Region;
use crate::error::{Error, Kind, Result};
use crate::mapping::{Mapping, ReadMapping};

/// `android.os.SharedMemory`, with the contract that Java's class has.
///
/// What is an exception there is an [`Error`] here: an `IllegalArgumentException` one that
/// [`is_invalid_input`](Error::is_invalid_input), an `ErrnoException` one with an errno. `close` is dropping:
/// mappings stay valid, and what Java answers with an `IllegalStateException`, a use after `close`, does not
/// compile. As a `Parcelable` it is its descriptor and nothing else: [`as_fd`](AsFd::as_fd) on one side,
/// [`from_fd`](Self::from_fd) on the other.
///
/// # Examples
///
/// What is sent can be made read-only first. The sender's own mapping keeps its right, a later one has none:
///
/// ```
/// use fd_shm::ashmem::{Prot, SharedMemory};
///
/// let memory = SharedMemory::create("picture", 5000)?;
/// let ours = memory.map_read_write()?;
/// memory.set_protect(Prot::READ)?;
///
/// let theirs = SharedMemory::from_fd(memory.try_clone()?.into())?;
/// assert_eq!(theirs.size(), 5000); // asked of the descriptor
/// assert!(theirs.map_read_write().is_err());
/// let theirs = theirs.map_read_only()?;
/// ours.write(4998, b"ok")?;
/// let mut seen = [0; 2];
/// theirs.read(4998, &mut seen)?;
/// assert_eq!(&seen, b"ok");
/// # Ok::<(), fd_shm::Error>(())
/// ```
///
/// # References
///
/// `frameworks/base/core/java/android/os/SharedMemory.java`.
#[derive(Debug)]
pub struct SharedMemory {
    /// What is shared.
    region: Region,
}

impl SharedMemory {
    /// A new region of `size` zero bytes. Nobody can purge it: the class has no such call.
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](Error::is_invalid_input) for a size of 0, or beyond Java's `int`; those of
    /// [`Region::create`].
    pub fn create(name: &str, size: usize) -> Result<Self> {
        if i32::try_from(size).is_err() {
            let call = format!("SharedMemory::create(\"{}\", {size})", name.escape_default());
            return Err(Error::refused(call, Kind::InvalidInput, "a size is Java's int: below 2 GiB"));
        }
        Ok(Self { region: Region::create(name, size)? })
    }

    /// Takes a descriptor that was handed over, and asks it for its size.
    ///
    /// # Errors
    ///
    /// Those of [`Region::from_fd`].
    #[doc(alias = "CREATOR")]
    pub fn from_fd(fd: OwnedFd) -> Result<Self> {
        Ok(Self { region: Region::from_fd(fd)? })
    }

    /// Another descriptor of the same region, to keep or to hand over.
    ///
    /// # Errors
    ///
    /// Those of [`Region::try_clone`].
    #[doc(alias = "ASharedMemory_dupFromJava")]
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self { region: self.region.try_clone()? })
    }

    /// The number of bytes, as asked for.
    pub fn size(&self) -> usize {
        self.region.len()
    }

    /// Takes rights away from every later mapping, in every process. (Java answers
    /// `false` where this is an error.)
    ///
    /// # Errors
    ///
    /// Those of [`Region::set_prot_mask`].
    pub fn set_protect(&self, prot: Prot) -> Result<()> {
        self.region.set_prot_mask(prot)
    }

    /// All of it, for reading.
    ///
    /// # Errors
    ///
    /// Those of [`map`](Self::map).
    pub fn map_read_only(&self) -> Result<SharedBuffer> {
        self.map(Prot::READ, 0, self.size())
    }

    /// All of it, for reading and writing.
    ///
    /// # Errors
    ///
    /// Those of [`map`](Self::map).
    pub fn map_read_write(&self) -> Result<SharedBuffer> {
        self.map(Prot::READ | Prot::WRITE, 0, self.size())
    }

    /// `mmap(len, prot, MAP_SHARED, offset)` - a part of it.
    ///
    /// # Errors
    ///
    /// * [`is_invalid_input`](Error::is_invalid_input) for a length of 0, or a part that reaches past
    ///   the end; also for rights that are not "read" or "read and write" (memory that others
    ///   write is never run from here);
    /// * EINVAL for an offset that is no multiple of a page;
    /// * EPERM ([`is_sealed`](Error::is_sealed)) for writing, after
    ///   [`set_protect`](Self::set_protect) took that away.
    pub fn map(&self, prot: Prot, offset: usize, len: usize) -> Result<SharedBuffer> {
        let call = || format!("SharedMemory::map({prot}, {offset}, {len})");
        let size = self.size();
        if len == 0 || offset > size || len > size - offset {
            let text = format!("a part has a byte at least, and lies in the {size} bytes");
            return Err(Error::refused(call(), Kind::InvalidInput, text));
        }
        if !offset.is_multiple_of(page_size()) {
            let known = Error::system(call(), Errno::EINVAL as i32, &[]);
            return Err(known.because(Kind::InvalidInput, "a mapping begins at a page of the region"));
        }
        let fd = self.region.as_fd();
        match (prot.contains(Prot::READ), prot.contains(Prot::WRITE)) {
            _ if prot.contains(Prot::EXEC) => {
                Err(Error::refused(call(), Kind::InvalidInput, "what others can write is not run"))
            }
            (false, _) => Err(Error::refused(call(), Kind::InvalidInput, "a mapping that cannot be read")),
            (true, false) => Ok(SharedBuffer::Read(ReadMapping::of_part(fd, offset, len)?)),
            (true, true) => Ok(SharedBuffer::Write(Mapping::of_part(fd, offset, len)?)),
        }
    }
}

impl AsFd for SharedMemory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.region.as_fd()
    }
}

impl From<SharedMemory> for OwnedFd {
    fn from(memory: SharedMemory) -> Self {
        memory.region.into()
    }
}

/// What [`SharedMemory::map`] gives: Java's `ByteBuffer`, whose bytes others write meanwhile. Dropping it is
/// `unmap`.
#[derive(Debug)]
pub enum SharedBuffer {
    /// Mapped for reading alone.
    Read(ReadMapping),
    /// Mapped for reading and writing.
    Write(Mapping),
}

impl SharedBuffer {
    /// How many bytes are mapped.
    #[allow(clippy::len_without_is_empty)] // never empty
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Read(mapping) => mapping.len(),
            Self::Write(mapping) => mapping.len(),
        }
    }

    /// Whether it cannot be written: `ByteBuffer.isReadOnly`.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        matches!(self, Self::Read(_))
    }

    /// Copies bytes out, from `offset` on: `ByteBuffer.get`.
    ///
    /// # Errors
    ///
    /// [`is_out_of_bounds`](Error::is_out_of_bounds) past the end.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Result<()> {
        let done = match self {
            Self::Read(mapping) => mapping.copy_out(offset, to),
            Self::Write(mapping) => mapping.copy_out(offset, to),
        };
        done.map_err(|refused| refused.of(|| format!("SharedBuffer::read({offset}, {} bytes)", to.len())))
    }

    /// Copies bytes in, from `offset` on: `ByteBuffer.put`.
    ///
    /// # Errors
    ///
    /// [`is_out_of_bounds`](Error::is_out_of_bounds) past the end; [`is_read_only`](Error::is_read_only) for
    /// a mapping that cannot be written (Java's `ReadOnlyBufferException`).
    pub fn write(&self, offset: usize, from: &[u8]) -> Result<()> {
        let call = || format!("SharedBuffer::write({offset}, {} bytes)", from.len());
        match self {
            Self::Write(mapping) => mapping.copy_in(offset, from).map_err(|refused| refused.of(call)),
            Self::Read(_) => Err(Error::refused(call(), Kind::ReadOnly, "mapped for reading alone")),
        }
    }
}
