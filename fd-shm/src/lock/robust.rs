//! pthread's robust mutex in shared memory: for peers that trust each other as threads do.

#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use memmap2::{MmapOptions, MmapRaw};
use nix::errno::Errno;

use super::pthread;
use crate::ashmem::Region;
use crate::error::{Error, Kind, Meanings, Result};
use crate::shareable::Shareable;

/// "robust", told apart from zeros and from most accidents.
const MADE: u32 = 0x726f_6275;

/// What the mutex answers.
const LOCK: Meanings = &[
    (Errno::EBUSY, Kind::WouldBlock, "somebody else holds it"),
    (Errno::ETIMEDOUT, Kind::TimedOut, "somebody else held it all the while"),
    (Errno::EDEADLK, Kind::System, "this thread holds it already"),
    (
        Errno::ENOTRECOVERABLE,
        Kind::NotRecoverable,
        "an owner died inside, and the next one unlocked without repairing: nobody gets in again",
    ),
];

/// How the region of a [`RobustMutex`] is laid out.
#[repr(C)]
struct Page<T> {
    /// libc's, process-shared and robust. Pointers of the owning process lie in it.
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    /// MADE once the mutex can be used.
    made: AtomicU32,
    /// The number of bytes of `T`, so that two programs which disagree find out.
    size: AtomicU32,
    /// What the mutex guards.
    guarded: T,
}

/// `pthread_mutex_t`, process-shared and robust, in a region of its own: for processes that **trust each
/// other** with their own memory.
///
/// When its owner dies inside, the kernel marks the word and wakes the next, who is told. The lock is a
/// structure of libc's, and libc believes what is in it: it keeps a list of the mutexes that each thread
/// holds, with the links *in the mutex*, and follows them when it unlocks. Who can write the region can so
/// make a peer write to an address of the writer's choice. That is why making one is `unsafe`, and why it
/// does not lie in a [`Mapping`](crate::Mapping) beside other things. For anybody else there is
/// [`Lock`](super::Lock).
///
/// What it guards is a `T` in the same region, reached through the lock alone.
///
/// # Invariants
///
/// * `pages` maps a region that cannot shrink and holds a `Page<T>` whose mutex has been initialised.
/// * While a thread of this process holds the mutex, `held` is true; and then `pages` stays mapped for ever,
///   because libc has the address in that thread's list.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// use fd_shm::lock::RobustMutex;
///
/// // SAFETY: the descriptor is given to nobody.
/// let balance = unsafe { RobustMutex::<AtomicU32>::create("balance") }?;
/// let inside = balance.lock()?;
/// inside.store(7, Ordering::Relaxed);
/// assert!(!inside.owner_died());
/// # drop(inside);
/// # Ok::<(), fd_shm::Error>(())
/// ```
///
/// # References
///
/// `pthread_mutexattr_setrobust(3)`, `get_robust_list(2)`; `kernel/futex/core.c` (`exit_robust_list`,
/// `handle_futex_death`).
pub struct RobustMutex<T: Shareable = ()> {
    /// What the peers are given.
    region: Region,
    /// A whole `Page<T>`; unmapped unless `held`.
    pages: ManuallyDrop<MmapRaw>,
    /// A thread of this process holds the mutex.
    held: AtomicBool,
    /// Guards give a `&T`.
    guarded: PhantomData<&'static T>,
}

impl<T: Shareable> RobustMutex<T> {
    /// The number of bytes of `T`, in 32 bits.
    const SIZE: u32 = {
        assert!(size_of::<T>() <= u32::MAX as usize);
        #[allow(clippy::cast_possible_truncation)] // asserted above
        let size = size_of::<T>() as u32;
        size
    };

    /// Makes a region, and `pthread_mutex_init` in it with PTHREAD_PROCESS_SHARED, PTHREAD_MUTEX_ROBUST and
    /// PTHREAD_MUTEX_ERRORCHECK. The `T` is all zeros.
    ///
    /// # Safety
    ///
    /// Until the last process has unmapped the region, whoever can get at its descriptor or its memory
    /// * writes it through a `RobustMutex` of the same `T` and the same libc, and not otherwise;
    /// * is in the pid namespace of this process: thread ids are what the mutex knows its owner by.
    ///
    /// # Errors
    ///
    /// Those of [`Region::create`]; those of mapping; ENOMEM and EAGAIN when libc lacks a resource.
    pub unsafe fn create(name: &str) -> Result<Self> {
        let new = Self::map(Region::create(name, size_of::<Page<T>>())?)?;
        pthread::init(new.mutex())?;
        new.page().size.store(Self::SIZE, Ordering::Relaxed);
        // Pairs with the load in `from_fd`; handing a descriptor over is ordered by the kernel as well.
        new.page().made.store(MADE, Ordering::Release);
        Ok(new)
    }

    /// Takes a descriptor that a trusted peer handed over: what a receiver does.
    ///
    /// # Safety
    ///
    /// The region is one that [`create`](Self::create) made, under the contract that stands there.
    ///
    /// # Errors
    ///
    /// Those of [`Region::from_fd`] and of mapping; [`is_not_a_region`](Error::is_not_a_region) when no
    /// `RobustMutex` of such a `T` was made in it. That much is checked, against mistakes. Malice cannot be.
    pub unsafe fn from_fd(fd: OwnedFd) -> Result<Self> {
        let found = Self::map(Region::from_fd(fd)?)?;
        let (made, size) = (&found.page().made, &found.page().size);
        let whole = made.load(Ordering::Acquire) == MADE;
        if !whole || size.load(Ordering::Relaxed) != Self::SIZE {
            let call = format!("RobustMutex::from_fd({})", found.region.as_fd().as_raw_fd());
            return Err(Error::refused(
                call,
                Kind::NotARegion,
                "no robust mutex of such a type was made in it",
            ));
        }
        Ok(found)
    }

    /// Maps `region`, which must be large enough.
    fn map(region: Region) -> Result<Self> {
        // A mapping begins on a page, so this is what makes everything aligned.
        const { assert!(align_of::<Page<T>>() <= 64) };
        let (len, fd) = (region.len(), region.as_fd().as_raw_fd());
        let call = || format!("mmap({len}, PROT_READ | PROT_WRITE, MAP_SHARED, {fd})");
        if len < size_of::<Page<T>>() {
            return Err(Error::refused(call(), Kind::NotARegion, "too small for this robust mutex"));
        }
        let pages = MmapOptions::new()
            .len(len)
            .map_raw(fd)
            .map_err(|e| Error::system(call(), e.raw_os_error().unwrap_or_default(), &[]))?;
        // INVARIANT: a `Region` cannot shrink. That the mutex is made is seen to by both callers.
        Ok(Self {
            region,
            pages: ManuallyDrop::new(pages),
            held: AtomicBool::new(false),
            guarded: PhantomData,
        })
    }

    /// The whole page. The mutex is in a cell, the rest is atomics.
    fn page(&self) -> &Page<T> {
        // SAFETY: by the invariant, mapped, aligned and large enough; every field is valid whatever the bytes
        // are, the mutex because nobody but libc looks into it.
        unsafe { &*self.pages.as_ptr().cast::<Page<T>>() }
    }

    /// The mutex, for libc.
    fn mutex(&self) -> *mut libc::pthread_mutex_t {
        self.page().mutex.get()
    }

    /// `pthread_mutex_lock` - waits for the mutex, as long as a living owner holds it.
    ///
    /// # Errors
    ///
    /// EDEADLK when this thread holds it already; ENOTRECOVERABLE
    /// ([`is_not_recoverable`](Error::is_not_recoverable)) when an owner died and the next one unlocked
    /// without [`make_consistent`](RobustLocked::make_consistent).
    pub fn lock(&self) -> Result<RobustLocked<'_, T>> {
        // SAFETY: an initialised mutex, by the invariant; that all of its users play by the rules is the
        // contract of the constructors.
        let answer = unsafe { libc::pthread_mutex_lock(self.mutex()) };
        self.locked(answer, |fd| format!("pthread_mutex_lock(descriptor {fd})"))
    }

    /// `pthread_mutex_clocklock` - waits for the mutex, and no longer than `timeout`.
    ///
    /// A dead owner never makes anybody wait; one that lives and never comes to its unlock does, and whoever
    /// is not to wait for it says here how long. A `timeout` of zero asks once. Time counts as
    /// `CLOCK_MONOTONIC` does, where libc lets one choose (glibc 2.30): elsewhere as `CLOCK_REALTIME`, and
    /// then setting the clock moves the end.
    ///
    /// # Errors
    ///
    /// ETIMEDOUT ([`is_timed_out`](Error::is_timed_out)) when a living owner held it all the while; those of
    /// [`lock`](Self::lock).
    #[doc(alias = "pthread_mutex_timedlock")]
    pub fn lock_for(&self, timeout: Duration) -> Result<RobustLocked<'_, T>> {
        // More time than can be counted is no limit.
        let Some(end) = pthread::end_of(timeout) else { return self.lock() };
        // SAFETY: as in `lock`.
        let answer = unsafe { pthread::lock_until(self.mutex(), &end) };
        self.locked(answer, |fd| format!("pthread_mutex_clocklock(descriptor {fd}, {timeout:?})"))
    }

    /// `pthread_mutex_trylock` - takes the mutex if nobody has it.
    ///
    /// # Errors
    ///
    /// EBUSY ([`is_would_block`](Error::is_would_block)) when another thread or process holds it (with musl, when
    /// this thread does, too); those of [`lock`](Self::lock).
    pub fn try_lock(&self) -> Result<RobustLocked<'_, T>> {
        // SAFETY: as in `lock`.
        let answer = unsafe { libc::pthread_mutex_trylock(self.mutex()) };
        self.locked(answer, |fd| format!("pthread_mutex_trylock(descriptor {fd})"))
    }

    /// What libc's answer means.
    fn locked(&self, answer: c_int, call: impl Fn(RawFd) -> String) -> Result<RobustLocked<'_, T>> {
        if !matches!(answer, 0 | libc::EOWNERDEAD) {
            return Err(Error::system(call(self.region.as_fd().as_raw_fd()), answer, LOCK));
        }
        // INVARIANT: this thread holds it from here on.
        self.held.store(true, Ordering::Relaxed);
        Ok(RobustLocked { mutex: self, owner_died: answer == libc::EOWNERDEAD, of_this_thread: PhantomData })
    }
}

/// The descriptor to hand over, to trusted peers alone: the contract of [`RobustMutex::create`].
impl<T: Shareable> AsFd for RobustMutex<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.region.as_fd()
    }
}

impl<T: Shareable> Drop for RobustMutex<T> {
    fn drop(&mut self) {
        // Not destroyed: others may be using it, and its memory goes with the last of them. A guard that was
        // forgotten leaves this address in a thread's list, and the page has to stay for it.
        if !*self.held.get_mut() {
            // SAFETY: dropped once, here, and used by nobody after this.
            unsafe { ManuallyDrop::drop(&mut self.pages) };
        }
    }
}

impl<T: Shareable> fmt::Debug for RobustMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RobustMutex").field("region", &self.region).field("held", &self.held).finish()
    }
}

/// The mutex is held by this thread, and the `T` is reached through this; dropping it unlocks.
///
/// A panic is no death: it drops this like any other value, and the next owner is told nothing.
#[must_use = "dropped at once, it guards nothing"]
pub struct RobustLocked<'a, T: Shareable> {
    /// What is held.
    mutex: &'a RobustMutex<T>,
    /// The last owner died, and nobody has said yet that the `T` is repaired.
    owner_died: bool,
    /// A mutex is unlocked by the thread that locked it, so this does not travel.
    of_this_thread: PhantomData<*mut ()>,
}

impl<T: Shareable> RobustLocked<'_, T> {
    /// Whether the last owner died inside, so that the `T` may be half written. It is told to each owner
    /// until one of them has called [`make_consistent`](Self::make_consistent).
    #[must_use]
    pub fn owner_died(&self) -> bool {
        self.owner_died
    }

    /// `pthread_mutex_consistent` - says that the `T` has been repaired. Unlocking without it, after a death,
    /// locks everybody out for good.
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](Error::is_invalid_input) when nobody died, so that there was nothing to repair.
    pub fn make_consistent(&mut self) -> Result<()> {
        if !self.owner_died {
            let text = "no owner died: there is nothing to repair";
            return Err(Error::refused("pthread_mutex_consistent()", Kind::InvalidInput, text));
        }
        // SAFETY: an initialised mutex, held by this thread.
        match unsafe { libc::pthread_mutex_consistent(self.mutex.mutex()) } {
            0 => {
                self.owner_died = false;
                Ok(())
            }
            errno => Err(Error::system("pthread_mutex_consistent()", errno, &[])),
        }
    }
}

impl<T: Shareable> Deref for RobustLocked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.mutex.page().guarded
    }
}

impl<T: Shareable> Drop for RobustLocked<'_, T> {
    fn drop(&mut self) {
        // INVARIANT: set back before, since after the unlock another thread may have set it again.
        self.mutex.held.store(false, Ordering::Relaxed);
        // SAFETY: an initialised mutex. In a child of a fork it is held by a thread of the parent, and libc
        // answers EPERM.
        unsafe { libc::pthread_mutex_unlock(self.mutex.mutex()) };
    }
}

impl<T: Shareable> fmt::Debug for RobustLocked<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RobustLocked").field("owner_died", &self.owner_died).finish_non_exhaustive()
    }
}
