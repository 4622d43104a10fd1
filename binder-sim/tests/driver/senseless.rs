//! A million inputs, sensible and senseless, as values and as bytes: nothing panics, and every invariant holds.

use binder_sim::driver::{Device, Profile, Read, Translation};
use binder_sim::protocol::{
    Command, Ioctl, NodeInfoForRef, Object, ObjectFlags, Payload, Placed, TransactionData, TransactionFlags,
};
use binder_sim::wire::{self, Blocks};
use binder_sim::world::{Caller, Pid, World};

/// How many inputs there are.
const INPUTS: u32 = 1_000_000;
/// How many a machine takes before there is a new one.
const MACHINE: u32 = 4_000;
/// How many go by between two looks at the invariants.
const BETWEEN_CHECKS: u32 = 250;

/// xorshift64: small, and the same everywhere.
struct Random(u64);

impl Random {
    /// A number below `below`.
    fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    /// The same as 32 bits.
    fn small(&mut self, below: u32) -> u32 {
        u32::try_from(self.below(u64::from(below))).expect("below 32 bits")
    }

    /// One of these.
    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.small(u32::try_from(choices.len()).expect("a few")) as usize]
    }

    /// True once in `times`.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// A size that is mostly small and sometimes absurd.
fn size(random: &mut Random) -> u64 {
    match random.below(12) {
        0 => random.of(&[u64::MAX, u64::MAX / 4, 1 << 40, 1 << 31, 4096, 65536]),
        1 => random.below(200),
        _ => random.below(6) * 8,
    }
}

fn object(random: &mut Random) -> Object {
    let flags = random.of(&[ObjectFlags::NONE, ObjectFlags::ACCEPTS_FDS, ObjectFlags::TXN_SECURITY_CTX]);
    let strong = !random.once_in(3);
    match random.below(12) {
        0..3 => Object::Fd { fd: random.small(9), cookie: 1, pad_flags: 2 },
        3..6 => Object::Binder { ptr: random.below(4), cookie: u64::from(random.once_in(9)), flags, strong },
        6..8 => Object::Handle { handle: random.small(4), flags, strong },
        8 | 9 => {
            let data = vec![3; usize::try_from(random.below(40)).expect("small")];
            let length = if random.once_in(5) { size(random) } else { data.len() as u64 };
            let (flags, parent) = (random.small(2), random.below(4));
            Object::Ptr { flags, buffer: random.below(64), length, parent, parent_offset: size(random), data }
        }
        10 => {
            let fds: Vec<u32> = (0..random.below(4)).map(|_| random.small(9)).collect();
            let num_fds = if random.once_in(5) { size(random) } else { fds.len() as u64 };
            Object::FdArray { pad: 0, num_fds, parent: random.below(4), parent_offset: size(random), fds }
        }
        _ => Object::Unknown { kind: random.small(9) },
    }
}

fn payload(random: &mut Random) -> Payload {
    let objects: Vec<Object> = (0..random.below(5)).map(|_| object(random)).collect();
    let mut payload = Payload::objects(objects);
    // Buffers can only be parents behind something.
    payload.objects.iter_mut().for_each(|placed| placed.offset += 8);
    payload.bytes.extend([0; 8]);
    payload.data_size += 8;
    if random.once_in(6) {
        match random.below(4) {
            0 => payload.data_size = size(random),
            1 => payload.offsets_size = size(random),
            2 => payload.bytes.truncate(usize::try_from(random.below(64)).expect("small")),
            _ => payload.objects.push(Placed { offset: size(random), object: object(random) }),
        }
    }
    payload
}

fn data(random: &mut Random) -> TransactionData {
    let mut data = TransactionData::new(random.small(3), random.small(2), payload(random));
    data.flags = TransactionFlags(random.of(&[0, 0, 1, 1, 0x10, 0x11, 0x20, 0x41, 0x41, 0x61]));
    if random.once_in(8) {
        data.buffers_size = Some(size(random));
    }
    data
}

fn command(random: &mut Random) -> Command {
    let (handle, cookie, ptr) = (random.small(4), random.below(3), random.below(4));
    match random.below(30) {
        0..8 => Command::Transaction(data(random)),
        8..13 => Command::Reply(data(random)),
        13..16 => Command::FreeBuffer(0x7000_0000 + random.below(64) * 8),
        16 => Command::IncRefs(handle),
        17 => Command::Acquire(handle),
        18 => Command::Release(handle),
        19 => Command::DecRefs(handle),
        20 => Command::IncRefsDone { ptr, cookie: 0 },
        21 => Command::AcquireDone { ptr, cookie: 0 },
        22 if random.once_in(2) => Command::RegisterLooper,
        22 if random.once_in(2) => Command::EnterLooper,
        22 => Command::ExitLooper,
        23 => Command::RequestDeathNotification { handle, cookie },
        24 => Command::ClearDeathNotification { handle, cookie },
        25 => Command::DeadBinderDone(cookie),
        26 => Command::RequestFreezeNotification { handle, cookie },
        27 => Command::ClearFreezeNotification { handle, cookie },
        28 => Command::FreezeNotificationDone(cookie),
        _ => Command::Unknown { word: random.small(99) },
    }
}

fn ioctl(random: &mut Random, pid: Pid) -> Ioctl {
    let pid = pid.raw();
    match random.below(12) {
        0 => Ioctl::SetMaxThreads(random.small(3)),
        1 => Ioctl::SetContextMgr,
        2 => Ioctl::SetContextMgrExt { ptr: random.below(4), cookie: 0, flags: ObjectFlags::ACCEPTS_FDS },
        3 => Ioctl::ThreadExit,
        4 => Ioctl::GetNodeDebugInfo { ptr: random.below(4) },
        5 => {
            Ioctl::GetNodeInfoForRef(NodeInfoForRef { handle: random.small(4), ..NodeInfoForRef::default() })
        }
        6 | 7 => Ioctl::Freeze { pid, enable: !random.once_in(3), timeout_ms: random.small(2) },
        8 => Ioctl::GetFrozenInfo { pid },
        9 => Ioctl::EnableOnewaySpamDetection(true),
        10 => Ioctl::GetExtendedError,
        _ => Ioctl::BadPointer(random.of(&[0xc030_6201, 0x4004_6208, 0xc00c_6211, 7])),
    }
}

/// A machine under fire.
struct Machine {
    random: Random,
    world: World,
    pids: Vec<Pid>,
}

impl Machine {
    fn new(seed: u64) -> Machine {
        let mut random = Random(seed | 1);
        let (profile, translation) = (random.of(&Profile::ALL), random.of(&Translation::ALL));
        let mut world = World::with_profile(profile, translation);
        world.set_eager(!random.once_in(3));
        let mut machine = Machine { random, world, pids: Vec::new() };
        for n in 0..3 {
            machine.spawn(n);
        }
        machine
    }

    /// One more process in the place of the `n`-th: open, mapped, perhaps manager.
    fn spawn(&mut self, n: usize) {
        let pid = self.world.spawn("anybody");
        self.world.set_limit(pid, 4 + self.random.small(12)).expect("alive");
        self.world.open_device(pid).expect("room");
        self.world.mmap(pid, 8192).expect("not mapped");
        for label in ["one", "two"] {
            self.world.open(pid, label, ()).expect("room");
        }
        drop(self.world.set_context_manager(pid, ObjectFlags::ACCEPTS_FDS));
        if n < self.pids.len() {
            self.pids[n] = pid;
        } else {
            self.pids.push(pid);
        }
    }

    /// A thread, through one of its numbers: mostly the device's.
    fn caller(&mut self) -> Caller {
        let pid = self.random.of(&self.pids);
        let thread = self.random.small(3);
        let tid = if thread == 0 { pid.raw() } else { pid.raw() * 1000 + thread };
        let fd = if self.random.once_in(20) { self.random.small(6) } else { 0 };
        Caller { pid, tid, fd }
    }

    /// Whatever comes. What it comes to does not matter, as long as it comes to something.
    fn act(&mut self) {
        let caller = self.caller();
        let Caller { pid, fd, .. } = caller;
        match self.random.below(40) {
            0..28 => self.write_read(caller),
            28..32 => {
                let target = self.random.of(&self.pids);
                let ioctl = ioctl(&mut self.random, target);
                drop(self.world.ioctl(caller, ioctl));
            }
            32 => drop((self.world.poll(caller), self.world.time_up(caller))),
            33 => drop(self.world.interrupt(caller)),
            34 => drop((self.world.dup(pid, fd), self.world.open(pid, "more", ()))),
            35 => {
                let device = self.random.of(&Device::ALL);
                drop(self.world.open_device_of(pid, device));
            }
            36 => {
                let fd = self.random.small(16);
                drop(self.world.close(pid, fd));
            }
            37 if self.random.once_in(20) => drop(self.world.munmap(pid, fd)),
            38 if self.random.once_in(8) => {
                let n = self.pids.iter().position(|&other| other == pid).expect("one of them");
                self.world.exit(pid).expect("alive");
                self.spawn(n);
            }
            _ => self.world.run_deferred(),
        }
        let woken = self.world.ready() as u64;
        if woken > 0 {
            let next = self.random.below(woken + 1);
            self.world.run_nth(usize::try_from(next).expect("small"));
        }
    }

    /// Commands, one in four times by way of bytes, some of them wrong.
    fn write_read(&mut self, caller: Caller) {
        let count = 1 + self.random.below(3);
        let mut write: Vec<Command> = (0..count).map(|_| command(&mut self.random)).collect();
        if self.random.once_in(4) {
            let mut memory = Blocks::default();
            let mut bytes = wire::encode(&write, &mut memory);
            for _ in 0..self.random.below(3) {
                let at = self.random.below(bytes.len() as u64);
                bytes[usize::try_from(at).expect("small")] =
                    u8::try_from(self.random.below(256)).expect("a byte");
            }
            write = wire::decode(&bytes, &memory);
        }
        let size = usize::try_from(self.random.of(&[0, 0, 256, 256, 256, 80, 100, 5])).expect("small");
        let read = Read { size, nonblock: self.random.once_in(2), ..Read::NOW };
        drop(self.world.write_read_by(caller, write, read));
        drop(self.world.take_returned_of(caller));
    }

    /// Everybody goes; nothing is left.
    fn end(mut self) {
        self.world.set_eager(true);
        for pid in self.pids.clone() {
            self.world.exit(pid).expect("alive");
        }
        while self.world.deferred() > 0 {
            self.world.run_deferred();
        }
        self.world.check().expect("every invariant holds");
        // A message to a process that carries the process's own device holds it for ever. So it is in the kernel.
        let holds_itself = self.world.driver().files().any(|file| file.as_device().is_some());
        let left = self.world.driver().population();
        assert!(left == (0, 0, 0) || holds_itself, "opens, nodes, transactions: {left:?}");
    }
}

#[test]
fn a_million_inputs_and_every_invariant_holds() {
    let seed = std::env::var("SEED").ok().map(|seed| seed.parse().expect("SEED is a number"));
    let seeds = match seed {
        Some(seed) => seed..seed + 1,
        None => 1..u64::from(INPUTS / MACHINE) + 1,
    };
    for seed in seeds {
        // A panic further down says where; this says with what.
        let hint = Hint(seed);
        let mut machine = Machine::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for n in 0..MACHINE {
            machine.act();
            if n % BETWEEN_CHECKS == 0 || std::env::var_os("SEED").is_some() {
                machine.world.check().expect("every invariant holds");
            }
        }
        machine.end();
        core::mem::forget(hint);
    }
}

/// Prints the seed when a test fails while it is there.
struct Hint(u64);

impl Drop for Hint {
    fn drop(&mut self) {
        eprintln!("SEED={}", self.0);
    }
}
