//! Keys: the numbers under which processes find one segment.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;

use crate::error::{Cause, Error, Result};
use crate::sys;

/// A `key_t`: the number by which processes that know nothing else of each other find one segment.
///
/// A key is not a path and not a handle. It is looked up once, by `shmget`, in the IPC namespace of the
/// caller; what is found is a [`SegmentId`](crate::SegmentId), and everything after that goes by the id. A
/// segment need not have a key ([`Key::PRIVATE`]), and it loses its key when it is removed.
///
/// Nothing protects a key: whoever can say the number is let in as far as the mode bits go, and two programs
/// that chose the same number meet in one segment.
///
/// # Examples
///
/// ```
/// use sysv_shm::Key;
///
/// assert_eq!(Key::new(0x5348_4d31).to_string(), "0x53484d31");
/// assert_eq!(Key::new(-1).to_string(), "0xffffffff"); // as ipcs shows it; /proc has it signed
/// assert_eq!(Key::PRIVATE.to_string(), "IPC_PRIVATE");
/// ```
///
/// # References
///
/// shmget(2), sysvipc(7)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(i32);

impl Key {
    /// `IPC_PRIVATE`, which is the number 0: creating under it always makes a segment without a key.
    ///
    /// Such a segment is shared by inheriting an attachment over `fork`, or by telling somebody its id.
    pub const PRIVATE: Self = Self(sys::IPC_PRIVATE);

    /// The key with this number; 0 is [`Key::PRIVATE`].
    #[must_use]
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// `ftok(path, project)` - a number made of a file's inode, its device and one byte more.
    ///
    /// The same number that C's `ftok` gives (a test compares them), which is what it is for:
    ///
    /// ```text
    ///  31       24 23       16 15                 0
    /// +-----------+-----------+--------------------+
    /// |  project  |  device   |       inode        |
    /// +-----------+-----------+--------------------+
    /// ```
    ///
    /// Most of the inode and of the device is cut off, so **two files can give one key**, and two programs
    /// that have never heard of each other then meet in one segment, as the example
    /// `sysv_05_two_files_one_key` shows. Hard links to one file give one key; a file that is deleted and
    /// made again may give another, or not. The file's contents and permissions play no part, but every
    /// directory above it has to be searchable.
    ///
    /// C takes an `int` and uses the last eight bits of it. Project 0 is allowed here, though POSIX leaves it
    /// open: glibc does not treat it specially.
    ///
    /// # Errors
    ///
    /// What stat(2) says: ENOENT (nothing has that path), EACCES, ENOTDIR, ELOOP and so on. C returns -1
    /// then, which is also a valid key. Refused when the number is 0, which project 0 can give: that is
    /// [`Key::PRIVATE`], under which nobody would be found.
    ///
    /// # Examples
    ///
    /// ```
    /// use sysv_shm::Key;
    ///
    /// let program = std::env::current_exe().unwrap();
    /// let (a, b) = (Key::from_path(&program, b'a')?, Key::from_path(&program, b'b')?);
    /// assert_eq!(a.number() & 0xff_ffff, b.number() & 0xff_ffff); // one file, two projects
    /// assert_ne!(a, b);
    /// assert!(Key::from_path("/nowhere", b'a').unwrap_err().is_not_found());
    /// # Ok::<(), sysv_shm::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// ftok(3)
    #[doc(alias = "ftok")]
    pub fn from_path(path: impl AsRef<Path>, project: u8) -> Result<Self> {
        let path = path.as_ref();
        let call = || format!("ftok({path:?}, {project:#04x})");
        let file = fs::metadata(path).map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
            Some(errno @ Errno::ENOENT) => {
                Error::kernel(call(), errno, Cause::NotFound, "nothing has this path")
            }
            Some(errno @ Errno::EACCES) => {
                Error::kernel(call(), errno, Cause::Denied, "a directory above it cannot be searched")
            }
            Some(errno) => Error::kernel(call(), errno, Cause::Other, errno.desc()),
            None => Error::refused(call(), Cause::Invalid, error.to_string()),
        })?;
        let ([device, ..], [low, high, ..]) = (file.dev().to_le_bytes(), file.ino().to_le_bytes());
        match Self(i32::from_le_bytes([low, high, device, project])) {
            Self::PRIVATE => {
                let meaning = "this file's number for project 0 is that of IPC_PRIVATE: take another project";
                Err(Error::refused(call(), Cause::Invalid, meaning))
            }
            key => Ok(key),
        }
    }

    /// The number, as `shmget` takes it.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Whether this is `IPC_PRIVATE`, under which nothing can be found.
    #[must_use]
    pub const fn is_private(self) -> bool {
        self.0 == sys::IPC_PRIVATE
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_private() { f.write_str("IPC_PRIVATE") } else { write!(f, "{:#010x}", self.0) }
    }
}
