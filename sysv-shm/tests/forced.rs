//! `kernel.shm_rmid_forced`: a namespace in which segments end with their users, as descriptors do.

mod support;

use std::fs;
use std::path::Path;
use std::thread;

use support::namespace::{private, skip};
use sysv_shm::{Key, Segment};

const KEY: Key = Key::new(0x0001_2345);

/// Switches the namespace of the calling thread; false, and said, when that is not allowed here.
fn force(on: bool) -> bool {
    let value = if on { "1" } else { "0" };
    match fs::write("/proc/sys/kernel/shm_rmid_forced", value) {
        Ok(()) => true,
        Err(error) => {
            skip("kernel.shm_rmid_forced", &format!("it cannot be set in this namespace: {error}"));
            false
        }
    }
}

/// Runs `work` in a thread; back when the kernel has done with the thread, too.
fn in_a_thread_that_ends<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let (result, thread) =
        thread::scope(|scope| scope.spawn(|| (work(), rustix::thread::gettid())).join().expect("no panic"));
    // A thread is joined when its memory is done with, a little before its segments are looked at.
    let task = format!("/proc/self/task/{thread}");
    while Path::new(&task).exists() {
        thread::yield_now();
    }
    result
}

#[test]
fn the_last_detach_destroys() {
    private(|| {
        if !force(true) {
            return;
        }
        let segment = Segment::create_new(KEY, 4096).unwrap();
        assert_eq!(segment.stat().unwrap().attached, 0, "never attached, and its creator is there: it stays");
        let (first, second) = (segment.attach::<()>().unwrap(), segment.attach::<()>().unwrap());
        drop(first);
        assert_eq!(segment.stat().unwrap().attached, 1);
        drop(second);
        assert!(segment.stat().unwrap_err().is_removed(), "without a removal");
    });
}

#[test]
fn the_end_of_the_creator_destroys_what_nobody_has_attached() {
    private(|| {
        if !force(true) {
            return;
        }
        let unused = in_a_thread_that_ends(|| Segment::create_new(KEY, 4096).unwrap());
        assert!(unused.stat().unwrap_err().is_removed());

        let (used, attachment) = in_a_thread_that_ends(|| {
            let segment = Segment::create_new(KEY, 4096).unwrap();
            (segment, segment.attach::<()>().unwrap())
        });
        assert_eq!(used.stat().unwrap().attached, 1);
        drop(attachment);
        assert!(used.stat().unwrap_err().is_removed());
    });
}

/// The creator is the thread that called shmget (`exit_shm` in `ipc/shm.c` goes by task), though `shm_cpid`
/// names its process, which lives.
#[test]
fn switching_it_on_destroys_the_orphans_of_threads_that_have_ended() {
    private(|| {
        if !force(false) {
            return;
        }
        let mine = Segment::create_new(Key::PRIVATE, 4096).unwrap();
        let orphan = in_a_thread_that_ends(|| Segment::create_new(KEY, 4096).unwrap());
        assert_eq!(orphan.stat().unwrap().creator_pid, std::process::id());

        assert!(force(true));
        assert!(orphan.stat().unwrap_err().is_removed());
        assert_eq!(mine.stat().unwrap().attached, 0, "its creator is this thread");
        mine.remove().unwrap();
    });
}
