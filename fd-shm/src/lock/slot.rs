//! A quicker lock for peers that do not trust each other: a word decides, the kernel says who is alive.
//!
//! Each party has a *slot*: a number, and the byte of the region's file with that number, which the party's
//! own open file keeps locked as long as it lives (an OFD lock). Who is inside writes its number into a word:
//!
//! ```text
//!  31        30                                            0
//!  +---------+---------------------------------------------+
//!  | WAITERS | slot of the one inside; 0: nobody           |
//!  +---------+---------------------------------------------+
//! ```
//!
//! So locking and unlocking are one atomic operation each, and no system call. Only one who has to wait asks
//! the kernel whether the slot's byte is still locked: if not, its party is gone, and the word is taken over.
//! That is what a pid in the word could not do: a pid means another process in another pid namespace, and yet
//! another when it is used again.
//!
//! The price is what a hostile peer can do. See [`SlotLock`].

use std::hash::{BuildHasher, RandomState};
use std::hint;
use std::os::fd::AsFd;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread;
use std::time::{Duration, Instant};

use super::strangers::{Lock, NAP, SHORT_NAPS, SLEEP, reach};
use crate::error::{Error, Kind, Result};
use crate::futex;

/// Nobody is inside.
const FREE: u32 = 0;

/// Somebody sleeps on the word.
const WAITERS: u32 = 1 << 31;

/// How often a slot is looked for. Numbers are random, so the first is free unless somebody has locked many.
const TRIES: u32 = 64;

/// How often the word is looked at before the kernel is asked: as long as a short section takes.
const SPINS: u32 = 100;

/// The word of a [`SlotLock`] in the region. Zeros are a lock that nobody has had.
#[derive(Debug, Default)]
#[repr(C)]
pub struct SlotWord {
    /// WAITERS, and the slot of the one inside.
    pub(crate) state: AtomicU32,
}

/// One party to a lock that costs no system call, for memory that is looked at with suspicion anyhow.
///
/// Every party, and that is every *thread* that wants in, opens its own; those that name the same bytes of
/// the same region and the same word exclude each other. Every wait ends with the time that the caller gives,
/// and one who is killed inside is found out by whoever comes next.
///
/// What a hostile peer can do is more than with [`Lock`], since the word is in memory that it writes:
/// * store "nobody" while somebody is inside, and so let a second in beside the first;
/// * store the number of a slot that it keeps locked, and so deny the lock until everybody's time is over;
/// * store a number that nobody has, and so report a death that did not happen.
///
/// Nothing of it crashes or hangs. So use this where what the lock guards is *checked when it is read*, as
/// anything that a hostile peer can write has to be, and where honest peers only have to be kept from each
/// other's half-done work. What must not break even then is for [`Lock`].
///
/// # Invariants
///
/// The open file of `slot` has the byte `base + number` locked, for as long as this lives; but a
/// child of a `fork` has a copy of it, so an owner that is killed is survived by its slot until its
/// children have ended or called `exec`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use fd_shm::Region;
/// use fd_shm::lock::{SlotLock, SlotWord};
///
/// let region = Region::create("table", 4096)?;
/// let word = region.map::<SlotWord>()?;
/// let (mut ours, mut theirs) = (SlotLock::open(&region, 0)?, SlotLock::open(&region, 0)?);
///
/// let inside = ours.lock(&word, Duration::from_secs(1))?;
/// assert!(!inside.owner_died());
/// assert!(theirs.lock(&word, Duration::from_millis(1)).is_err_and(|refused| refused.is_timed_out()));
/// drop(inside);
///
/// std::mem::forget(ours.lock(&word, Duration::ZERO)?);
/// drop(ours); // inside, as one who is killed
/// assert!(theirs.lock(&word, Duration::ZERO)?.owner_died());
/// # Ok::<(), fd_shm::Error>(())
/// ```
///
/// # References
///
/// `fcntl(2)`, "Open file description locks"; `futex(2)`.
#[derive(Debug)]
pub struct SlotLock {
    /// What keeps the slot.
    slot: Lock,
    /// The byte before the first slot's.
    base: u64,
    /// The slot.
    number: u32,
}

impl SlotLock {
    /// `open("/proc/self/fd/N")` and `fcntl(F_OFD_SETLK)` - a new party, in a slot of its own.
    ///
    /// The slots are the 2^31 bytes after `base` of the region's file; they need not be inside the region.
    ///
    /// # Errors
    ///
    /// * those of [`Lock::open`];
    /// * [`is_permission_denied`](Error::is_permission_denied) when peers have locked so many of the bytes
    ///   that no slot is found;
    /// * ENOLCK when the kernel has no room for another lock.
    pub fn open(region: impl AsFd, base: u64) -> Result<Self> {
        let mut slot = Lock::open(region, base.saturating_add(u64::from(WAITERS)))?;
        let random = RandomState::new();
        for attempt in 0..TRIES {
            #[allow(clippy::cast_possible_truncation)] // some bits of a hash, and never the bit for waiters
            let number = (random.hash_one(attempt) as u32 & !WAITERS).max(1);
            slot.name(base + u64::from(number));
            if slot.take()? {
                // INVARIANT: locked just now, by an open file that is this party's own.
                return Ok(Self { slot, base, number });
            }
        }
        let call = format!("SlotLock::open({base})");
        Err(Error::refused(call, Kind::PermissionDenied, "peers have locked every slot that was tried"))
    }

    /// Whether this is a child of a `fork`, and so in its parent's slot.
    pub(crate) fn is_forked(&self) -> bool {
        self.slot.is_forked()
    }

    /// Takes the lock, waiting no longer than `timeout`.
    ///
    /// A `timeout` of zero asks once. Sleepers wake in no promised order. When the owner is killed, a sleeper
    /// notices within 10 ms.
    ///
    /// # Errors
    ///
    /// * [`is_timed_out`](Error::is_timed_out) when somebody held it all the while;
    /// * [`is_invalid_input`](Error::is_invalid_input) in a child of a `fork`, which would share the parent's
    ///   slot.
    pub fn lock<'a>(&'a mut self, word: &'a SlotWord, timeout: Duration) -> Result<SlotLocked<'a>> {
        if self.is_forked() {
            let text = "opened before a fork: parent and child would both be let in; open one here";
            return Err(Error::refused(format!("SlotLock::lock({})", self.base), Kind::InvalidInput, text));
        }
        // Pairs with the release in `Drop`: what the last owner wrote is seen by this one.
        let owner_died = match word.state.compare_exchange(FREE, self.number, Acquire, Relaxed) {
            Ok(_) => false,
            Err(_) => self.wait(word, timeout)?,
        };
        reach("the word names it, and it has not seen that");
        Ok(SlotLocked { lock: self, word, owner_died })
    }

    /// Takes the lock once it is free, or its owner dead: whether it was the latter.
    fn wait(&self, word: &SlotWord, timeout: Duration) -> Result<bool> {
        let end = Instant::now().checked_add(timeout); // none: more time than can be counted
        let mut ours = self.number;
        for nap in 0_u64.. {
            if let Some(owner_died) = self.attempt(word, ours)? {
                return Ok(owner_died);
            }
            let left = end.map_or(NAP, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                let call = format!("SlotLock::lock({}, {timeout:?})", self.base);
                return Err(Error::refused(call, Kind::TimedOut, "somebody else held it all the while"));
            }
            let seen = word.state.load(Relaxed);
            let announced = seen | WAITERS;
            if seen == FREE || word.state.compare_exchange(seen, announced, Relaxed, Relaxed).is_err() {
                continue; // it has changed: look again
            }
            // Whoever has slept cannot know that it was the only one, and wakes another when it unlocks.
            ours = self.number | WAITERS;
            reach("asleep, while another has it");
            if nap < SHORT_NAPS {
                futex::wait(&word.state, announced, Some(left.min(NAP)))?;
            } else {
                thread::sleep(left.min(SLEEP));
            }
        }
        Ok(false)
    }

    /// Looks at the word for a short while: whether the lock was taken, and if so, from the dead.
    fn attempt(&self, word: &SlotWord, ours: u32) -> Result<Option<bool>> {
        let take = |from: u32, to: u32| word.state.compare_exchange(from, to, Acquire, Relaxed).is_ok();
        for _ in 0..SPINS {
            let seen = word.state.load(Relaxed);
            if seen & !WAITERS == FREE && take(seen, ours | seen) {
                return Ok(Some(false));
            }
            hint::spin_loop();
        }
        let seen = word.state.load(Relaxed);
        let owner = seen & !WAITERS;
        // Our own number, and we are not inside: left by a guard that was forgotten, or scribbled.
        let dead = owner != FREE
            && (owner == self.number || !self.slot.another_has(self.base + u64::from(owner))?);
        Ok((dead && take(seen, self.number | WAITERS)).then_some(true))
    }
}

/// The lock is held; dropping this unlocks it.
///
/// One that is forgotten keeps the lock until its [`SlotLock`] is dropped or asked again, and the next owner
/// is told of a death. A panic is no death: it drops this like any other value, and nobody is told.
#[derive(Debug)]
#[must_use = "dropped at once, it guards nothing"]
pub struct SlotLocked<'a> {
    /// Whose number the word has. Borrowed for writing: a party is inside once.
    lock: &'a mut SlotLock,
    /// The word to clear.
    word: &'a SlotWord,
    /// The word named somebody who was gone.
    owner_died: bool,
}

impl SlotLocked<'_> {
    /// Whether the last owner died inside, so that what the lock guards may be half written. It is told once:
    /// to the first one after the death, who repairs it.
    #[must_use]
    pub fn owner_died(&self) -> bool {
        self.owner_died
    }
}

impl Drop for SlotLocked<'_> {
    fn drop(&mut self) {
        if self.lock.is_forked() {
            return; // the copy in a child of a fork: the lock is the parent's
        }
        let ours = self.lock.number;
        // Release: pairs with the acquire of the next owner. A word that does not name us was scribbled over,
        // and whoever it lets in or keeps out, a store of ours would not make it better.
        let unlock = |from| self.word.state.compare_exchange(from, FREE, Release, Relaxed);
        if unlock(ours).is_err() && unlock(ours | WAITERS).is_ok() {
            reach("the word is free, a sleeper not yet woken");
            // A sleeper that is not woken wakes by itself, after its nap.
            let _ = futex::wake(&self.word.state, 1);
        }
    }
}
