//! What processes can write to the driver, chosen by the fuzzer: any bytes, any memory behind them, in any
//! order.
//!
//! `cargo +nightly fuzz run write_buffer` in `binder-sim/`. It finds what panics and what breaks an
//! invariant; whether the answers are right is for the scripts, which a real kernel answers too.

#![no_main]

use arbitrary::Arbitrary;
use binder_sim::driver::{Profile, Read, Translation};
use binder_sim::protocol::{Ioctl, ObjectFlags};
use binder_sim::wire::{Blocks, decode};
use binder_sim::world::{Caller, Pid, World};
use libfuzzer_sys::fuzz_target;

/// One call of the device.
#[derive(Debug, Arbitrary)]
struct Call<'a> {
    /// Whose.
    process: u8,
    /// Of which thread.
    thread: u8,
    /// What is written.
    bytes: &'a [u8],
    /// What stands in memory at small addresses, where the bytes may point.
    memory: &'a [u8],
    /// The room for what is read.
    room: u8,
    /// How much of it is said to be used.
    consumed: u8,
    /// Where the memory for it ends, if it does.
    writable: Option<u8>,
    /// Another ioctl instead: its number.
    ioctl: Option<u8>,
}

/// Two processes with the device open and mapped, one of them the manager; the profile is one of four.
fn world(profile: u8) -> (World, [Pid; 2]) {
    let profile = Profile::ALL[usize::from(profile) % Profile::ALL.len()];
    let mut world = World::with_profile(profile, Translation::Deferred);
    let pids = ["one", "two"].map(|name| world.spawn(name));
    for pid in pids {
        world.open_device(pid).expect("a fresh world");
        world.mmap(pid, 8192).expect("a fresh world");
        world.open(pid, "file", ()).expect("a fresh world");
    }
    world.set_context_manager(pids[0], ObjectFlags::ACCEPTS_FDS).expect("a fresh world");
    (world, pids)
}

fuzz_target!(|input: (u8, Vec<Call<'_>>)| {
    let (mut world, pids) = world(input.0);
    for call in &input.1 {
        let pid = pids[usize::from(call.process % 2)];
        let Ok(main) = world.main(pid, "ioctl") else { return };
        let caller = Caller { tid: pid.raw() + u32::from(call.thread % 3) * 1000, ..main };
        let memory = Blocks::default().with(0, call.memory);
        // A refusal is as good as an answer; only a panic or a broken invariant counts.
        match call.ioctl {
            Some(number) => drop(world.ioctl(caller, Ioctl::Unknown(number.into()))),
            None => {
                let (size, consumed) = (call.room.into(), call.consumed.into());
                let writable = call.writable.map_or(usize::MAX, usize::from);
                let read = Read { size, consumed, writable, nonblock: true };
                drop(world.write_read_by(caller, decode(call.bytes, &memory), read));
            }
        }
        world.run();
        world.check().expect("every invariant holds");
    }
});
