//! A descriptor that was *checked* unable to shrink: the only way to a safe mapping.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use rustix::fs::{FileType, Mode, OFlags, Stat, StatFs};

use crate::ashmem::{Device, Layout, Prot, is_device};
use crate::error::{Error, Kind, Meanings, Result};
use crate::head::Head;
use crate::mapping::{Mapping, ReadMapping};
use crate::seals::{self, Seals};

/// The smallest page of any target. A file with larger blocks may have huge pages, and is looked at again.
const SMALL_BLOCK: u64 = 4096;

/// `f_type` of hugetlbfs, from `linux/magic.h`.
const HUGETLBFS_MAGIC: u32 = 0x9584_58f6;

/// The mode bit of a memory file that keeps pins behind its data. On a file it means nothing to Linux, a new
/// file does not have it, and it is in what `fstat` says anyhow.
pub(crate) const KEEPS_PINS: Mode = Mode::SVTX;

/// What the kernel means when it duplicates no descriptor.
const DUPLICATE: Meanings =
    &[(Errno::EMFILE, Kind::TableFull, "this process has no free descriptor (RLIMIT_NOFILE)")];

/// Who keeps a region's pins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// Nobody: all of it is always pinned.
    Nobody,
    /// Its holders, in its own file, which is longer than its data.
    Holders(Layout),
    /// The driver that it is a region of.
    Driver,
}

impl Keeper {
    /// How much of a file of `len` bytes is data.
    const fn data_len(self, len: usize) -> usize {
        match self {
            Self::Holders(layout) => layout.len(),
            Self::Nobody | Self::Driver => len,
        }
    }

    /// How long the file of `len` bytes of data is.
    pub(crate) fn file_len(self, len: usize) -> usize {
        match self {
            Self::Holders(layout) => layout.file_len(),
            Self::Nobody | Self::Driver => len,
        }
    }
}

/// A memory region that nobody, in any process, can make smaller.
///
/// A mapping is a promise of memory; whoever can shrink the file can break it, and the next touch is SIGBUS.
/// Most receivers trust the sender not to. This type trusts nobody: it looks at what came, and only then can
/// it be mapped without `unsafe`. What a peer can still do is write anything at any moment, and punch holes
/// (which then read as zero): neither of them breaks a [`Mapping`]. What else a receiver relies on, a size or
/// further seals, [`Expected`](crate::Expected) checks.
///
/// One SIGBUS is left, which no seal prevents: a memory file is charged page by page, when one is first
/// touched. Where an administrator has forbidden overcommit (`vm.overcommit_memory` is 2; it never is unless
/// set), the touch of a new page, or of one in a hole, is that signal once all of the system's limit is
/// charged. A page that one has touched stays, until a peer punches it out.
///
/// # Invariants
///
/// * The file is a memory file with F_SEAL_SHRINK, on tmpfs, and has at least `len` bytes (and those of the
///   layout of `keeper`); seals are never taken away, so this stays true whatever any process does. Or it is
///   a region of the ashmem driver that has been mapped, whose size is fixed since.
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
    /// Who keeps its pins.
    keeper: Keeper,
}

impl FixedFd {
    /// Checks that `fd` is a memory region which nobody can shrink. A region of the ashmem driver is mapped
    /// once, for a moment and without access, which fixes its size.
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
        let sealed = match seals::get(&fd) {
            Ok(sealed) => sealed,
            Err(refused) => match stat(&fd) {
                Ok(found) if is_device(&found) => return Self::of_driver(fd),
                Ok(found) => return Err(refused.because(Kind::NotARegion, not_memory(&found))),
                Err(_) => return Err(refused),
            },
        };
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
            Ok(len) => {
                let fixed =
                    sealed.contains(Seals::GROW) && Mode::from_raw_mode(found.st_mode).contains(KEEPS_PINS);
                let keeper = Layout::of_file(len).filter(|_| fixed).map_or(Keeper::Nobody, Keeper::Holders);
                Ok(Self { fd, len: keeper.data_len(len), keeper })
            }
            Err(_) => Err(Error::refused(call(), Kind::NotARegion, "larger than this process can address")),
        }
    }

    /// Takes a descriptor that this crate has just made, of `len` bytes and with F_SEAL_SHRINK: nothing is
    /// left to check.
    pub(crate) fn just_sealed(fd: OwnedFd, len: usize, keeper: Keeper) -> Self {
        // INVARIANT: the only caller made the file (readable, of small pages), sized it above 0 as the keeper
        // needs it, and then sealed it.
        Self { fd, len, keeper }
    }

    /// Takes a region of the ashmem driver, and fixes its size.
    pub(crate) fn of_driver(fd: OwnedFd) -> Result<Self> {
        let device = Device::of(fd.as_fd());
        let call = || format!("FixedFd::new({})", fd.as_raw_fd());
        // The size after the freezing: what it is then, it stays.
        let len = device.freeze().and_then(|()| device.size()).map_err(|errno| {
            Error::system(call(), errno as i32, &[])
                .because(Kind::NotARegion, "an ashmem region without a size")
        })?;
        // INVARIANT: readable (its caller has seen to that), mapped once, and of a size that could be mapped.
        Ok(Self { fd, len, keeper: Keeper::Driver })
    }

    /// `fcntl(fd, F_DUPFD_CLOEXEC)` - another descriptor of the same open file, which need not be checked
    /// again.
    ///
    /// # Errors
    ///
    /// EMFILE ([`is_table_full`](Error::is_table_full)) when descriptors run out.
    #[doc(alias = "dup")]
    pub fn try_clone(&self) -> Result<Self> {
        let fd = rustix::io::fcntl_dupfd_cloexec(self, 0).map_err(|e| {
            let call = format!("fcntl({}, F_DUPFD_CLOEXEC)", self.fd.as_raw_fd());
            Error::system(call, e.raw_os_error(), DUPLICATE)
        })?;
        // INVARIANT: the same open file: as readable, sealed, and mapped before where it is the driver's.
        Ok(Self { fd, len: self.len, keeper: self.keeper })
    }

    /// Who keeps its pins.
    pub(crate) fn keeper(&self) -> Keeper {
        self.keeper
    }

    /// The number of bytes, as it was when the descriptor was checked. It is not rounded up to pages.
    #[allow(clippy::len_without_is_empty)] // never empty: an invariant
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// `fcntl(fd, F_GET_SEALS)` - what can never be done to this region again; F_SEAL_SHRINK is among it.
    ///
    /// # Errors
    ///
    /// None known.
    pub fn seals(&self) -> Result<Seals> {
        if self.keeper != Keeper::Driver {
            return seals::get(&self.fd);
        }
        // The driver's words for it.
        let mask = Device::of(self.as_fd()).prot_mask();
        let read_only = mask.is_ok_and(|mask| !mask.contains(Prot::WRITE));
        let size = Seals::SHRINK | Seals::GROW;
        Ok(if read_only { size | Seals::FUTURE_WRITE } else { size })
    }

    /// `mmap(PROT_READ | PROT_WRITE, MAP_SHARED)` - maps all of it, with a `T` at its beginning.
    ///
    /// # Errors
    ///
    /// * [`is_too_small`](Error::is_too_small) when a `T` does not fit;
    /// * EPERM ([`is_sealed`](Error::is_sealed)) when writing is sealed;
    /// * EACCES ([`is_permission_denied`](Error::is_permission_denied)) when the descriptor is open for
    ///   reading only;
    /// * ENOMEM ([`is_limit`](Error::is_limit)) when the address space, or the number of mappings, is
    ///   exhausted.
    #[doc(alias = "mmap")]
    pub fn map<T: Head + ?Sized>(&self) -> Result<Mapping<T>> {
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
    pub fn map_read_only<T: Head + ?Sized>(&self) -> Result<ReadMapping<T>> {
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
    let call = || format!("fcntl({}, F_GETFL)", fd.as_raw_fd());
    let flags = match rustix::fs::fcntl_getfl(fd) {
        Ok(flags) => flags,
        Err(e) => return Err(Error::system(call(), e.raw_os_error(), &[])),
    };
    if flags.contains(OFlags::PATH) {
        let text = "opened with O_PATH: it names a file and opens nothing";
        return Err(Error::refused(call(), Kind::NotARegion, text));
    }
    if flags & OFlags::RWMODE == OFlags::WRONLY {
        let text = "opened write-only: no mapping can be made from it";
        return Err(Error::refused(call(), Kind::NotARegion, text));
    }
    Ok(())
}

/// Refuses huge pages. Their pool can run dry: a peer punches a hole, another program takes the page, and the
/// next touch is SIGBUS. Small pages come from all of memory, where the answer to a shortage is not a signal
/// to the reader (but where overcommit is forbidden: see [`FixedFd`]).
#[allow(clippy::unnecessary_fallible_conversions, clippy::useless_conversion)] // `st_blksize` differs by machine
fn check_small_pages(fd: &OwnedFd, found: &Stat) -> Result<()> {
    // Only huge pages of either kind (hugetlbfs, or tmpfs with transparent ones) have larger blocks, and
    // machines whose every page is larger: nearly always this spares the second call.
    if u64::try_from(found.st_blksize).is_ok_and(|block| block <= SMALL_BLOCK) {
        return Ok(());
    }
    let call = format!("fstatfs({})", fd.as_raw_fd());
    match rustix::fs::fstatfs(fd) {
        Ok(fs) if magic(&fs) == HUGETLBFS_MAGIC => {
            let text = "a memory file of huge pages: when none is free, touching a hole in it is SIGBUS";
            Err(Error::refused(call, Kind::NotARegion, text))
        }
        Ok(_) => Ok(()),
        Err(e) => Err(Error::system(call, e.raw_os_error(), &[])),
    }
}

/// Which file system it is. The number has 32 bits; in a signed word of 32, the one of huge pages is negative.
#[allow(clippy::cast_possible_truncation, clippy::unnecessary_cast)] // of 32 bits, whatever the word
fn magic(found: &StatFs) -> u32 {
    found.f_type as u32
}

/// `fstat(fd)`.
pub(crate) fn stat(fd: impl AsFd) -> Result<Stat> {
    let fd = fd.as_fd();
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
