//! Memory that is really short, the kernel that says so, and a shrinker that gives some back. Only in a
//! guest: it takes the whole machine.

use std::env;
use std::fs;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fd_shm::Region;
use fd_shm::ashmem::{Pinning, PressureTrigger, Shrinker};

use crate::{raw, skip};

/// Set in the process that makes memory short.
const ROLE: &str = "MAKES_MEMORY_SHORT";

const MIB: usize = 1 << 20;

/// What is unpinned.
const UNPINNED: usize = 96 * MIB;

/// What the other process leaves free, for much more than that.
const LEFT: usize = 32 * MIB;

/// By how much the system's sums can be behind: each processor keeps some of it to itself.
const ABOUT: usize = 4 * MIB;

/// Far longer than memory takes to get short.
const LONG: Duration = Duration::from_secs(100);

/// A line of `/proc/meminfo`, in bytes.
fn meminfo(name: &str) -> usize {
    let text = fs::read_to_string("/proc/meminfo").expect("meminfo");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}

/// Another process that goes on taking memory; gone when dropped.
struct Hungry(Child);

impl Hungry {
    fn start(test: &str) -> Self {
        let program = env::current_exe().expect("this program has a path");
        let mut command = Command::new(program);
        command.args([test, "--exact", "--nocapture"]).env(ROLE, "yes").stdout(Stdio::null());
        Self(command.spawn().expect("a process"))
    }
}

impl Drop for Hungry {
    fn drop(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("reaped");
    }
}

/// Keeps all memory but [`LEFT`], and then wants three times as much as is left, again and again. What it has
/// done with may be taken from it, so that the kernel always has something to reclaim, and never nothing.
fn take_memory() -> ! {
    let _kept = vec![1_u8; meminfo("MemFree").saturating_sub(LEFT)];
    raw::touch_and_release(3 * LEFT, MIB)
}

#[test]
fn memory_that_is_short_comes_back_from_the_unpinned_pages() {
    let name = "pressure::memory_that_is_short_comes_back_from_the_unpinned_pages";
    if env::var_os(ROLE).is_some() {
        take_memory();
    }
    if env::var_os("REAL_KERNEL").is_none() {
        return skip(
            name,
            "it makes the whole machine short of memory; .ci/real-kernel/ashmem does so in a guest",
        );
    }
    let before = meminfo("Shmem");
    let region = Region::create_with("cache", UNPINNED, Pinning::Kept).expect("a region");
    let map = region.map::<()>().expect("a mapping");
    for piece in 0..UNPINNED / MIB {
        map.copy_in(piece * MIB, &[7; MIB]).expect("in the region");
        region.unpin(piece * MIB, MIB).expect("a range");
    }
    assert!(meminfo("Shmem") > before + UNPINNED - ABOUT, "all of it has memory");

    let mut shrinker = Shrinker::new();
    shrinker.add(&region).expect("a region that keeps its pins");
    let trigger =
        PressureTrigger::open(Duration::from_millis(50), Duration::from_secs(1)).expect("a kernel with PSI");
    let quiet = shrinker.shrink_under_pressure(&trigger, Duration::from_secs(2), usize::MAX);
    assert!(quiet.expect("polled").is_none(), "nobody has waited for memory yet");

    let hungry = Hungry::start(name);
    let freed = shrinker.shrink_under_pressure(trigger.as_fd(), LONG, usize::MAX);
    let freed = freed.expect("polled").expect("the trigger fires");
    drop(hungry);
    println!(
        "{} ranges, {} MiB, Shmem {} MiB",
        freed.purged.len(),
        freed.bytes() >> 20,
        meminfo("Shmem") >> 20
    );
    assert_eq!((freed.bytes(), freed.refused.len()), (UNPINNED as u64, 0), "and it frees exactly this");
    assert!(meminfo("Shmem") < before + ABOUT, "which the system has again");
    assert!(region.pin(0, 0).expect("pinned").was_purged(), "and its user is told");
}
