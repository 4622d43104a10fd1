//! `memfd_create`: a file that exists in memory alone and has no name in any directory.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::errno::Errno;
use rustix::fs::MemfdFlags;

use crate::error::{Error, Kind, Meanings, Result};
use crate::fixed::stat;
use crate::seals::{self, Seals};

/// The longest name that the kernel takes, in bytes: NAME_MAX less the prefix `memfd:`.
pub const NAME_MAX: usize = 249;

/// What the kernel means when it makes no memory file.
const CREATE: Meanings = &[
    (Errno::EMFILE, Kind::TableFull, "this process has no free descriptor (RLIMIT_NOFILE)"),
    (Errno::ENFILE, Kind::Limit, "the system has no free file"),
    (Errno::ENOMEM, Kind::Limit, "no memory for another file"),
    (Errno::EACCES, Kind::PermissionDenied, "vm.memfd_noexec forbids executable memory files"),
    (Errno::EINVAL, Kind::System, "this kernel does not know one of the flags"),
    (Errno::ENODEV, Kind::System, "this kernel has no huge pages of that size"),
    (Errno::ENOSYS, Kind::System, "this kernel is built without huge pages"),
];

/// What the kernel means when it does not resize.
const TRUNCATE: Meanings = &[
    (Errno::EPERM, Kind::Sealed, "the size is sealed: F_SEAL_SHRINK or F_SEAL_GROW"),
    (Errno::EFBIG, Kind::Limit, "larger than a memory file or RLIMIT_FSIZE allows"),
    (
        Errno::EINVAL,
        Kind::System,
        "not open for writing, a size beyond 63 bits, or one that is no multiple of a huge page",
    ),
    (Errno::ENOMEM, Kind::Limit, "no memory"),
];

/// A memory file as `memfd_create` makes it: empty, of any size later, and not to be trusted by a receiver
/// yet.
///
/// Its pages live as long as some process has it open or mapped, and not a moment longer; nothing has to be
/// removed. It can still be resized, so it cannot be mapped safely: seal it, and turn it into a
/// [`FixedFd`](crate::FixedFd), or let [`Region::create`](crate::Region::create) do all of it.
///
/// # Examples
///
/// ```
/// use fd_shm::{FixedFd, Memfd, Seals};
///
/// let memfd = Memfd::create("frames")?;
/// memfd.set_len(8192)?;
/// memfd.add_seals(Seals::SHRINK)?;
/// assert_eq!(FixedFd::new(memfd.into())?.len(), 8192);
/// # Ok::<(), fd_shm::Error>(())
/// ```
///
/// # References
///
/// `memfd_create(2)`; `mm/memfd.c`.
#[derive(Debug)]
pub struct Memfd {
    /// The descriptor, close-on-exec.
    fd: OwnedFd,
}

/// How a memory file is made; the default is what one wants for sharing: sealable, and not executable.
///
/// # Examples
///
/// ```
/// use fd_shm::{MemfdOptions, Seals};
///
/// let closed = MemfdOptions::new().sealable(false).create("closed")?;
/// assert_eq!(closed.seals()?, Seals::SEAL);
/// # Ok::<(), fd_shm::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemfdOptions {
    /// MFD_ALLOW_SEALING: without it the file is born with F_SEAL_SEAL.
    sealable: bool,
    /// Executable mode bits, rather than none and F_SEAL_EXEC from the start.
    executable: bool,
    /// MFD_HUGETLB: pages from the pool of huge ones.
    huge_pages: Option<HugePages>,
}

/// Which of the kernel's pools of huge pages a memory file takes its pages from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HugePages {
    /// Those of the default size (`Hugepagesize` in `/proc/meminfo`).
    OfDefaultSize,
    /// Those of this size in bytes, a power of two: one for each folder in `/sys/kernel/mm/hugepages`.
    OfSize(usize),
}

impl Default for MemfdOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl MemfdOptions {
    /// Sealable and not executable (MFD_NOEXEC_SEAL, where the kernel has it: Linux 6.3).
    #[must_use]
    pub const fn new() -> Self {
        Self { sealable: true, executable: false, huge_pages: None }
    }

    /// Whether seals can be added later. A file that is not sealable can never be mapped safely by a
    /// receiver; and since MFD_NOEXEC_SEAL implies sealing, it has the executable mode bits.
    #[must_use]
    pub const fn sealable(self, sealable: bool) -> Self {
        Self { sealable, ..self }
    }

    /// Whether the file's mode has the executable bits (MFD_EXEC, which old kernels do not know and do not
    /// need).
    #[must_use]
    pub const fn executable(self, executable: bool) -> Self {
        Self { executable, ..self }
    }

    /// Huge pages (MFD_HUGETLB), for a file that its maker alone maps, or that only
    /// processes which trust each other do.
    ///
    /// A [`FixedFd`](crate::FixedFd) is never made of one: a peer can free a huge page by punching a hole,
    /// and when the pool is empty the next touch is SIGBUS, seals or no seals.
    #[must_use]
    pub const fn huge_pages(self, huge_pages: HugePages) -> Self {
        Self { huge_pages: Some(huge_pages), ..self }
    }

    /// `memfd_create(name, ...)` - a new, empty memory file with these options, always close-on-exec.
    ///
    /// The name is a label for people, seen in `/proc/<pid>/maps` and `/proc/<pid>/fd`: two files may have
    /// the same one, and nobody can find a file by it.
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](Error::is_invalid_input) when the name has a zero byte or is longer than
    /// [`NAME_MAX`], or the size of huge pages is no power of two; EMFILE and ENFILE when descriptors run
    /// out; EACCES when `vm.memfd_noexec` forbids an executable file; ENODEV when there are no huge pages of
    /// that size. That there are none *free* is found out by whoever maps the file (ENOMEM).
    #[doc(alias = "memfd_create")]
    pub fn create(self, name: &str) -> Result<Memfd> {
        check_name(name)?;
        let huge = self.huge_flags(name)?;
        let (flags, older) = self.flags();
        let (flags, older) = (flags | huge, older | huge);
        let mut made = rustix::fs::memfd_create(name, flags);
        if matches!(made, Err(rustix::io::Errno::INVAL)) {
            // The name is good, so it is the flag that the kernel does not know: before Linux 6.3.
            made = rustix::fs::memfd_create(name, older);
        }
        match made {
            Ok(fd) => Ok(Memfd { fd }),
            Err(e) => Err(Error::system(format!("memfd_create(\"{name}\")"), e.raw_os_error(), CREATE)),
        }
    }

    /// The flags for today's kernels, and for those before MFD_EXEC and MFD_NOEXEC_SEAL.
    fn flags(self) -> (MemfdFlags, MemfdFlags) {
        let mut older = MemfdFlags::CLOEXEC;
        older.set(MemfdFlags::ALLOW_SEALING, self.sealable);
        let noexec = self.sealable && !self.executable;
        (older | if noexec { MemfdFlags::NOEXEC_SEAL } else { MemfdFlags::EXEC }, older)
    }

    /// MFD_HUGETLB and the logarithm of the page size.
    fn huge_flags(self, name: &str) -> Result<MemfdFlags> {
        match self.huge_pages {
            None => Ok(MemfdFlags::empty()),
            Some(HugePages::OfDefaultSize) => Ok(MemfdFlags::HUGETLB),
            Some(HugePages::OfSize(size)) if size.is_power_of_two() => {
                Ok(MemfdFlags::HUGETLB | MemfdFlags::from_bits_retain(size.ilog2() << HUGE_SHIFT))
            }
            Some(HugePages::OfSize(size)) => {
                let call = format!("memfd_create(\"{name}\")");
                let text = format!("pages have a power of two bytes, not {size}");
                Err(Error::refused(call, Kind::InvalidInput, text))
            }
        }
    }
}

/// `MFD_HUGE_SHIFT` of `linux/memfd.h`: the logarithm of the page size is above this bit.
const HUGE_SHIFT: u32 = 26;

/// Refuses a name that the kernel would refuse with an EINVAL of several meanings.
fn check_name(name: &str) -> Result<()> {
    let call = || format!("memfd_create(\"{}\")", name.escape_default());
    if name.contains('\0') {
        return Err(Error::refused(call(), Kind::InvalidInput, "a name cannot have a zero byte inside"));
    }
    if name.len() > NAME_MAX {
        let text = format!("a name has at most {NAME_MAX} bytes, this one {}", name.len());
        return Err(Error::refused(call(), Kind::InvalidInput, text));
    }
    Ok(())
}

impl Memfd {
    /// `memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL)` - a new, empty memory file.
    ///
    /// # Errors
    ///
    /// Those of [`MemfdOptions::create`].
    pub fn create(name: &str) -> Result<Self> {
        MemfdOptions::new().create(name)
    }

    /// `ftruncate(fd, len)` - gives the file `len` bytes; new ones are zero and take no memory until touched.
    ///
    /// # Errors
    ///
    /// EPERM ([`is_sealed`](Error::is_sealed)) when the size is sealed; EFBIG above the kernel's limit. Above
    /// RLIMIT_FSIZE the kernel also sends SIGXFSZ, which ends a process that does not ignore it.
    #[doc(alias = "ftruncate")]
    pub fn set_len(&self, len: u64) -> Result<()> {
        rustix::fs::ftruncate(&self.fd, len).map_err(|e| {
            let call = format!("ftruncate({}, {len})", self.fd.as_raw_fd());
            Error::system(call, e.raw_os_error(), TRUNCATE)
        })
    }

    /// `fstat(fd)` - the size of the file in bytes at this moment.
    ///
    /// # Errors
    ///
    /// None known for an open memory file.
    #[allow(clippy::len_without_is_empty)] // the size of a file at one moment, not of a collection
    pub fn len(&self) -> Result<u64> {
        Ok(stat(&self.fd)?.st_size.unsigned_abs())
    }

    /// `fcntl(fd, F_GET_SEALS)` - what can never be done to this file again.
    ///
    /// # Errors
    ///
    /// None known for a memory file.
    pub fn seals(&self) -> Result<Seals> {
        seals::get(&self.fd)
    }

    /// `fcntl(fd, F_ADD_SEALS, seals)` - gives these promises, to everybody and for ever.
    ///
    /// # Errors
    ///
    /// EPERM ([`is_sealed`](Error::is_sealed)) when F_SEAL_SEAL is set; EBUSY for F_SEAL_WRITE while somebody
    /// has a shared writable mapping; EINVAL for a seal that this kernel does not know.
    #[doc(alias = "F_ADD_SEALS")]
    pub fn add_seals(&self, seals: Seals) -> Result<()> {
        seals::add(&self.fd, seals)
    }
}

impl AsFd for Memfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Memfd> for OwnedFd {
    fn from(memfd: Memfd) -> Self {
        memfd.fd
    }
}

/// Reads the name of a memory file back, from the link that the kernel shows for the descriptor.
///
/// # References
///
/// `proc_pid_fd(5)`; `fs/d_path.c` (`simple_dname`): always `/memfd:NAME (deleted)`.
pub(crate) fn name(fd: BorrowedFd<'_>) -> Result<OsString> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let link = std::fs::read_link(&path).map_err(|e| {
        let call = format!("readlink({path})");
        Error::system(call, e.raw_os_error().unwrap_or_default(), &[])
    })?;
    let shown = link.as_os_str().as_bytes();
    let name = shown.strip_prefix(b"/memfd:").and_then(|rest| rest.strip_suffix(b" (deleted)"));
    name.map(|name| OsString::from_vec(name.to_vec())).ok_or_else(|| {
        let text = format!("{} is not how the kernel shows a memory file", link.display());
        Error::refused(format!("readlink({path})"), Kind::NotARegion, text)
    })
}
