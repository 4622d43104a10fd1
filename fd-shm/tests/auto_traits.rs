//! What may go to another thread, or be reached from several. `ui/unlocked_by_another_thread.rs` has what may
//! not.

use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicU32;

use fd_shm::ashmem::{Area, Device, MemoryFile, PressureTrigger, SharedBuffer, SharedMemory, Shrinker};
use fd_shm::handover::{OpenFiles, inherit, pidfd, procfs};
use fd_shm::lock::{Lock, Locked, RobustMutex, SlotLock, SlotLocked};
use fd_shm::{
    Error, Expected, FixedFd, HeadAndWords, Mapping, Memfd, MemfdOptions, ReadMapping, Region, Seals,
    scm_rights,
};

const fn of_any_thread<T: Send + Sync>() {}

const _: () = {
    of_any_thread::<Error>();
    of_any_thread::<(Seals, MemfdOptions, Expected)>();
    of_any_thread::<(Memfd, FixedFd, Region)>();
    of_any_thread::<(Mapping, Mapping<AtomicU32>, Mapping<[AtomicU32]>)>();
    of_any_thread::<(ReadMapping, ReadMapping<HeadAndWords<AtomicU32, AtomicU32>>)>();
    of_any_thread::<(Lock, SlotLock, RobustMutex<AtomicU32>)>();
    // What the kernel or a word keeps for a party is not a thread's.
    of_any_thread::<(Locked<'_>, SlotLocked<'_>)>();
    of_any_thread::<(scm_rights::Message, scm_rights::UnixFd)>();
    of_any_thread::<(pidfd::Process, pidfd::Allowance, procfs::Process)>();
    of_any_thread::<(OpenFiles<OwnedFd>, inherit::Heir<'_>)>();
    of_any_thread::<(Area, Device, MemoryFile, SharedMemory, SharedBuffer)>();
    of_any_thread::<(Shrinker, PressureTrigger)>();
};
