//! What a crowd weighs: ten thousand processes with a hundred thousand descriptors. Alone in its program, so that
//! what the program grows by is theirs.

use binder_sim::driver::{Read, Translation};
use binder_sim::protocol::{Command, ObjectFlags};
use binder_sim::world::World;

/// The most that they may take.
const MIB_AT_MOST: u64 = 64;

/// The resident bytes of this program.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line of its own");
    let kib: u64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number of kB");
    kib << 10
}

#[test]
fn ten_thousand_processes_with_a_hundred_thousand_descriptors_fit_in_64_mib() {
    let before = resident();
    let mut world: World = World::new(Translation::Deferred);
    for n in 0..10_000 {
        let process = world.spawn("process");
        world.open_device(process).expect("room");
        world.mmap(process, 1 << 20).expect("not mapped");
        if n == 0 {
            world.set_context_manager(process, ObjectFlags::ACCEPTS_FDS).expect("the first");
        }
        for _ in 1..10 {
            world.open(process, "file", ()).expect("room");
        }
        // Each with a thread that serves, and a handle on the manager.
        let write = if n == 0 { vec![] } else { vec![Command::Acquire(0)] };
        world.write_read(process, write, Read::NONE).expect("an ioctl");
        world.write_read(process, vec![Command::EnterLooper], Read::WAIT).expect("an ioctl");
    }
    let grown = resident().saturating_sub(before);
    eprintln!("10,000 processes with 10 descriptors each: {} KiB", grown >> 10);
    assert!(grown <= MIB_AT_MOST << 20, "{} MiB", grown >> 20);
    world.check().expect("every invariant holds");
}
