//! What a hostile peer can send and write, chosen by the fuzzer: sizes, seals,
//! messages, contents, a lock's word.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run -s none hostile_peer` in `fd-shm/`. It finds what panics, crashes, hangs
//! or leaks a descriptor; whether the answers are right is for `tests/hostile.rs`, which has a model.

#![no_main]

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arbitrary::Arbitrary;
use fd_shm::lock::{Lock, LockWord};
use fd_shm::scm_rights::UnixFd;
use fd_shm::{Expected, Memfd, Region, Seals, scm_rights};
use libfuzzer_sys::fuzz_target;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, UCred,
    sendmsg, socketpair, sockopt,
};
use rustix::process::{getgid, getpid, getuid};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What the peer does, and what the receiver asks for.
#[derive(Debug, Arbitrary)]
struct Case<'a> {
    /// The size of the file, 16 MiB at most.
    len: u32,
    /// One bit for each of `Seals::ALL`.
    seals: u8,
    /// Which kind of socket.
    kind: u8,
    /// The bytes of the message.
    message: &'a [u8],
    /// How many times the descriptor goes with it.
    copies: u8,
    /// Sent by plain calls: in two control messages, cut here, with credentials, and perhaps without a byte.
    plainly: Option<u8>,
    /// The receiver has asked for credentials.
    credentials: bool,
    /// The receiver's buffer and expectations.
    room: u8,
    most: u8,
    at_least: usize,
    /// What the peer writes into the region, and where the receiver copies.
    contents: &'a [u8],
    ranges: Vec<(usize, u16)>,
}

/// No case needs so many; a number that is higher is a leak of the cases before.
const MOST_OPEN: i32 = 300;

fuzz_target!(|case: Case<'_>| drop(play(&case)));

/// One exchange; a refusal ends it, and is as good as any other end.
fn play(case: &Case<'_>) -> Result<()> {
    let memfd = Memfd::create("fuzzed")?;
    assert!(memfd.as_fd().as_raw_fd() < MOST_OPEN, "descriptors leak");
    memfd.set_len(u64::from(case.len % (16 << 20)))?;
    for (bit, (seal, _)) in Seals::ALL.into_iter().enumerate() {
        if case.seals & (1 << bit) != 0 {
            drop(memfd.add_seals(seal)); // refused behind F_SEAL_SEAL
        }
    }
    let descriptor = exchange(case, &memfd)?;
    let region = Region::from(Expected::new().at_least(case.at_least).check(descriptor)?);
    copies(case, &region)?;
    lock(case, &region)
}

/// Sends the message, and receives it.
fn exchange(case: &Case<'_>, memfd: &Memfd) -> Result<OwnedFd> {
    let kind = [SocketType::STREAM, SocketType::DGRAM, SocketType::SEQPACKET][usize::from(case.kind % 3)];
    let (peer, receiver) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    rustix::io::ioctl_fionbio(&receiver, true)?;
    sockopt::set_socket_passcred(&receiver, case.credentials)?;
    let (peer, descriptors) = (UnixFd::new(peer)?, vec![memfd.as_fd(); usize::from(case.copies)]);
    match case.plainly {
        None => scm_rights::send(&peer, case.message, &descriptors)?,
        Some(cut) => send_plainly(&peer, case.message, &descriptors, cut.into())?,
    }
    let mut buffer = vec![0; usize::from(case.room)];
    let [descriptor] = scm_rights::receive(&receiver, &mut buffer, usize::from(case.most))?.into_exactly()?;
    Ok(descriptor)
}

/// What the library does not send, and a peer can.
fn send_plainly(socket: &UnixFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>], cut: usize) -> Result<()> {
    let mut space =
        [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(255), ScmRights(255), ScmCredentials(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let ourselves = UCred { pid: getpid(), uid: getuid(), gid: getgid() };
    control.push(SendAncillaryMessage::ScmCredentials(ourselves));
    let (some, others) = descriptors.split_at(cut.min(descriptors.len()));
    for part in [some, others].into_iter().filter(|part| !part.is_empty()) {
        control.push(SendAncillaryMessage::ScmRights(part));
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Copies where the peer's word and the fuzzer's ranges lead.
fn copies(case: &Case<'_>, region: &Region) -> Result<()> {
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

/// A lock whose word the peer has written, and writes again while it is held.
fn lock(case: &Case<'_>, region: &Region) -> Result<()> {
    let (word, bytes) = (region.map::<LockWord>()?, region.map::<()>()?);
    let scribble = || bytes.copy_in(0, case.contents.get(..4).unwrap_or(&[0xff; 4]));
    scribble()?;
    let (mut ours, mut theirs) = (Lock::open(region, 0)?, Lock::open(region, 0)?);
    let inside = ours.lock(&word, Duration::ZERO)?;
    scribble()?;
    assert!(theirs.lock(&word, Duration::ZERO).is_err_and(|refused| refused.is_timed_out()), "two inside");
    drop(inside);
    scribble()?;
    assert!(theirs.lock(&word, Duration::ZERO).is_ok(), "nobody inside, and refused");
    Ok(())
}
