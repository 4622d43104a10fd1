//! Random scripts, sensible and senseless, in both schemes and in random order: nothing panics, every invariant
//! holds after each step, a refused transaction leaves no trace, and nothing is left when everybody has gone.

use binder_sim::driver::{Read, Translation};
use binder_sim::protocol::{
    Command, Object, ObjectFlags, Payload, Placed, TransactionData, TransactionFlags,
};
use binder_sim::script::{Action, Actor, Buffer, Encoded, Say, Schedule, Script};
use binder_sim::wire::{Blocks, decode};
use binder_sim::world::World;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Scripts for each property.
const CASES: u32 = 400;
/// How many processes there are.
const ACTORS: usize = 3;

fn object() -> impl Strategy<Value = Object> {
    let flags = prop_oneof![Just(ObjectFlags::ACCEPTS_FDS), Just(ObjectFlags::NONE)];
    let fds = prop_oneof![6 => 4..8u32, 1 => Just(u32::MAX), 1 => 0..12u32];
    let strong = prop::bool::weighted(0.7);
    prop_oneof![
        4 => fds.prop_map(Object::fd),
        2 => (0..4u64, 0..2u64, flags, strong)
            .prop_map(|(ptr, cookie, flags, strong)| Object::Binder { ptr, cookie, flags, strong }),
        2 => (0..4u32, strong)
            .prop_map(|(handle, strong)| Object::Handle { handle, flags: ObjectFlags::NONE, strong }),
        1 => Just(Object::Unknown { kind: 3 }),
    ]
}

fn payload() -> impl Strategy<Value = Payload> {
    let placed = (0..80u64, object()).prop_map(|(offset, object)| Placed { offset, object });
    let senseless = (0..100usize, prop::collection::vec(placed, 0..4))
        .prop_map(|(size, objects)| Payload::placed(vec![0; size], objects));
    prop_oneof![
        6 => prop::collection::vec(object(), 0..4).prop_map(Payload::objects),
        1 => senseless,
        1 => (0..3000usize).prop_map(|size| Payload::placed(vec![0; size], vec![])),
    ]
}

fn data() -> impl Strategy<Value = TransactionData> {
    let target = prop_oneof![3 => Just(0), 2 => 1..4u32];
    (target, prop_oneof![Just(0u32), Just(1), Just(0x10), Just(0x11)], payload()).prop_map(
        |(target, flags, payload)| TransactionData::new(target, 1, payload).flags(TransactionFlags(flags)),
    )
}

fn say() -> impl Strategy<Value = Say> {
    let command = prop_oneof![
        6 => data().prop_map(Command::Transaction),
        5 => data().prop_map(Command::Reply),
        1 => (0x7000_0000..0x7000_0100u64).prop_map(Command::FreeBuffer),
        1 => (0..4u32).prop_map(Command::IncRefs),
        1 => (0..4u32).prop_map(Command::Acquire),
        1 => (0..4u32).prop_map(Command::Release),
        1 => (0..4u32).prop_map(Command::DecRefs),
        1 => (0..4u64, 0..2u64).prop_map(|(ptr, cookie)| Command::IncRefsDone { ptr, cookie }),
        1 => (0..4u64, 0..2u64).prop_map(|(ptr, cookie)| Command::AcquireDone { ptr, cookie }),
    ];
    prop_oneof![4 => command.prop_map(Say::from), 1 => Just(Say::FreeBuffer(Buffer::Last))]
}

fn action() -> impl Strategy<Value = Action> {
    let read = prop_oneof![
        3 => Just(Read::NOW),
        3 => Just(Read::WAIT),
        2 => Just(Read::NONE),
        1 => (0..100usize).prop_map(|size| Read { size, ..Read::NOW }),
    ];
    let ioctl = (prop::collection::vec(say(), 0..4), read)
        .prop_map(|(write, read)| Action::WriteRead { write, read });
    prop_oneof![
        30 => ioctl,
        1 => Just(Action::GetExtendedError),
        1 => Just(Action::open("file")),
        1 => (3..9u32).prop_map(Action::Close),
        1 => (3..12u32).prop_map(Action::SetLimit),
        1 => Just(Action::Exit),
        1 => Just(Action::SetContextMgrExt(ObjectFlags::ACCEPTS_FDS)),
        1 => Just(Action::mmap(4096)),
        1 => Just(Action::open_device()),
    ]
}

/// Three processes with files, all with the device open and mapped, one of them the manager; then anything.
fn script() -> impl Strategy<Value = Script> {
    prop::collection::vec((0..ACTORS, 0..2u32, action()), 0..60).prop_map(|steps| {
        let files = [(0, "zero"), (4, "four"), (5, "five"), (6, "six")];
        let actors = ["ann", "bob", "cid"].map(|name| Actor::new(name, &files));
        let mut script = Script::new("random", actors);
        for actor in 0..ACTORS {
            script = script.step(actor, Action::open_device()).step(actor, Action::mmap(4096));
        }
        script = script.step(0, Action::SetContextMgrExt(ObjectFlags::ACCEPTS_FDS));
        steps
            .into_iter()
            .fold(script, |script, (actor, thread, action)| script.step_of(actor, thread, action))
    })
}

/// A runner whose seed is printed when something fails; `SEED=` replays it.
fn check(property: impl Fn(Script, Schedule, Translation) -> Result<(), TestCaseError>) {
    let seed: u64 = match std::env::var("SEED") {
        Ok(seed) => seed.parse().expect("SEED is a number"),
        Err(_) => 0x0b1d_e200,
    };
    let bytes: [u8; 32] = core::array::from_fn(|n| seed.to_le_bytes()[n % 8]);
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let schedule = prop_oneof![Just(Schedule::Fifo), any::<u64>().prop_map(Schedule::Seeded)];
    let translation = prop_oneof![Just(Translation::Classic), Just(Translation::Deferred)];
    let outcome = runner.run(&(script(), schedule, translation), |(script, schedule, translation)| {
        property(script, schedule, translation)
    });
    if let Err(error) = outcome {
        panic!("SEED={seed}: {error}");
    }
}

#[test]
fn every_invariant_holds_after_each_step_and_nothing_is_left_at_the_end() {
    check(|script, schedule, translation| {
        let mut broken = None;
        let (mut world, _) = script.run_with(translation, schedule, |world| {
            broken = broken.take().or(world.check().err());
        });
        prop_assert_eq!(broken, None);
        for actor in 0..ACTORS {
            // An actor may have exited in the script.
            let _ = world.exit(crate::stage::pid(actor));
            prop_assert_eq!(world.check(), Ok(()));
        }
        prop_assert_eq!(world.driver().population(), (0, 0, 0));
        prop_assert_eq!(world.in_flight(), 0);
        Ok(())
    });
}

#[test]
fn the_same_script_and_schedule_give_the_same_transcript() {
    check(|script, schedule, translation| {
        let (_, first) = script.run(translation, schedule);
        let (_, second) = script.run(translation, schedule);
        prop_assert_eq!(first, second);
        Ok(())
    });
}

/// Everything of a world that a refused transaction could have changed: tables, handles, buffers, counts.
fn state(world: &World) -> Vec<String> {
    let processes = (0..ACTORS).map(crate::stage::pid).map(|pid| {
        let open = world.open_of(pid);
        let table = world.table(pid).map(|table| table.rows(|file| format!("{file} x{}", file.references())));
        let handles = open.map(|open| world.driver().handles(open));
        format!("{table:?} {handles:?} {:?}", open.and_then(|open| world.driver().buffers(open)))
    });
    processes.chain([format!("{:?} {}", world.driver().population(), world.in_flight())]).collect()
}

#[test]
fn a_refused_call_changes_nothing() {
    check(|script, schedule, translation| {
        let (mut world, _) = script.run(translation, schedule);
        let pid = crate::stage::pid(2);
        // A fresh thread of the third process sends what the script's first call would, with a bad last object.
        let last = script.steps.iter().find_map(|step| match &step.action {
            Action::WriteRead { write, .. } => {
                let mut memory = Blocks::default();
                let bytes = Encoded::new(write, 0, &mut memory).bytes;
                decode(&bytes, &memory).into_iter().find_map(|command| match command {
                    Command::Transaction(data) => Some(data),
                    _ => None,
                })
            }
            _ => None,
        });
        let mut data = last.unwrap_or_else(|| TransactionData::new(0, 1, Payload::new()));
        let Payload { mut bytes, mut objects, .. } = data.payload;
        let offset = bytes.len().next_multiple_of(4);
        bytes.resize(offset + 24, 0);
        objects.push(Placed { offset: offset as u64, object: Object::Unknown { kind: 1 } });
        data.payload = Payload::placed(bytes, objects);
        let none = Read::NONE;
        if world.write_read_of(pid, 77, vec![], none).is_ok() {
            let before = state(&world);
            let sent = world.write_read_of(pid, 77, vec![Command::Transaction(data)], none);
            prop_assert!(sent.is_ok());
            let error = world.extended_error_of(pid, 77).map(|error| error.command.is_some());
            prop_assert_eq!(error, Ok(true));
            prop_assert_eq!(state(&world), before);
            prop_assert_eq!(world.check(), Ok(()));
        }
        Ok(())
    });
}
