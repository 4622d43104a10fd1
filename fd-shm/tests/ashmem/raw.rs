//! What only unsafe code can ask: a copy of this process, memory that may not be there, pointers to nowhere.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_ulong, c_void};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::ptr;

use fd_shm::ashmem::{Errno, Prot};
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};

use crate::answer::{SIGBUS, SIGSEGV};

/// The ioctls that the crate's client does not have, or has for sound pointers alone: direction, size, type,
/// number.
pub(crate) mod request {
    use std::ffi::c_ulong;

    pub(crate) const SET_NAME: c_ulong = 0x4100_7701;
    pub(crate) const PIN: c_ulong = 0x4008_7707;
    pub(crate) const UNPIN: c_ulong = 0x4008_7708;
    pub(crate) const GET_PIN_STATUS: c_ulong = 0x7709;
    /// Android's own kernels have it.
    pub(crate) const GET_FILE_ID: c_ulong = 0x8008_770b;
    pub(crate) const UNKNOWN: c_ulong = 0x7763;
}

/// A mapping of whatever a descriptor stands for: an address, and nothing proved about what lies there.
pub(crate) struct Map {
    address: *mut c_void,
    len: usize,
}

impl Map {
    /// `mmap`, at an address of the kernel's choice.
    pub(crate) fn new(fd: impl AsFd, len: usize, prot: Prot, shared: bool, at: u64) -> Result<Self, Errno> {
        let prot = ProtFlags::from_bits_retain(prot.bits());
        let flags = if shared { MapFlags::SHARED } else { MapFlags::PRIVATE };
        // SAFETY: replaces nothing that this process has.
        let mapped = unsafe { rustix::mm::mmap(ptr::null_mut(), len, prot, flags, fd, at) };
        mapped.map(|address| Self { address, len }).map_err(|errno| Errno::from_raw(errno.raw_os_error()))
    }

    /// From where to where it was asked for.
    pub(crate) fn address(&self) -> Range<usize> {
        self.address as usize..self.address as usize + self.len
    }

    /// `mprotect` of all of it.
    pub(crate) fn protect(&self, prot: Prot) -> Result<(), Errno> {
        let prot = MprotectFlags::from_bits_retain(prot.bits());
        // SAFETY: our own mapping, of which no reference is ever made.
        let done = unsafe { rustix::mm::mprotect(self.address, self.len, prot) };
        done.map_err(|errno| Errno::from_raw(errno.raw_os_error()))
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, and unmapped here alone.
        let done = unsafe { rustix::mm::munmap(self.address, self.len) };
        debug_assert!(done.is_ok(), "a mapping of ours can be unmapped");
    }
}

/// `fork` - the child's pid for the parent, and nothing for the child.
pub(crate) fn fork() -> Option<i32> {
    // SAFETY: the child goes on with what it inherited, and takes no lock that another thread of the parent
    // could have held: it speaks over a socket, prints nothing, and leaves by `exit`.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", Errno::last()),
        0 => None,
        pid => Some(pid),
    }
}

/// `_exit` - ends a process that `fork` made, without the parent's exit handlers.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: takes nothing with it that somebody else owns.
    unsafe { libc::_exit(status) }
}

/// An ioctl whose argument points to nowhere.
pub(crate) fn ioctl_nowhere(fd: impl AsFd, request: c_ulong) -> Result<(), Errno> {
    // SAFETY: the kernel checks the pointer, and says EFAULT.
    let answer = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), request, 1_usize) };
    Errno::result(answer).map(drop)
}

/// `personality(READ_IMPLIES_EXEC)`.
pub(crate) fn read_implies_exec() {
    // SAFETY: only changes what this process's later mappings may do.
    let answer = unsafe { libc::personality(libc::READ_IMPLIES_EXEC as c_ulong) };
    assert_ne!(answer, -1, "personality: {}", Errno::last());
}

/// Reads the byte at an address that may not be readable: its value, or the signal that this raises.
pub(crate) fn load(address: usize) -> Result<u8, &'static str> {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    // The kernel reads the byte with this process's rights, and says EFAULT where we would get a signal.
    // SAFETY: no reference to the byte is made.
    let copied = unsafe { libc::write(writer.as_raw_fd(), address as *const _, 1) };
    if copied == 1 {
        return Ok(byte_from(reader.as_raw_fd()));
    }
    Err(signal_of(|| {
        // SAFETY: in a child that is there to be killed by it.
        unsafe { (address as *const u8).read_volatile() };
    }))
}

/// Writes the byte at an address that may not be writable, or names the signal that this raises.
pub(crate) fn store(address: usize, value: u8) -> Result<(), &'static str> {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    rustix::io::write(&writer, &[value]).expect("room for one byte");
    // SAFETY: as above; the mapping is this actor's, of which no reference is ever made.
    let copied = unsafe { libc::read(reader.as_raw_fd(), address as *mut _, 1) };
    if copied == 1 {
        return Ok(());
    }
    Err(signal_of(|| {
        // SAFETY: as above.
        unsafe { (address as *mut u8).write_volatile(value) };
    }))
}

/// One byte out of a pipe that has one.
fn byte_from(pipe: RawFd) -> u8 {
    let mut byte = 0_u8;
    // SAFETY: one byte, into a variable of ours.
    let got = unsafe { libc::read(pipe, (&raw mut byte).cast(), 1) };
    assert_eq!(got, 1, "read: {}", Errno::last());
    byte
}

/// The signal that ends a copy of this process when it does something.
fn signal_of(touch: impl FnOnce()) -> &'static str {
    let Some(child) = fork() else {
        touch();
        exit(0);
    };
    let mut status: c_int = 0;
    // SAFETY: the status is a variable of ours.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child, "waitpid: {}", Errno::last());
    match libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)) {
        Some(libc::SIGBUS) => SIGBUS,
        Some(libc::SIGSEGV) => SIGSEGV,
        other => panic!("the kernel's copy failed, and our own ended with {other:?}"),
    }
}

/// Touches all pages of an area again and again, and lets the kernel take each `piece` as soon as it is done
/// with.
pub(crate) fn touch_and_release(area: usize, piece: usize) -> ! {
    let (prot, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
    // SAFETY: replaces nothing that this process has.
    let start = unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), area, prot, flags) }.expect("addresses");
    for at in (0..area).step_by(piece).cycle() {
        // SAFETY: in the area.
        let piece_at = unsafe { start.cast::<u8>().add(at) };
        // SAFETY: likewise, and all of it; no reference to it is made.
        unsafe { ptr::write_bytes(piece_at, 1, piece) };
        // SAFETY: nobody reads what was written.
        unsafe { rustix::mm::madvise(piece_at.cast(), piece, Advice::LinuxFree) }.expect("MADV_FREE");
    }
    unreachable!("a cycle has no end")
}
