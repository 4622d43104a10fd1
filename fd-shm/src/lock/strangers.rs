//! A lock for peers that do not trust each other: the kernel keeps it, memory only says how it was left.
//!
//! What decides is a write lock of one byte of the region's file, owned by an *open file* of our own (an OFD
//! lock). Nobody without that open file can release it or take it twice, and the kernel releases it when the
//! open file is closed, which is when its process ends, however it ends. The word in the region has two bits,
//! and both are hints:
//!
//! ```text
//!  31                          2   1         0
//!  +---------------------------+---------+------+
//!  | ignored, cleared          | WAITERS | HELD |
//!  +---------------------------+---------+------+
//!   HELD     set inside a section; still set when the next one gets in: the last one died
//!   WAITERS  somebody sleeps on the word: wake one after unlocking
//! ```
//!
//! Why not a lock that *is* a word, with the owner's pid in it? Whoever can write the region could store
//! "free" and so let a third process in beside the second, or name an owner that lives for ever; a pid means
//! another process in another pid namespace, and yet another when it is used again. The kernel's list has
//! none of this. The price is two system calls where a word needs none.

use std::ffi::{c_int, c_short};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};
use std::{fmt, thread};

use nix::errno::Errno;
use rustix::fs::{FileType, Mode, OFlags, fstat};

#[cfg(test)]
pub(crate) use super::crash::reach;
use crate::error::{Error, Kind, Meanings, Result};
use crate::futex;
use crate::sys::{FileLock, ForkMark, fcntl_lock};

/// Somebody is inside the section.
const HELD: u32 = 1;

/// Somebody sleeps on the word.
const WAITERS: u32 = 2;

/// The longest sleep before the kernel is asked again. Death unlocks, but wakes nobody; so this is how late a
/// sleeper can notice one.
pub(super) const NAP: Duration = Duration::from_millis(10);

/// So many naps may be cut short by wake-ups. After that a peer is either busy or plays with the word, and
/// the rest are sleeps that only time ends.
pub(super) const SHORT_NAPS: u64 = 64;

/// How long those sleeps are.
pub(super) const SLEEP: Duration = Duration::from_millis(1);

/// `l_type` and `l_whence` of `struct flock`: take, give back, and count from the file's beginning.
const TAKE: c_short = small(libc::F_WRLCK);
const GIVE_BACK: c_short = small(libc::F_UNLCK);
const FROM_THE_START: c_short = small(libc::SEEK_SET);

/// A constant of libc's for a field that is smaller than libc's constants.
#[allow(clippy::cast_possible_truncation)] // 0, 1 or 2
const fn small(constant: c_int) -> c_short {
    constant as c_short
}

/// What the kernel means when it does not open the region again.
const OPEN: Meanings = &[
    (
        Errno::ENOENT,
        Kind::System,
        "no /proc here knows this process, and without it there is no open file of one's own",
    ),
    (
        Errno::EACCES,
        Kind::PermissionDenied,
        "the region's mode bits do not let this user open it for writing",
    ),
    (Errno::EAGAIN, Kind::WouldBlock, "a peer has a lease on the region, and would be waited for"),
    (Errno::EMFILE, Kind::TableFull, "this process has no free descriptor (RLIMIT_NOFILE)"),
    (Errno::ENFILE, Kind::Limit, "the system has no free file"),
];

/// What the kernel means when it neither grants nor refuses.
const FCNTL: Meanings = &[
    (Errno::ENOLCK, Kind::Limit, "the system has no room for another file lock"),
    (Errno::EINVAL, Kind::System, "this kernel does not lock such a file"),
];

/// A point at which tests kill the process; elsewhere nothing.
#[cfg(not(test))]
pub(crate) fn reach(_: &str) {}

/// The word of a [`Lock`] in the region: how the last owner left it, and whether somebody sleeps. Zeros are a
/// lock that nobody has had.
///
/// Whatever a peer writes into it, the lock still excludes: only the report may be wrong, and a sleeper may
/// be late.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::AtomicU32;
///
/// #[repr(C)]
/// struct Account {
///     lock: fd_shm::lock::LockWord,
///     balance: AtomicU32,
/// }
/// fd_shm::shareable!(Account { lock: fd_shm::lock::LockWord, balance: AtomicU32 });
/// ```
#[derive(Debug, Default)]
#[repr(C)]
pub struct LockWord {
    /// HELD and WAITERS.
    pub(crate) state: AtomicU32,
}

/// One party to a lock that the kernel keeps: a hostile peer can deny it, and nothing else.
///
/// Every party, and that is every *thread* that wants in, opens its own; all of those that name the same byte
/// of the same region exclude each other. Peers need nothing but the descriptor, in any pid namespace and
/// under any user that may open the region again. Every wait ends with the time that the caller gives. A
/// process that this one starts has a copy of the open file between fork and exec; an owner that is killed in
/// that moment is survived by its lock until the exec.
///
/// What a peer can do is deny: hold the lock until you stop asking, or, if it owns the file, take its mode
/// bits away before you open it. A peer that may trace this process, or open `/proc/<pid>/fd` of it, is not a
/// stranger: it could as well write this process's memory.
///
/// # Invariants
///
/// `file` is open for writing, its open file came from `open` and is shared with nobody but children of a
/// `fork`, which `mark` finds out.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use fd_shm::Region;
/// use fd_shm::lock::{Lock, LockWord};
///
/// let region = Region::create("account", 4096)?;
/// let word = region.map::<LockWord>()?;
/// let (mut ours, mut theirs) = (Lock::open(&region, 0)?, Lock::open(&region, 0)?);
///
/// let inside = ours.lock(&word, Duration::from_secs(1))?;
/// assert!(!inside.owner_died());
/// assert!(theirs.lock(&word, Duration::from_millis(1)).is_err_and(|refused| refused.is_timed_out()));
/// drop(inside);
/// assert!(theirs.lock(&word, Duration::ZERO).is_ok());
/// # Ok::<(), fd_shm::Error>(())
/// ```
///
/// # References
///
/// `fcntl(2)`, "Open file description locks"; `fs/locks.c` (`fcntl_setlk`, `locks_remove_file`).
pub struct Lock {
    /// An open file of our own, since that is what owns the lock.
    file: OwnedFd,
    /// The byte of the file that stands for this lock; it need not be inside the region.
    byte: i64,
    /// A child of a `fork` shares the open file, and so would be the same owner.
    mark: ForkMark,
}

impl Lock {
    /// `open("/proc/self/fd/N", O_RDWR | O_CLOEXEC | O_NONBLOCK)` - a new open file of `region`, for a lock
    /// that stands for `byte` of it.
    ///
    /// The descriptor that was handed over will not do: its open file is shared with whoever sent it, and
    /// would be one owner with the sender.
    ///
    /// # Errors
    ///
    /// * ENOENT without `/proc`; EACCES when the region's mode bits forbid it; EAGAIN when a peer has a lease
    ///   on the region, which would otherwise keep us for the kernel's lease-break time; EMFILE and ENFILE
    ///   when descriptors run out; ENOMEM when mappings do;
    /// * [`is_not_a_region`](Error::is_not_a_region) when another file is found than the one asked for, or
    ///   one that is no regular file;
    /// * [`is_invalid_input`](Error::is_invalid_input) for a byte beyond the range of file offsets.
    pub fn open(region: impl AsFd, byte: u64) -> Result<Self> {
        let region = region.as_fd();
        let path = format!("/proc/self/fd/{}", region.as_raw_fd());
        let call = || format!("Lock::open({path}, {byte})");
        // The last offset is one less: the kernel counts up to the byte after a lock.
        let Some(byte) = i64::try_from(byte).ok().filter(|byte| *byte < i64::MAX) else {
            return Err(Error::refused(call(), Kind::InvalidInput, "no file has so many bytes"));
        };
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::open(path.as_str(), flags, Mode::empty())
            .map_err(|e| Error::system(call(), e.raw_os_error(), OPEN))?;
        let same = fstat(region).and_then(|asked| fstat(&file).map(|found| (asked, found)));
        let (asked, found) = same.map_err(|e| Error::system(call(), e.raw_os_error(), &[]))?;
        let regular = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        if (asked.st_dev, asked.st_ino) != (found.st_dev, found.st_ino) || !regular {
            return Err(Error::refused(call(), Kind::NotARegion, "opened again, it is no memory region"));
        }
        let mark = ForkMark::new()?;
        // INVARIANT: opened for writing a moment ago, and not shared.
        Ok(Self { file, byte, mark })
    }

    /// `fcntl(file, F_OFD_SETLK, F_WRLCK)` - takes the lock, waiting no longer than `timeout`.
    ///
    /// A `timeout` of zero asks once. `word` is the same for all parties; it speeds up waiting and carries
    /// the report, and is not what excludes. Sleepers wake in no promised order. When the owner is killed, a
    /// sleeper notices within 10 ms.
    ///
    /// # Errors
    ///
    /// * [`is_timed_out`](Error::is_timed_out) when somebody held it all the while;
    /// * [`is_invalid_input`](Error::is_invalid_input) in a child of a `fork`, which would share the parent's
    ///   lock;
    /// * ENOLCK when the kernel has no room for another lock.
    pub fn lock<'a>(&'a mut self, word: &'a LockWord, timeout: Duration) -> Result<Locked<'a>> {
        if self.mark.is_forked() {
            let text = "opened before a fork: parent and child would both be let in; open one here";
            return Err(Error::refused(format!("Lock::lock({})", self.byte), Kind::InvalidInput, text));
        }
        if !self.set(TAKE)? {
            self.wait(word, timeout)?;
        }
        reach("the kernel has granted it, the word is not marked");
        // Pairs with the word's change in `Drop`: what the last owner wrote is seen by this one. Nobody but
        // us is inside, so HELD can only have been left behind (or scribbled).
        let left = word.state.fetch_or(HELD, SeqCst);
        Ok(Locked { lock: self, word, owner_died: left & HELD != 0 })
    }

    /// Asks again and again, asleep on the word in between, until the kernel grants it or time is over.
    fn wait(&self, word: &LockWord, timeout: Duration) -> Result<()> {
        let end = Instant::now().checked_add(timeout); // none: more time than can be counted
        for nap in 0_u64.. {
            // Announced before the attempt: an owner who unlocks after the attempt sees it and wakes us.
            let seen = word.state.fetch_or(WAITERS, SeqCst) | WAITERS;
            if self.set(TAKE)? {
                break;
            }
            let left = end.map_or(NAP, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                let call = format!("Lock::lock({}, {timeout:?})", self.byte);
                return Err(Error::refused(call, Kind::TimedOut, "somebody else held it all the while"));
            }
            reach("asleep, while another has it");
            if nap < SHORT_NAPS {
                futex::wait(&word.state, seen, Some(left.min(NAP)))?;
            } else {
                thread::sleep(left.min(SLEEP));
            }
        }
        Ok(())
    }

    /// Whether this is a child of a `fork`, which shares the open file with its parent.
    pub(super) fn is_forked(&self) -> bool {
        self.mark.is_forked()
    }

    /// Names another byte, one of those that `open` would take.
    pub(super) fn name(&mut self, byte: u64) {
        self.byte = i64::try_from(byte).unwrap_or(self.byte);
    }

    /// Asks the kernel for the byte once, to keep it as long as the open file lives: whether it is ours.
    pub(super) fn take(&self) -> Result<bool> {
        self.set(TAKE)
    }

    /// `fcntl(file, F_OFD_GETLK)` - whether another open file has `byte` locked.
    pub(super) fn another_has(&self, byte: u64) -> Result<bool> {
        let Ok(byte) = i64::try_from(byte) else { return Ok(false) };
        let mut range = one_byte(TAKE, byte);
        match fcntl_lock(self.file.as_fd(), libc::F_OFD_GETLK, &mut range) {
            Ok(()) => Ok(range.kind != GIVE_BACK),
            Err(e) => Err(Error::system(format!("fcntl(F_OFD_GETLK, {byte})"), e as i32, FCNTL)),
        }
    }

    /// Asks the kernel for the byte, or gives it back: whether it did.
    fn set(&self, kind: c_short) -> Result<bool> {
        let mut range = one_byte(kind, self.byte);
        match fcntl_lock(self.file.as_fd(), libc::F_OFD_SETLK, &mut range) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(e) => Err(Error::system(format!("fcntl(F_OFD_SETLK, {})", self.byte), e as i32, FCNTL)),
        }
    }
}

/// What `fcntl` is asked about one byte.
const fn one_byte(kind: c_short, byte: i64) -> FileLock {
    FileLock { kind, whence: FROM_THE_START, start: byte, len: 1, pid: 0 }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("file", &self.file.as_raw_fd()).field("byte", &self.byte).finish()
    }
}

/// The lock is held; dropping this unlocks it.
///
/// One that is forgotten keeps the lock until its [`Lock`] is dropped, and the next owner is told of a death.
/// A panic is no death: it drops this like any other value, and nobody is told.
#[derive(Debug)]
#[must_use = "dropped at once, it guards nothing"]
pub struct Locked<'a> {
    /// What the kernel lets in. Borrowed for writing: a party is inside once.
    lock: &'a mut Lock,
    /// The word to clear.
    word: &'a LockWord,
    /// The word was still marked when we came in.
    owner_died: bool,
}

impl Locked<'_> {
    /// Whether the last owner died inside, so that what the lock guards may be half written. It is told once:
    /// to the first one after the death, who repairs it.
    ///
    /// A hostile peer can make this say either. What it could hide this way, it could have written itself.
    #[must_use]
    pub fn owner_died(&self) -> bool {
        self.owner_died
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if self.lock.mark.is_forked() {
            return; // the copy in a child of a fork: the lock is the parent's
        }
        // While we still have it: after the unlock the word is the next owner's.
        self.word.state.fetch_and(WAITERS, SeqCst);
        reach("the word is cleared, the kernel has it locked");
        // Should the kernel refuse even this, the lock goes when its open file does.
        let _ = self.lock.set(GIVE_BACK);
        reach("unlocked, a sleeper not yet woken");
        // Looked at after the unlock: whoever announces later tries later, and gets it.
        if self.word.state.load(SeqCst) & WAITERS != 0 {
            // Those who go on waiting announce it again.
            self.word.state.fetch_and(!WAITERS, SeqCst);
            // A sleeper that is not woken wakes by itself, after its nap.
            let _ = futex::wake(&self.word.state, 1);
        }
    }
}
