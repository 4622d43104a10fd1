//! What a call costs, and that it does not matter how much stands by.
//!
//! In a release build the figures mean something:
//! `cargo test --release -p binder-sim --test driver cost -- --nocapture`.

use binder_sim::driver::{Read, Translation};
use binder_sim::protocol::{Command, Payload, TransactionData, TransactionFlags};
use binder_sim::world::RoundTrip;
use std::time::{Duration, Instant};

/// Round trips in one batch.
const CALLS: u32 = 400;
/// Batches of each kind, in turn; the best of each counts.
const BATCHES: usize = 25;
/// How much dearer a call may be with all that standing by.
const AT_MOST: f64 = 1.5;
/// What else runs on the machine must not decide: the ratio is taken again, this often at most.
const TRIES: usize = 5;

/// The time of one batch, by call.
fn batch(pair: &mut RoundTrip) -> Duration {
    let begin = Instant::now();
    for _ in 0..CALLS {
        assert_ne!(pair.call().expect("nobody else calls"), u32::MAX, "the descriptor arrived");
    }
    begin.elapsed() / CALLS
}

/// The best batch of each, taken in turn.
fn best(pairs: &mut [RoundTrip]) -> Vec<Duration> {
    let mut best = vec![Duration::MAX; pairs.len()];
    for _ in 0..BATCHES {
        for (best, pair) in best.iter_mut().zip(pairs.iter_mut()) {
            *best = batch(pair).min(*best);
        }
    }
    best
}

/// Ten thousand processes with an open and mapped device each, and ten descriptors.
fn with_processes(pair: &mut RoundTrip) {
    let world = pair.world_mut();
    for n in 0..10_000 {
        let process = world.spawn("bystander");
        world.open_device(process).expect("an open");
        world.mmap(process, 4096).expect("a mapping");
        for _ in 0..10 {
            world.open(process, "file", ()).expect("room");
        }
        let enter = vec![Command::EnterLooper];
        world.write_read(process, enter, Read::NONE).expect("an ioctl");
        assert!(n > 0 || world.check().is_ok());
    }
}

/// A hundred thousand descriptors in the server.
fn with_descriptors(pair: &mut RoundTrip) {
    let server = pair.server();
    let world = pair.world_mut();
    world.set_limit(server, 200_000).expect("a process");
    for _ in 0..100_000 {
        world.open(server, "file", ()).expect("room");
    }
}

/// Ten thousand buffers that the server has received and not given back.
fn with_buffers(pair: &mut RoundTrip) {
    let server = pair.server();
    let world = pair.world_mut();
    let other = world.spawn("forgotten");
    world.open_device(other).expect("an open");
    world.mmap(other, 4096).expect("a mapping");
    let call = TransactionData::new(0, 2, Payload::bytes(&[7; 16])).flags(TransactionFlags::NONE);
    let reply = TransactionData::new(0, 0, Payload::new()).flags(TransactionFlags::NONE);
    for _ in 0..10_000 {
        world.write_read(other, vec![Command::Transaction(call.clone())], Read::NONE).expect("an ioctl");
        world.run();
        world.take_returned(server).expect("the call");
        world.write_read(server, vec![Command::Reply(reply.clone())], Read::WAIT).expect("an ioctl");
        world.write_read(server, vec![], Read::WAIT).expect("an ioctl");
        let read = world.write_read(other, vec![], Read::NOW).expect("an ioctl").expect("the reply");
        let buffer = read.returns.last().and_then(|read| read.delivered()).expect("the reply").buffer;
        world.write_read(other, vec![Command::FreeBuffer(buffer)], Read::NONE).expect("an ioctl");
    }
    let open = world.open_of(server).expect("an open");
    assert_eq!(world.driver().buffers(open).map(|(out, _)| out), Some(10_000));
}

#[test]
fn a_call_costs_the_same_whatever_stands_by() {
    for translation in Translation::ALL {
        for (name, fill) in [
            ("10,000 processes", with_processes as fn(&mut RoundTrip)),
            ("100,000 descriptors", with_descriptors),
            ("10,000 buffers", with_buffers),
        ] {
            let mut ratio = f64::MAX;
            for _ in 0..TRIES {
                let mut pairs = [0; 2].map(|_| RoundTrip::new(translation).expect("a fresh world"));
                fill(&mut pairs[1]);
                let best = best(&mut pairs);
                ratio = best[1].as_secs_f64() / best[0].as_secs_f64();
                eprintln!(
                    "{translation}, {name}: {:?} alone, {:?} with them, ratio {ratio:.2}",
                    best[0], best[1]
                );
                if ratio <= AT_MOST {
                    break;
                }
            }
            assert!(ratio <= AT_MOST, "{name}: {ratio:.2} times as dear");
        }
    }
}
