//! What a hostile peer can send and write, chosen by the fuzzer: sizes, seals, bytes, messages, offsets.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run -s none hostile_peer` in `fd-shm/`. It finds what panics, crashes or hangs;
//! whether the answers are right is for `tests/hostile.rs`, which has a model.

#![no_main]

use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicU32, Ordering};

use arbitrary::Arbitrary;
use fd_shm::{Expected, Memfd, Seals, scm_rights};
use libfuzzer_sys::fuzz_target;

/// What the peer does, and what the receiver asks for.
#[derive(Debug, Arbitrary)]
struct Case<'a> {
    /// The size of the file, 16 MiB at most.
    len: u32,
    /// One bit for each of `Seals::ALL`.
    seals: u8,
    /// The bytes of the message.
    message: &'a [u8],
    /// How many times the descriptor goes with it.
    copies: u8,
    /// The receiver's buffer and expectations.
    room: u8,
    most: u8,
    at_least: usize,
    /// What the peer writes into the region, and where the receiver copies.
    contents: &'a [u8],
    ranges: Vec<(usize, u16)>,
}

fuzz_target!(|case: Case<'_>| drop(play(&case)));

/// One exchange; a refusal ends it, and is as good as any other end.
fn play(case: &Case<'_>) -> Result<(), Box<dyn std::error::Error>> {
    let memfd = Memfd::create("fuzzed")?;
    memfd.set_len(u64::from(case.len % (16 << 20)))?;
    for (bit, (seal, _)) in Seals::ALL.into_iter().enumerate() {
        if case.seals & (1 << bit) != 0 {
            drop(memfd.add_seals(seal)); // refused behind F_SEAL_SEAL
        }
    }
    let (peer, receiver) = UnixDatagram::pair()?;
    receiver.set_nonblocking(true)?;
    scm_rights::send(&peer, case.message, &vec![memfd.as_fd(); usize::from(case.copies)])?;
    let mut buffer = vec![0; usize::from(case.room)];
    let [descriptor] = scm_rights::receive(&receiver, &mut buffer, usize::from(case.most))?.into_exactly()?;
    let region = Expected::new().at_least(case.at_least).check(descriptor)?;
    let reader = region.map_read_only::<AtomicU32>()?;
    let writer = region.map::<AtomicU32>();
    for &(offset, len) in &case.ranges {
        if let Ok(writer) = &writer {
            drop(writer.copy_in(offset, case.contents));
            writer.store(u32::from(len), Ordering::Release);
        }
        let told = usize::try_from(reader.load(Ordering::Acquire))?;
        drop(reader.copy_out(told.wrapping_add(offset), &mut vec![0; usize::from(len)]));
    }
    Ok(())
}
