//! A hostile peer, more than a million times: whatever it sends or writes, nothing panics, crashes or hangs,
//! the answer is the one that a model gives, and nothing is left open.
//!
//! Another seed each time; `SEED=` replays one. `fuzz/` in this crate's folder takes over where this ends.

use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fd_shm::scm_rights::UnixFd;
use fd_shm::{Error, Expected, FixedFd, MemfdOptions, Region, Seals, scm_rights, shareable};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, UCred,
    sendmsg, socketpair, sockopt,
};
use rustix::process::{getgid, getpid, getuid};

#[path = "support/alone.rs"]
mod alone;
#[path = "support/random.rs"]
mod random;
use random::Random;

/// How many cases each part has; together more than a million.
const COPIES: u64 = 600_000;
const CONTENTS: u64 = 300_000;
const MESSAGES: u64 = 80_000;
const DESCRIPTORS: u64 = 40_000;

#[test]
fn together_they_are_more_than_a_million() {
    const { assert!(COPIES + CONTENTS + MESSAGES + DESCRIPTORS > 1_000_000) };
}

/// One of these.
fn pick<'a, T>(random: &mut Random, of: &'a [T]) -> &'a T {
    &of[random.below(of.len())]
}

/// A number near an edge: of the range, of a power of two, or of all numbers.
fn edge(random: &mut Random, len: usize) -> usize {
    let power = 1 << random.below(usize::BITS);
    let near = *pick(random, &[0, len, len / 2, power, usize::MAX]);
    near.wrapping_add(random.below(9)).wrapping_sub(4)
}

/// Runs a case `count` times in a process of its own, and says with which seed when one fails. A case that
/// hangs is a failure as well: a watching thread ends the process.
fn cases(name: &str, count: u64, mut case: impl FnMut(&mut Random)) {
    alone::alone(name, move || {
        let mut random = Random::printed();
        std::thread::spawn(|| {
            std::thread::sleep(Duration::from_secs(300));
            eprintln!("no end after five minutes");
            std::process::abort();
        });
        (0..count).for_each(|_| case(&mut random));
    });
}

#[test]
fn no_offset_and_no_length_reaches_outside() {
    const SIZE: usize = 5000;
    let buffer = vec![7; SIZE + 100];
    let mut out = vec![0; SIZE + 100];
    let mut region = None;
    cases("no_offset_and_no_length_reaches_outside", COPIES, move |random| {
        let (mapping, reader) = region.get_or_insert_with(|| {
            let region = Region::create("copies", SIZE).expect("a region");
            (region.map::<AtomicU32>().expect("mapped"), region.map_read_only::<AtomicU32>().expect("mapped"))
        });
        let tail = SIZE - 64;
        let offset = edge(random, tail);
        let len = *pick(random, &[0, 1, 7, 64, tail.wrapping_sub(offset) % SIZE, tail, SIZE + 100]);
        let inside = offset.checked_add(len).is_some_and(|end| end <= tail);
        let done = match random.below(3) {
            0 => mapping.copy_in(offset, &buffer[..len]),
            1 => mapping.copy_out(offset, &mut out[..len]),
            _ => reader.copy_out(offset, &mut out[..len]),
        };
        assert_eq!(done.is_ok(), inside, "{len} bytes at {offset}: {done:?}");
        assert_eq!(mapping.load(Ordering::Relaxed), 0, "a copy reached the head");
        if random.below(1000) == 0 {
            region = None; // and again from an empty one
        }
    });
}

/// What a service might have agreed on with its clients.
#[repr(C)]
struct Header {
    len: AtomicU32,
    offset: AtomicU32,
    state: [AtomicU32; 14],
}
shareable!(Header { len: AtomicU32, offset: AtomicU32, state: [AtomicU32; 14] });

#[test]
fn any_bytes_are_a_valid_mapping() {
    let mut region = None;
    let mut message = vec![0; 4096];
    let mut junk = [0; 256];
    cases("any_bytes_are_a_valid_mapping", CONTENTS, move |random| {
        // The peer has the same bytes with another layout, which is its own affair.
        let (peer, reader) = region.get_or_insert_with(|| {
            let region = Region::create("contents", 4096).expect("a region");
            (region.map::<()>().expect("mapped"), region.map_read_only::<Header>().expect("mapped"))
        });
        junk.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&random.next().to_ne_bytes()));
        let at = random.below(4096 - junk.len());
        peer.copy_in(if random.below(2) == 0 { 0 } else { at }, &junk).expect("inside");
        let (len, offset) = (reader.len.load(Ordering::Acquire), reader.offset.load(Ordering::Relaxed));
        let room = message.len();
        let len = usize::try_from(len).expect("32 bits").min(room);
        let copied = reader.copy_out(offset as usize, &mut message[..len]);
        let inside = (offset as usize).checked_add(len).is_some_and(|end| end <= 4096 - 64);
        assert_eq!(copied.is_ok(), inside, "{len} bytes at {offset}");
        std::hint::black_box(reader.state[13].load(Ordering::Relaxed));
        if random.below(1000) == 0 {
            assert!(format!("{:?} {reader:?}", &**reader).len() > 10);
            region = None;
        }
    });
}

/// What a peer may send in place of a region, and whether it is one.
fn anything(random: &mut Random) -> (OwnedFd, bool) {
    match random.below(12) {
        0 => (std::io::pipe().expect("a pipe").0.into(), false),
        1 => (std::io::pipe().expect("a pipe").1.into(), false),
        2 => (UnixStream::pair().expect("a pair").0.into(), false),
        3 => {
            let path =
                pick(random, &["/", "/dev/null", "/dev/zero", "/proc/self/maps", "/dev/shm", "/dev/full"]);
            (File::open(path).expect(path).into(), false)
        }
        _ => memory_file(random),
    }
}

/// A memory file of any size, with any seals, opened in any way.
fn memory_file(random: &mut Random) -> (OwnedFd, bool) {
    let sealable = random.below(8) != 0;
    let options = MemfdOptions::new().sealable(sealable).executable(random.below(2) == 0);
    let memfd = options.create("anything").expect("a memory file");
    let len = *pick(random, &[0, 1, 63, 64, 4095, 4096, 4097, 1 << 20, 1 << 40]);
    memfd.set_len(len).expect("sized");
    let mut wanted = Seals::NONE;
    for (seal, _) in Seals::ALL {
        let more = if random.below(2) == 0 { seal } else { Seals::NONE };
        wanted |= more;
    }
    assert_eq!(memfd.add_seals(wanted).is_ok(), sealable, "{wanted}");
    let cannot_shrink = memfd.seals().expect("seals").contains(Seals::SHRINK);
    let path = format!("/proc/self/fd/{}", memfd.as_fd().as_raw_fd());
    let (fd, readable) = match random.below(4) {
        0 => (File::open(path).expect("for reading").into(), true),
        1 => (File::options().write(true).open(path).expect("for writing").into(), false),
        _ => (OwnedFd::from(memfd), true),
    };
    let has_addresses = usize::try_from(len).is_ok(); // with 32 bits, not all
    (fd, readable && cannot_shrink && len > 0 && has_addresses)
}

#[test]
fn any_descriptor_is_a_region_or_refused() {
    cases("any_descriptor_is_a_region_or_refused", DESCRIPTORS, move |random| {
        let (fd, is_region) = anything(random);
        match Expected::new().at_least(edge(random, 4096)).check(fd) {
            Ok(fixed) => {
                assert!(is_region, "{fixed:?}");
                use_it(&fixed);
            }
            Err(refused) => assert_eq!(is_region, refused.is_unexpected(), "{refused}"),
        }
    });
}

/// What a receiver does with it.
fn use_it(fixed: &FixedFd) {
    let seals = fixed.seals().expect("seals");
    let sealed = seals.contains(Seals::WRITE) || seals.contains(Seals::FUTURE_WRITE);
    if let Ok(mapping) = fixed.map::<AtomicU32>() {
        assert!(!sealed, "writable in spite of {seals}");
        mapping.store(1, Ordering::Relaxed);
    }
    match fixed.map_read_only::<AtomicU32>() {
        Ok(mapping) => assert!(mapping.load(Ordering::Relaxed) < 2 && mapping.len() == fixed.len()),
        Err(refused) => assert!(fixed.len() < 4 || fixed.len() as u64 == 1 << 40, "{refused}"),
    }
}

/// Two ends of each kind of socket on which descriptors can travel; the second never waits.
fn pair(kind: SocketType) -> (UnixFd, OwnedFd) {
    let (one, two) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).expect("a pair");
    rustix::io::ioctl_fionbio(&two, true).expect("non-blocking");
    (UnixFd::new(one).expect("a Unix socket"), two)
}

#[test]
fn any_message_arrives_whole_or_not_at_all() {
    let mut junk = Vec::new();
    cases("any_message_arrives_whole_or_not_at_all", MESSAGES, move |random| {
        if junk.is_empty() {
            junk.extend((0..8).map(|_| File::open("/dev/null").expect("open")));
        }
        let kind = *pick(random, &[SocketType::STREAM, SocketType::DGRAM, SocketType::SEQPACKET]);
        let (sender, receiver) = pair(kind);
        let (sent, count) = (random.below(40), random.below(junk.len()));
        let mut plain = false;
        let descriptors: Vec<BorrowedFd<'_>> = junk.iter().take(count).map(AsFd::as_fd).collect();
        let text = [9; 40];
        if random.below(2) == 0 {
            let went = scm_rights::send(&sender, &text[..sent], &descriptors);
            assert_eq!(went.is_ok(), sent > 0, "{went:?}");
        } else {
            sockopt::set_socket_passcred(&receiver, random.below(2) == 0).expect("SO_PASSCRED");
            send_plainly(&sender, &text[..sent], descriptors.split_at(random.below(count + 1)));
            plain = true;
        }
        let sender = (random.below(4) != 0).then_some(sender); // or it is closed with the message under way
        let (room, most) = (random.below(41), random.below(9));
        let mut buffer = [0; 40];
        let received = scm_rights::receive(&receiver, &mut buffer[..room], most);
        let verdict = match &received {
            Ok(message) => Verdict::Whole(message.len, message.descriptors.len()),
            Err(refused) => Verdict::of(refused),
        };
        // The library sends no message without a byte; a peer may.
        let sent_at_all = sent > 0 || (plain && kind != SocketType::STREAM);
        let expected = match (room, sent_at_all) {
            (0, _) => Verdict::BadInput,
            (_, true) => expected(kind, sent, count, room, most),
            (_, false) if sender.is_some() || kind == SocketType::DGRAM => Verdict::Nothing,
            (_, false) => Verdict::End,
        };
        assert_eq!(verdict, expected, "{kind:?}, {sent} bytes, {count} descriptors: {received:?}");
        if random.below(1000) == 0 {
            junk.clear();
        }
    });
}

/// How receiving ends.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Whole(usize, usize),
    BadInput,
    Nothing,
    End,
    Truncated,
    Count,
    Other,
}

impl Verdict {
    fn of(refused: &Error) -> Self {
        let kinds = [
            (refused.is_invalid_input(), Self::BadInput),
            (refused.is_would_block(), Self::Nothing),
            (refused.is_end_of_stream(), Self::End),
            (refused.is_truncated(), Self::Truncated),
            (refused.is_descriptor_count(), Self::Count),
        ];
        kinds.into_iter().find_map(|(holds, kind)| holds.then_some(kind)).unwrap_or(Self::Other)
    }
}

/// The model: what receiving a message must say.
fn expected(kind: SocketType, sent: usize, count: usize, room: usize, most: usize) -> Verdict {
    match (kind, sent) {
        (SocketType::DGRAM | SocketType::SEQPACKET, _) if room < sent => Verdict::Truncated,
        _ if count > most => Verdict::Count,
        // Nothing at all, on a socket that has an end, is the end.
        (SocketType::SEQPACKET, 0) if count == 0 => Verdict::End,
        _ => Verdict::Whole(sent.min(room), count),
    }
}

/// What a peer can send and the library does not: no byte, descriptors in two control messages, credentials.
fn send_plainly(socket: &UnixFd, bytes: &[u8], descriptors: (&[BorrowedFd<'_>], &[BorrowedFd<'_>])) {
    let mut space =
        [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8), ScmRights(8), ScmCredentials(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let ourselves = UCred { pid: getpid(), uid: getuid(), gid: getgid() };
    control.push(SendAncillaryMessage::ScmCredentials(ourselves));
    for some in [descriptors.0, descriptors.1].into_iter().filter(|some| !some.is_empty()) {
        assert!(control.push(SendAncillaryMessage::ScmRights(some)), "room for them");
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL).expect("a message");
}
