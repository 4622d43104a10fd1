//! What calls that know nothing of segments do to an attachment, and what C's library says of a key.

#![allow(unsafe_code)]

mod support;

use std::ffi::{CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};
use std::ptr;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::sys::mman::{ProtFlags, mprotect, munmap};
use support::Leashed;
use support::namespace::private;
use sysv_shm::{Key, Segment};

const PAGE: usize = 4096;

/// One at a time: a child by fork holds the attachments of all tests that run at that moment.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The address of byte `at` of an attachment.
fn address<T>(head: &T, at: usize) -> ptr::NonNull<c_void> {
    ptr::NonNull::from(head).cast::<u8>().map_addr(|base| base.checked_add(at).unwrap()).cast()
}

#[test]
fn nattch_counts_mappings_and_not_processes() {
    let _alone = alone();
    private(|| {
        let segment = Segment::create(Key::PRIVATE, 3 * PAGE).unwrap().remove_on_drop();
        let attached = || segment.stat().unwrap().attached;
        let once = segment.attach::<AtomicU32>().unwrap();
        assert_eq!(attached(), 1);
        let twice = segment.attach::<AtomicU32>().unwrap();
        assert_eq!(attached(), 2, "one process, two mappings");
        drop(twice);

        // SAFETY: the middle page, which lies in the tail: nothing touches it until it is as it was.
        unsafe { mprotect(address(&*once, PAGE), PAGE, ProtFlags::PROT_READ) }.unwrap();
        assert_eq!(attached(), 3, "one mapping of three pages has become three");
        // SAFETY: the same page, given back all its rights.
        unsafe { mprotect(address(&*once, PAGE), PAGE, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE) }
            .unwrap();
        assert!((1..=3).contains(&attached()), "the kernel may join them again, or not");

        // A child by fork has all of them too; one that runs another program has none.
        let mappings = attached();
        let mut sleeper =
            Leashed(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
        assert_eq!(attached(), mappings, "execve detaches");
        sleeper.kill().unwrap();
        let child = forked(attached);
        assert_eq!((child, attached()), (2 * mappings, mappings), "while the child lives, and after");

        // SAFETY: the last page, which lies in the tail and is not touched any more.
        unsafe { munmap(address(&*once, 2 * PAGE), PAGE) }.unwrap();
        drop(once); // detaches what is left
        assert_eq!(attached(), 0);
    });
}

/// Forks a child that waits, gives what `look` sees while it lives, and ends it.
fn forked<R>(look: impl FnOnce() -> R) -> R {
    let (reader, writer) = std::io::pipe().unwrap();
    // SAFETY: the child makes three system calls and nothing else: close, read, _exit.
    match unsafe { libc::fork() } {
        0 => {
            drop(writer);
            let mut byte = 0_u8;
            // SAFETY: one byte into a variable; it returns when the parent has dropped its end.
            unsafe { libc::read(std::os::fd::AsRawFd::as_raw_fd(&reader), (&raw mut byte).cast(), 1) };
            // SAFETY: ends the process, and runs nothing of this program.
            unsafe { libc::_exit(0) }
        }
        child => {
            assert!(child > 0, "fork: {}", Errno::last());
            let seen = look();
            drop(writer);
            nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(child), None).unwrap();
            seen
        }
    }
}

#[test]
fn what_was_attached_for_reading_cannot_be_made_writable() {
    let _alone = alone();
    private(|| {
        let segment = Segment::create(Key::PRIVATE, PAGE).unwrap().remove_on_drop();
        let reader = segment.attach_read_only::<AtomicU32>().unwrap();
        // SAFETY: more rights to memory that is reached as before.
        let refused =
            unsafe { mprotect(address(&*reader, 0), PAGE, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE) };
        assert_eq!(refused, Err(Errno::EACCES));
        // The x bit, too, is looked at by shmat alone: the mode is 0600.
        let writer = segment.attach::<AtomicU32>().unwrap();
        let all = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE | ProtFlags::PROT_EXEC;
        // SAFETY: more rights to memory that is reached as before.
        unsafe { mprotect(address(&*writer, 0), PAGE, all) }.unwrap();
    });
}

#[test]
fn the_rest_of_the_last_page_is_shared_memory_like_any_other() {
    let _alone = alone();
    private(|| {
        let segment = Segment::create(Key::PRIVATE, 5000).unwrap().remove_on_drop();
        let (one, two) = (segment.attach::<AtomicU8>().unwrap(), segment.attach::<AtomicU8>().unwrap());
        let last = |head: &AtomicU8| {
            // SAFETY: a segment of 5000 bytes is mapped as two whole pages; others reach this byte as an
            // atomic only.
            unsafe { address(head, 2 * PAGE - 1).cast::<AtomicU8>().as_ref() }.as_ptr()
        };
        // SAFETY: see above; the attachment outlives it.
        unsafe { AtomicU8::from_ptr(last(&one)) }.store(7, Ordering::Relaxed);
        // SAFETY: see above.
        assert_eq!(unsafe { AtomicU8::from_ptr(last(&two)) }.load(Ordering::Relaxed), 7);
        assert_eq!((one.len(), one.tail_len()), (5000, 5000 - 64), "which the crate does not show");
    });
}

#[test]
fn a_key_of_a_path_is_the_one_that_the_c_library_gives() {
    for path in [std::env::current_exe().unwrap(), std::env::temp_dir(), "/".into()] {
        let name = CString::new(path.as_os_str().as_bytes()).unwrap();
        for project in [1_u8, b'A', 0xff] {
            // SAFETY: a string that ends with NUL.
            let theirs = unsafe { libc::ftok(name.as_ptr(), i32::from(project)) };
            assert_eq!(Key::from_path(&path, project).unwrap().number(), theirs, "{path:?} {project}");
            // SAFETY: the same.
            let wider = unsafe { libc::ftok(name.as_ptr(), i32::from(project) + 256) };
            assert_eq!(wider, theirs, "C looks at the last eight bits of the project only");
        }
        // SAFETY: the same.
        let zero = unsafe { libc::ftok(name.as_ptr(), 256) };
        assert_eq!(Key::from_path(&path, 0).unwrap().number(), zero);
    }
}
