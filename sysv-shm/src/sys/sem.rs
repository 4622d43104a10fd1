//! The system calls of semaphores, one function each, named as in their man pages. Nothing is decided here.

#![allow(unsafe_code)]

use std::ptr::{self, NonNull};

use libc::{c_int, c_void};
use nix::errno::Errno;

use super::abi::{
    GETALL, GETNCNT, GETPID, GETVAL, GETZCNT, IPC_64, IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT, Permissions,
    SEM_INFO, SEM_STAT_ANY, SETALL, SETVAL, SemaphoreInfo, SetInfo, Timeout, number,
};
use super::{NOTHING, int};
use crate::Operation;

/// `semget(key, count, flags)` - finds or makes a set of semaphores, gives its id. [semget(2)]
///
/// [semget(2)]: https://man7.org/linux/man-pages/man2/semget.2.html
pub(crate) fn semget(key: i32, count: u16, flags: c_int) -> Result<c_int, Errno> {
    // SAFETY: semget(2) takes numbers only and touches no memory of the caller.
    int(unsafe { libc::syscall(number::SEMGET, key, c_int::from(count), flags) })
}

/// `semtimedop(id, operations, timeout)` - does all the operations at once, or waits until that is possible.
/// [semop(2)]
///
/// Without a timeout this is `semop`.
///
/// [semop(2)]: https://man7.org/linux/man-pages/man2/semop.2.html
pub(crate) fn semtimedop(
    id: c_int,
    operations: &[Operation],
    timeout: Option<&Timeout>,
) -> Result<(), Errno> {
    let timeout = timeout.map_or(ptr::null(), ptr::from_ref);
    // The kernel takes an `unsigned int`. More than that is refused (E2BIG) just as this many would be.
    let count = u32::try_from(operations.len()).unwrap_or(u32::MAX);
    // SAFETY: semtimedop(2) reads at most `count` operations, which is not above the slice's length and whose
    // layout is that of `sembuf`, and the timeout if there is one.
    int(unsafe { libc::syscall(number::SEMTIMEDOP, id, operations.as_ptr(), count, timeout) }).map(drop)
}

/// `semctl(id, index, command, argument)`. [semctl(2)]
///
/// # Safety
///
/// `argument` is what the command wants: the structure or array that it reads or fills, or null where it does
/// neither.
///
/// [semctl(2)]: https://man7.org/linux/man-pages/man2/semctl.2.html
unsafe fn semctl<T>(id: c_int, index: u16, command: c_int, argument: *mut T) -> Result<c_int, Errno> {
    // SAFETY: the caller keeps this function's contract.
    int(unsafe { libc::syscall(number::SEMCTL, id, c_int::from(index), command | IPC_64, argument) })
}

/// `semctl(id, 0, IPC_STAT, buffer)` - what the kernel knows of a set; needs read permission.
pub(crate) fn semctl_stat(id: c_int) -> Result<SetInfo, Errno> {
    let mut stat = SetInfo::default();
    // SAFETY: IPC_STAT fills one `semid64_ds`.
    unsafe { semctl(id, 0, IPC_STAT, &raw mut stat) }.map(|_| stat)
}

/// `semctl(index, 0, SEM_STAT_ANY, buffer)` - the same by index, without any permission (Linux 4.17); gives
/// the id too.
pub(crate) fn semctl_stat_any(index: c_int) -> Result<(c_int, SetInfo), Errno> {
    let mut stat = SetInfo::default();
    // SAFETY: SEM_STAT_ANY fills one `semid64_ds`.
    unsafe { semctl(index, 0, SEM_STAT_ANY, &raw mut stat) }.map(|id| (id, stat))
}

/// `semctl(id, 0, IPC_SET, buffer)` - changes owner and mode.
pub(crate) fn semctl_set(id: c_int, permissions: Permissions) -> Result<(), Errno> {
    let mut new = SetInfo::of(permissions);
    // SAFETY: IPC_SET reads one `semid64_ds`.
    unsafe { semctl(id, 0, IPC_SET, &raw mut new) }.map(drop)
}

/// `semctl(id, 0, IPC_RMID)` - destroys a set at once; who waits for it gets EIDRM.
pub(crate) fn semctl_remove(id: c_int) -> Result<(), Errno> {
    // SAFETY: IPC_RMID ignores its argument and touches no memory of the caller.
    unsafe { semctl(id, 0, IPC_RMID, NOTHING) }.map(drop)
}

/// `semctl(id, index, command)` - one number about one semaphore: GETVAL, GETPID, GETNCNT or GETZCNT.
pub(crate) fn semctl_get(id: c_int, index: u16, command: c_int) -> Result<c_int, Errno> {
    debug_assert!([GETVAL, GETPID, GETNCNT, GETZCNT].contains(&command));
    // SAFETY: these four commands ignore the argument and touch no memory of the caller.
    unsafe { semctl(id, index, command, NOTHING) }
}

/// `semctl(id, index, SETVAL, value)` - sets one semaphore, and clears what all processes would undo there.
pub(crate) fn semctl_set_value(id: c_int, index: u16, value: u16) -> Result<(), Errno> {
    // A number where the other commands have an address: C has a union here.
    let value = ptr::without_provenance_mut::<c_void>(usize::from(value));
    // SAFETY: SETVAL takes a number and touches no memory of the caller.
    unsafe { semctl(id, index, SETVAL, value) }.map(drop)
}

/// `semctl(id, 0, GETALL, array)` - all values at one moment. EFAULT when the set has more than `count`.
///
/// Where it has fewer, the kernel leaves the rest as it was: `u16::MAX`, which no semaphore can have.
pub(crate) fn semctl_get_all(id: c_int, count: usize) -> Result<Vec<u16>, Errno> {
    let array = GuardedArray::new(&vec![u16::MAX; count])?;
    // SAFETY: GETALL writes as many values as the set has, without knowing for how many there is room; the
    // guard makes it stop at the end of the array.
    unsafe { semctl(id, 0, GETALL, array.first.as_ptr()) }?;
    Ok(array.copy())
}

/// `semctl(id, 0, SETALL, array)` - sets all, and clears what all processes would undo. EFAULT when the set
/// has more semaphores than `values` has numbers: then nothing is set.
pub(crate) fn semctl_set_all(id: c_int, values: &[u16]) -> Result<(), Errno> {
    let array = GuardedArray::new(values)?;
    // SAFETY: SETALL reads as many values as the set has; the guard makes it stop at the end of the array.
    unsafe { semctl(id, 0, SETALL, array.first.as_ptr()) }.map(drop)
}

/// `semctl(0, 0, IPC_INFO, buffer)` - the limits of this IPC namespace, and the highest index in use.
pub(crate) fn semctl_limits() -> Result<(c_int, SemaphoreInfo), Errno> {
    semctl_info(IPC_INFO)
}

/// `semctl(0, 0, SEM_INFO, buffer)` - the same with what is in use now.
pub(crate) fn semctl_usage() -> Result<(c_int, SemaphoreInfo), Errno> {
    semctl_info(SEM_INFO)
}

fn semctl_info(command: c_int) -> Result<(c_int, SemaphoreInfo), Errno> {
    let mut info = SemaphoreInfo::default();
    // SAFETY: IPC_INFO and SEM_INFO fill one `seminfo`.
    unsafe { semctl(0, 0, command, &raw mut info) }.map(|highest| (highest, info))
}

/// An array of values that ends where a page ends that nobody can touch.
///
/// GETALL and SETALL copy as many values as the set *has*, and cannot be told how many the caller has room
/// for. Asking first does not help: between the two calls an id can become another, larger set. The kernel
/// copies upwards, and gives up with EFAULT at the first byte that it cannot reach.
///
/// # Invariants
///
/// `first` begins an array of `count` values of this process's memory that ends where a page without
/// permissions begins; `pages` is the mapping of both, of `bytes` bytes, and belongs to this value alone.
struct GuardedArray {
    first: NonNull<u16>,
    count: usize,
    pages: NonNull<c_void>,
    bytes: usize,
}

impl GuardedArray {
    fn new(values: &[u16]) -> Result<Self, Errno> {
        // SAFETY: sysconf(3) touches no memory of the caller.
        let page =
            usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).map_err(|_| Errno::EINVAL)?;
        let used = size_of_val(values).next_multiple_of(page);
        let (bytes, flags) = (used + page, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: mmap(2) with address NULL and no MAP_FIXED replaces no mapping.
        let pages = unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
        if pages == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let pages = NonNull::new(pages).ok_or(Errno::ENOMEM)?;
        // SAFETY: `used - size_of_val(values)` is inside the mapping, and aligned since `used` is.
        let first = unsafe { pages.byte_add(used - size_of_val(values)) }.cast();
        // INVARIANT: the values end at `used`, where the last page begins, which stays without permissions.
        let array = Self { first, count: values.len(), pages, bytes };
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: all but the last page of a mapping that nothing refers to yet.
        Errno::result(unsafe { libc::mprotect(pages.as_ptr(), used, access) })?;
        // SAFETY: the array has room for as many values (invariant), and they cannot overlap: it is new.
        unsafe { ptr::copy_nonoverlapping(values.as_ptr(), array.first.as_ptr(), values.len()) };
        Ok(array)
    }

    fn copy(&self) -> Vec<u16> {
        // SAFETY: `count` values, all initialised by `new` (invariant); no other process sees this mapping.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.count) }.to_vec()
    }
}

impl Drop for GuardedArray {
    fn drop(&mut self) {
        // SAFETY: the mapping belongs to this value alone (invariant), and nothing refers to it any more.
        let unmapped = unsafe { libc::munmap(self.pages.as_ptr(), self.bytes) };
        debug_assert_eq!(unmapped, 0, "munmap of what mmap gave");
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::{semctl_get_all, semctl_set_all};
    use crate::{Key, SemaphoreSet};

    #[test]
    fn a_set_that_is_larger_than_the_array_is_a_fault_and_no_overrun() {
        for (has, room) in [(4, 3), (2049, 2048), (10_000, 1), (10_000, 4096)] {
            let set = SemaphoreSet::create(Key::PRIVATE, has).unwrap().remove_on_drop();
            let id = set.id().number();
            assert_eq!(semctl_get_all(id, room), Err(Errno::EFAULT), "{has} into {room}");
            assert_eq!(semctl_set_all(id, &vec![9; room]), Err(Errno::EFAULT), "{room} for {has}");
            assert_eq!(set.get_all().unwrap(), vec![0; usize::from(has)], "nothing is set");
        }
    }

    #[test]
    fn a_set_that_is_smaller_leaves_the_rest_marked() {
        let set = SemaphoreSet::create(Key::PRIVATE, 2).unwrap().remove_on_drop();
        assert_eq!(semctl_get_all(set.id().number(), 4).unwrap(), [0, 0, u16::MAX, u16::MAX]);
    }
}
