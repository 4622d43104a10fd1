//! Another party to a lock: this test program again, and one who writes over the lock's word.

use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::{env, io};

use fd_shm::Region;

/// Set in a second process.
const PARTY: &str = "LOCK_PARTY";

/// Starts this test program again, for the test `name`, with the region as its standard input.
pub(crate) fn again(name: &str, region: &Region) -> Child {
    let descriptor: OwnedFd = region.as_fd().try_clone_to_owned().expect("dup");
    let mut command = Command::new(env::current_exe().expect("this program has a path"));
    command.args([name, "--exact", "--nocapture"]).env(PARTY, "");
    command.stdin(descriptor).stdout(Stdio::null()).spawn().expect("a process")
}

/// In such a process: the region that it was started with.
pub(crate) fn inherited() -> Option<Region> {
    env::var_os(PARTY)?;
    let descriptor = io::stdin().as_fd().try_clone_to_owned().expect("the region, as standard input");
    Some(Region::from_fd(descriptor).expect("a region"))
}

/// Writes whatever comes into the lock's word, and wakes everybody each time, until it is over.
pub(crate) fn scribble(word: &AtomicU32, over: &AtomicBool) {
    let mut value = 1_u32;
    while !over.load(Ordering::Relaxed) {
        value = value.wrapping_mul(0x9e37_79b1).wrapping_add(1);
        word.store(value >> 7, Ordering::Relaxed);
        fd_shm::futex::wake(word, u32::MAX).expect("a wake-up");
    }
}
