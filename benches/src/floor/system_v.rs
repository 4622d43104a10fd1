//! System V in libc's calls.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

use super::memory::RawMemory;
use crate::Failure;

/// `shmget(key, size, IPC_CREAT | IPC_EXCL | 0600)`, with `IPC_PRIVATE` where there is no key.
pub(crate) fn create(key: Option<i32>, size: usize) -> Result<i32, Failure> {
    let key = key.unwrap_or(libc::IPC_PRIVATE);
    let flags = libc::IPC_CREAT | libc::IPC_EXCL | 0o600;
    // SAFETY: shmget(2) touches no memory.
    let id = unsafe { libc::shmget(key, size, flags) };
    if id < 0 {
        Err(Failure::last(format!("shmget({key:#x}, {size}, IPC_CREAT | IPC_EXCL)")))
    } else {
        Ok(id)
    }
}

/// `shmget(IPC_PRIVATE, size, SHM_HUGETLB)` - in huge pages of 2 MiB.
pub(crate) fn create_huge(size: usize) -> Result<i32, Failure> {
    let flags = libc::IPC_CREAT | libc::SHM_HUGETLB | libc::MAP_HUGE_2MB | 0o600;
    // SAFETY: shmget(2) touches no memory.
    let id = unsafe { libc::shmget(libc::IPC_PRIVATE, size, flags) };
    if id < 0 { Err(Failure::last(format!("shmget(IPC_PRIVATE, {size}, SHM_HUGETLB)"))) } else { Ok(id) }
}

/// `shmget(key, 0, 0)` - finds the segment that has the key.
pub(crate) fn find(key: i32) -> Result<i32, Failure> {
    // SAFETY: shmget(2) touches no memory.
    let id = unsafe { libc::shmget(key, 0, 0) };
    if id < 0 { Err(Failure::last(format!("shmget({key:#x}, 0, 0)"))) } else { Ok(id) }
}

/// `shmat(id, NULL, 0)` - maps a segment that is known to have `size` bytes.
pub(crate) fn attach(id: i32, size: usize) -> Result<RawMemory, Failure> {
    // SAFETY: without an address the kernel finds a free one, so nothing of ours is replaced.
    let base = unsafe { libc::shmat(id, ptr::null(), 0) };
    if base == ptr::without_provenance_mut(usize::MAX) {
        return Err(Failure::last(format!("shmat({id}, NULL, 0)")));
    }
    // SAFETY: just mapped, of the size that it was made with, which a segment keeps for life; `leave` is
    // shmdt's contract.
    unsafe { RawMemory::new(base, size, leave) }
}

/// `shmctl(id, IPC_STAT)` for the size, then `shmat(id, NULL, 0)` - maps a segment that one only knows by
/// its id.
///
/// The size is asked for because a receiver must not believe a number in a message.
pub(crate) fn join(id: i32) -> Result<RawMemory, Failure> {
    let mut stat = MaybeUninit::<libc::shmid_ds>::uninit();
    // SAFETY: IPC_STAT writes one `shmid_ds`.
    if unsafe { libc::shmctl(id, libc::IPC_STAT, stat.as_mut_ptr()) } < 0 {
        return Err(Failure::last(format!("shmctl({id}, IPC_STAT)")));
    }
    // SAFETY: the call has succeeded, so it is filled in.
    let stat = unsafe { stat.assume_init() };
    attach(id, stat.shm_segsz)
}

/// `shmctl(id, IPC_RMID)` - the segment ends with its last attachment.
pub(crate) fn remove(id: i32) -> Result<(), Failure> {
    // SAFETY: IPC_RMID takes no buffer.
    let result = unsafe { libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()) };
    if result < 0 { Err(Failure::last(format!("shmctl({id}, IPC_RMID)"))) } else { Ok(()) }
}

/// `semget(IPC_PRIVATE, 2)` - two semaphores, both at 0, which end only by [`remove_semaphores`].
pub(crate) fn create_semaphores() -> Result<i32, Failure> {
    // SAFETY: semget(2) touches no memory.
    let id = unsafe { libc::semget(libc::IPC_PRIVATE, 2, libc::IPC_CREAT | 0o600) };
    if id < 0 { Err(Failure::last("semget(IPC_PRIVATE, 2, IPC_CREAT)")) } else { Ok(id) }
}

/// `semop(id, [(index, by, 0)], 1)` - adds, or waits until it can take away.
#[inline]
pub(crate) fn operate(id: i32, index: u16, by: i16) -> Result<(), Failure> {
    let mut operation = libc::sembuf { sem_num: index, sem_op: by, sem_flg: 0 };
    // SAFETY: one operation is passed, and one is said to be.
    let result = unsafe { libc::semop(id, &raw mut operation, 1) };
    if result < 0 { Err(Failure::last(format!("semop({id}, [({index}, {by})])"))) } else { Ok(()) }
}

/// `semctl(id, 0, IPC_RMID)` - at once, whoever sleeps on it.
pub(crate) fn remove_semaphores(id: i32) -> Result<(), Failure> {
    // SAFETY: IPC_RMID takes no argument.
    let result = unsafe { libc::semctl(id, 0, libc::IPC_RMID) };
    if result < 0 { Err(Failure::last(format!("semctl({id}, 0, IPC_RMID)"))) } else { Ok(()) }
}

/// `shmdt(base)`.
///
/// # Safety
///
/// `base` is the address of an attachment that nothing uses any more.
unsafe fn leave(base: *mut c_void, _: usize) -> i32 {
    // SAFETY: the caller's.
    unsafe { libc::shmdt(base) }
}
