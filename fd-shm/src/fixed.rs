//! A descriptor that was *checked* unable to shrink: the only way to a safe mapping.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, OFlags, Stat};

use crate::error::{Error, Kind, Result};
use crate::mapping::{Mapping, ReadMapping};
use crate::seals::{self, Seals};
use crate::shareable::Shareable;

/// The page size of every target; a block size above it shows huge pages.
const SMALL_BLOCK: u64 = 4096;

/// `f_type` of hugetlbfs, from `linux/magic.h`.
const HUGETLBFS_MAGIC: u64 = 0x9584_58f6;

/// A memory region that nobody, in any process, can make smaller.
///
/// A mapping is a promise of memory; whoever can shrink the file can break it, and the next touch is SIGBUS.
/// Most receivers trust the sender not to. This type trusts nobody: it looks at what came, and only then can
/// it be mapped without `unsafe`. What a peer can still do is write anything at any moment, and punch holes
/// (which then read as zero): neither of them breaks a [`Mapping`]. What else a receiver relies on, a size or
/// further seals, [`Expected`](crate::Expected) checks.
///
/// # Invariants
///
/// * The file is a memory file with F_SEAL_SHRINK, on tmpfs, and has at least `len` bytes; seals are never
///   taken away, so this stays true whatever any process does.
/// * `len` is above 0.
/// * The descriptor is open for reading.
///
/// # References
///
/// `fcntl(2)`, "File Sealing"; `mm/shmem.c` (`shmem_setattr`, where a shrink is refused).
#[derive(Debug)]
pub struct FixedFd {
    /// The descriptor.
    fd: OwnedFd,
    /// The size when it was checked; the file may have grown since, unless that is sealed as well.
    len: usize,
}

impl FixedFd {
    /// Checks that `fd` is a memory region which nobody can shrink.
    ///
    /// A descriptor that is refused is closed; keep a `try_clone` to look at it afterwards.
    ///
    /// # Errors
    ///
    /// * [`is_not_a_region`](Error::is_not_a_region): no memory file (the text says what it is), one of huge
    ///   pages (a peer can free a page, and touching it when no other is free is SIGBUS), one of size 0, or a
    ///   descriptor that was opened write-only or with O_PATH;
    /// * [`is_shrinkable`](Error::is_shrinkable): a memory file without F_SEAL_SHRINK.
    ///
    /// # Examples
    ///
    /// ```
    /// use fd_shm::{FixedFd, Memfd, Seals};
    ///
    /// let memfd = Memfd::create("unsealed")?;
    /// memfd.set_len(4096)?;
    /// assert!(FixedFd::new(memfd.into()).is_err_and(|refused| refused.is_shrinkable()));
    /// # Ok::<(), fd_shm::Error>(())
    /// ```
    pub fn new(fd: OwnedFd) -> Result<Self> {
        let call = || format!("FixedFd::new({})", fd.as_raw_fd());
        check_access(&fd)?;
        // The seals before the size: once the shrink seal has been seen, the size that follows can only be
        // too small.
        let sealed = seals::get(&fd).map_err(|refused| match stat(&fd) {
            Ok(found) => refused.because(Kind::NotARegion, not_memory(&found)),
            Err(_) => refused,
        })?;
        if !sealed.contains(Seals::SHRINK) {
            let text = "F_SEAL_SHRINK is missing: a holder could cut it under a mapping";
            return Err(Error::refused(call(), Kind::Shrinkable, text));
        }
        let found = stat(&fd)?;
        check_small_pages(&fd, &found)?;
        match usize::try_from(found.st_size) {
            Ok(0) => {
                Err(Error::refused(call(), Kind::NotARegion, "a memory file of size 0 holds nothing to map"))
            }
            // INVARIANT: readable, sealed against shrinking, of small pages, and not empty, by the checks
            // above.
            Ok(len) => Ok(Self { fd, len }),
            Err(_) => Err(Error::refused(call(), Kind::NotARegion, "larger than this process can address")),
        }
    }

    /// Takes a descriptor that this crate has just made, of `len` bytes and with F_SEAL_SHRINK: nothing is
    /// left to check.
    pub(crate) fn just_sealed(fd: OwnedFd, len: usize) -> Self {
        // INVARIANT: the only caller made the file (readable, of small pages), sized it above 0, and then
        // sealed it.
        Self { fd, len }
    }

    /// The number of bytes, as it was when the descriptor was checked. It is not rounded up to pages.
    #[allow(clippy::len_without_is_empty)] // never empty: an invariant
    pub fn len(&self) -> usize {
        self.len
    }

    /// `fcntl(fd, F_GET_SEALS)` - what can never be done to this region again; F_SEAL_SHRINK is among it.
    ///
    /// # Errors
    ///
    /// None known.
    pub fn seals(&self) -> Result<Seals> {
        seals::get(&self.fd)
    }

    /// `mmap(PROT_READ | PROT_WRITE, MAP_SHARED)` - maps all of it, with a `T` at its beginning.
    ///
    /// # Errors
    ///
    /// * [`is_out_of_bounds`](Error::is_out_of_bounds) when a `T` does not fit;
    /// * EPERM ([`is_sealed`](Error::is_sealed)) when writing is sealed;
    /// * EACCES when the descriptor is open for reading only;
    /// * ENOMEM when the address space, or the number of mappings, is exhausted.
    pub fn map<T: Shareable>(&self) -> Result<Mapping<T>> {
        Mapping::new(self)
    }

    /// `mmap(PROT_READ, MAP_SHARED)` - maps all of it for loads only, with a view of `T` at its beginning.
    ///
    /// The contents still change when another process writes: read-only is a limit on this process, not on
    /// the memory.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map), except that neither seals nor a read-only descriptor stand in the way.
    pub fn map_read_only<T: Shareable>(&self) -> Result<ReadMapping<T>> {
        ReadMapping::new(self)
    }
}

impl AsFd for FixedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl TryFrom<OwnedFd> for FixedFd {
    type Error = Error;

    fn try_from(fd: OwnedFd) -> Result<Self> {
        Self::new(fd)
    }
}

impl From<FixedFd> for OwnedFd {
    fn from(fixed: FixedFd) -> Self {
        fixed.fd
    }
}

/// Refuses descriptors that cannot be read through.
fn check_access(fd: &OwnedFd) -> Result<()> {
    let call = format!("fcntl({}, F_GETFL)", fd.as_raw_fd());
    let flags = match rustix::fs::fcntl_getfl(fd) {
        Ok(flags) => flags,
        Err(e) => return Err(Error::system(call, e.raw_os_error(), &[])),
    };
    if flags.contains(OFlags::PATH) {
        let text = "opened with O_PATH: it names a file and opens nothing";
        return Err(Error::refused(call, Kind::NotARegion, text));
    }
    if flags & OFlags::RWMODE == OFlags::WRONLY {
        return Err(Error::refused(
            call,
            Kind::NotARegion,
            "opened write-only: no mapping can be made from it",
        ));
    }
    Ok(())
}

/// Refuses huge pages. Their pool can run dry: a peer punches a hole, another program takes the page, and the
/// next touch is SIGBUS. Small pages come from all of memory, where the answer to a shortage is not a signal
/// to the reader.
fn check_small_pages(fd: &OwnedFd, found: &Stat) -> Result<()> {
    // Only huge pages of either kind (hugetlbfs, or tmpfs with transparent ones) have larger blocks: nearly
    // always this spares the second call.
    if u64::try_from(found.st_blksize).is_ok_and(|block| block <= SMALL_BLOCK) {
        return Ok(());
    }
    let call = format!("fstatfs({})", fd.as_raw_fd());
    match rustix::fs::fstatfs(fd) {
        Ok(fs) if u64::try_from(fs.f_type).is_ok_and(|magic| magic == HUGETLBFS_MAGIC) => {
            let text = "a memory file of huge pages: when none is free, touching a hole in it is SIGBUS";
            Err(Error::refused(call, Kind::NotARegion, text))
        }
        Ok(_) => Ok(()),
        Err(e) => Err(Error::system(call, e.raw_os_error(), &[])),
    }
}

/// `fstat(fd)`.
fn stat(fd: &OwnedFd) -> Result<Stat> {
    rustix::fs::fstat(fd)
        .map_err(|e| Error::system(format!("fstat({})", fd.as_raw_fd()), e.raw_os_error(), &[]))
}

/// What a descriptor that has no seals is instead.
fn not_memory(found: &Stat) -> &'static str {
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Fifo => "a pipe, not a memory region",
        FileType::Socket => "a socket, not a memory region",
        FileType::Directory => "a directory, not a memory region",
        FileType::CharacterDevice => "a character device, not a memory region",
        FileType::BlockDevice => "a block device, not a memory region",
        FileType::RegularFile => "an ordinary file, which whoever may write to it can shrink",
        _ => "no file of any known type, so not a memory region",
    }
}
