//! Handing over by SCM_RIGHTS, above all where it goes wrong: each failure is an error, and nothing stays
//! open.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{PipeReader, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};

use fd_shm::scm_rights::{MAX_DESCRIPTORS, UnixFd, receive, send};
use fd_shm::{Error, same_open_file};
use nix::errno::Errno;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::FdFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[path = "support/alone.rs"]
mod alone;

fn null() -> File {
    File::open("/dev/null").expect("/dev/null")
}

/// `count` times the same descriptor.
fn many(fd: &File, count: usize) -> Vec<BorrowedFd<'_>> {
    vec![fd.as_fd(); count]
}

fn seqpacket() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .expect("a pair of sockets")
}

fn errno(error: &Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

#[test]
fn what_arrives_is_the_same_open_file_under_new_numbers() {
    alone::alone("what_arrives_is_the_same_open_file_under_new_numbers", || {
        let datagrams = UnixDatagram::pair().expect("a pair of sockets");
        let streams = UnixStream::pair().expect("a pair of sockets");
        let pairs: [(OwnedFd, OwnedFd); 3] =
            [(datagrams.0.into(), datagrams.1.into()), (streams.0.into(), streams.1.into()), seqpacket()];
        for (ours, theirs) in pairs {
            let ours = UnixFd::new(ours).expect("a Unix socket");
            let file = null();
            for count in [0, 1, 2, MAX_DESCRIPTORS] {
                send(&ours, b"text", &many(&file, count)).expect("sent");
                let mut buffer = [0; 16];
                let message = receive(&theirs, &mut buffer, MAX_DESCRIPTORS).expect("received");
                assert_eq!((&buffer[..message.len], message.descriptors.len()), (&b"text"[..], count));
                for descriptor in &message.descriptors {
                    let here = std::process::id();
                    assert!(
                        same_open_file((here, file.as_raw_fd()), (here, descriptor.as_raw_fd()))
                            .expect("kcmp")
                    );
                    let flags = rustix::io::fcntl_getfd(descriptor).expect("flags");
                    assert!(flags.contains(FdFlags::CLOEXEC), "from the start, not set afterwards");
                }
            }
        }
    });
}

#[test]
fn two_sends_never_arrive_as_one() {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let (one, two) = (null(), null());
    send(&ours, b"one", &[one.as_fd()]).expect("sent");
    send(&ours, b"two", &[two.as_fd(), two.as_fd()]).expect("sent");
    for (text, count) in [(b"one", 1), (b"two", 2)] {
        let mut buffer = [0; 16];
        let message = receive(&theirs, &mut buffer, 2).expect("received");
        assert_eq!((&buffer[..message.len], message.descriptors.len()), (&text[..], count));
    }
}

#[test]
fn a_long_send_takes_its_descriptors_once() {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    ours.set_nonblocking(false).expect("waiting");
    let long = vec![7; 4 << 20]; // far more than a socket buffers
    let file = null();
    std::thread::scope(|threads| {
        threads.spawn(|| send(&ours, &long, &[file.as_fd()]).expect("sent"));
        let (mut bytes, mut descriptors, mut buffer) = (0, 0, vec![0; 1 << 16]);
        while bytes < long.len() {
            let message = receive(&theirs, &mut buffer, 1).expect("received");
            assert!(buffer[..message.len].iter().all(|&b| b == 7));
            bytes += message.len;
            descriptors += message.descriptors.len();
        }
        assert_eq!((bytes, descriptors), (long.len(), 1));
    });
}

#[test]
fn what_could_never_arrive_is_not_sent() {
    alone::alone("what_could_never_arrive_is_not_sent", || {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        theirs.set_nonblocking(true).expect("not waiting");
        let file = null();
        let too_many = many(&file, MAX_DESCRIPTORS + 1);
        let rows = [
            (send(&ours, b"", &[file.as_fd()]), "at least one byte"),
            (send(&ours, b"", &[]), "at least one byte"),
            (send(&ours, b"x", &too_many), "at most 253 descriptors"),
        ];
        for (refused, words) in rows {
            let refused = refused.expect_err(words);
            assert!(refused.is_invalid_input() && refused.to_string().contains(words), "{refused}");
        }
        assert!(receive(&theirs, &mut [0; 1], 1).is_err_and(|e| e.is_would_block()), "nothing went out");
    });
}

#[test]
fn only_a_unix_socket_is_sent_on() {
    alone::alone("only_a_unix_socket_is_sent_on", || {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let rows: [(OwnedFd, &str); 2] =
            [(tcp.into(), "not a Unix socket"), (null().into(), "ENOTSOCK, not a socket")];
        for (fd, words) in rows {
            let refused = UnixFd::new(fd).expect_err(words);
            assert!(refused.is_invalid_input() && refused.to_string().contains(words), "{refused}");
        }
    });
}

#[test]
fn a_wrong_number_of_descriptors_is_refused_and_they_are_closed() {
    alone::alone("a_wrong_number_of_descriptors_is_refused_and_they_are_closed", || {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let file = null();
        // How many are sent, and what a receiver says who wants exactly one.
        let rows = [
            (0, "Message::into_exactly::<1>(): the message came without a descriptor, 1 expected"),
            (
                2,
                "Message::into_exactly::<1>(): the message came with 2 descriptors, 1 expected; \
             they are closed",
            ),
        ];
        for (count, text) in rows {
            send(&ours, b"x", &many(&file, count)).expect("sent");
            let message = receive(&theirs, &mut [0; 1], 5).expect("received");
            let refused = message.into_exactly::<1>().expect_err(text);
            assert_eq!((refused.to_string().as_str(), refused.is_descriptor_count()), (text, true));
        }
        send(&ours, b"x", &many(&file, 4)).expect("sent");
        let refused = receive(&theirs, &mut [0; 1], 3).expect_err("4 where 3 are expected");
        assert!(refused.is_descriptor_count(), "{refused}");
        assert!(
            refused.to_string().ends_with("4 descriptors came, at most 3 expected; they are closed"),
            "{refused}"
        );
    });
}

#[test]
fn a_full_table_at_the_receiver_loses_nothing_silently() {
    alone::alone("a_full_table_at_the_receiver_loses_nothing_silently", || {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let writer = File::from(OwnedFd::from(writer));
        send(&ours, b"x", &many(&writer, 8)).expect("sent");
        drop(writer);

        // Room for three more. The kernel delivers three, drops five, and reports success with MSG_CTRUNC.
        let limits = getrlimit(Resource::Nofile);
        let room = lowest_free_descriptor() + 3;
        setrlimit(Resource::Nofile, Rlimit { current: Some(room), ..limits }).expect("fewer");
        let refused = receive(&theirs, &mut [0; 1], 8).expect_err("five have no room");
        setrlimit(Resource::Nofile, limits).expect("as before");

        assert!(refused.is_truncated(), "{refused}");
        let words = "some descriptors had no room in this process's table; the 3 that had are closed";
        assert!(refused.to_string().ends_with(words), "{refused}");
        assert!(has_no_writer(&reader), "all eight are closed");

        // The message is gone, its byte too; the socket goes on.
        send(&ours, b"y", &[reader.as_fd()]).expect("sent");
        assert_eq!(receive(&theirs, &mut [0; 1], 8).expect("received").descriptors.len(), 1);
    });
}

#[test]
fn a_datagram_longer_than_the_buffer_is_truncated_and_its_descriptors_are_closed() {
    alone::alone("a_datagram_longer_than_the_buffer_is_truncated_and_its_descriptors_are_closed", || {
        let (ours, theirs) = UnixDatagram::pair().expect("a pair of sockets");
        send(&ours, b"long", &many(&null(), 2)).expect("sent");
        let refused = receive(&theirs, &mut [0; 3], 2).expect_err("four bytes into three");
        assert!(refused.is_truncated(), "{refused}");
        assert!(
            refused.to_string().ends_with("longer than the buffer; its 2 descriptors are closed"),
            "{refused}"
        );
    });
}

/// `SO_PASSPIDFD` and `SO_PASSRIGHTS` of `asm-generic/socket.h`: no crate here has them.
const SO_PASSPIDFD: i32 = 76;
const SO_PASSRIGHTS: i32 = 83;

/// Sets an option of a socket; whether this kernel knows of it.
fn set_option(socket: &impl AsRawFd, option: i32, value: i32) -> bool {
    // SAFETY: reads one `int`, which lives until the call is over.
    let set = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const value).cast(), 4)
    };
    set == 0
}

fn skip(why: &str) {
    std::io::stderr().write_all(format!("skipped {why}\n").as_bytes()).expect("standard error");
}

#[test]
fn who_takes_no_descriptors_is_sent_none() {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    if !set_option(&theirs, SO_PASSRIGHTS, 0) {
        return skip("who_takes_no_descriptors_is_sent_none: no SO_PASSRIGHTS before Linux 6.16");
    }
    let refused = send(&ours, b"x", &many(&null(), 1)).expect_err("it takes none");
    assert!(
        refused.to_string().ends_with("EPERM, the receiver takes no descriptors (SO_PASSRIGHTS)"),
        "{refused}"
    );
    send(&ours, b"y", &[]).expect("bytes it takes");
    let mut byte = [0; 2];
    assert_eq!(receive(&theirs, &mut byte, 0).expect("received").len, 1, "of the other nothing came");
    assert_eq!(byte, *b"y\0");
}

#[test]
fn a_pidfd_that_the_socket_brings_beside_the_message_is_closed() {
    alone::alone("a_pidfd_that_the_socket_brings_beside_the_message_is_closed", || {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        if !set_option(&theirs, SO_PASSPIDFD, 1) {
            return skip("a_pidfd_that_the_socket_brings: no SO_PASSPIDFD before Linux 6.5");
        }
        rustix::net::sockopt::set_socket_passcred(&theirs, true).expect("credentials as well");
        for count in [0, 1, MAX_DESCRIPTORS] {
            send(&ours, b"x", &many(&null(), count)).expect("sent");
            let message = receive(&theirs, &mut [0; 1], MAX_DESCRIPTORS).expect("received");
            assert_eq!((message.len, message.descriptors.len()), (1, count));
        }

        // In a full table not even the pidfd has room: the kernel puts an errno in its place.
        send(&ours, b"x", &[]).expect("sent");
        let limits = getrlimit(Resource::Nofile);
        let room = lowest_free_descriptor();
        setrlimit(Resource::Nofile, Rlimit { current: Some(room), ..limits }).expect("fewer");
        let message = receive(&theirs, &mut [0; 1], 1);
        setrlimit(Resource::Nofile, limits).expect("as before");
        assert_eq!(message.expect("nothing that was sent is lost").descriptors.len(), 0);
    });
}

#[test]
fn the_end_of_a_stream_is_not_a_message() {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    send(&ours, b"last", &[]).expect("sent");
    drop(ours);
    assert_eq!(receive(&theirs, &mut [0; 8], 1).expect("what was sent before the end").len, 4);
    let ended = receive(&theirs, &mut [0; 8], 1).expect_err("the end");
    assert!(ended.is_end_of_stream() && ended.raw_os_error().is_none(), "{ended}");

    let (ours, theirs) = seqpacket();
    drop(ours);
    assert!(receive(&theirs, &mut [0; 8], 1).is_err_and(|e| e.is_end_of_stream()));

    // A datagram socket has no end: an empty message is a message.
    let (ours, theirs) = UnixDatagram::pair().expect("a pair of sockets");
    ours.send(b"").expect("sent");
    assert_eq!(receive(&theirs, &mut [0; 8], 1).expect("an empty datagram").len, 0);
}

#[test]
fn the_kernels_refusals_are_explained() {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    theirs.set_nonblocking(true).expect("not waiting");
    let nothing_yet = receive(&theirs, &mut [0; 1], 1).expect_err("nothing was sent");
    assert!(nothing_yet.is_would_block());
    let number = theirs.as_raw_fd();
    assert_eq!(
        nothing_yet.to_string(),
        format!("recvmsg({number}, at most 1 bytes): EAGAIN, no message yet, and the socket does not wait")
    );
    drop(theirs);
    let gone = send(&ours, b"x", &[]).expect_err("nobody is there");
    assert_eq!(errno(&gone), Some(Errno::EPIPE), "{gone}");

    let file = null();
    assert_eq!(receive(&file, &mut [0; 1], 1).err().as_ref().and_then(errno), Some(Errno::ENOTSOCK));
    assert!(receive(&ours, &mut [], 1).is_err_and(|e| e.is_invalid_input()));
}

#[test]
fn a_full_socket_says_how_much_went_out() {
    let (ours, _theirs) = UnixStream::pair().expect("a pair of sockets");
    ours.set_nonblocking(true).expect("not waiting");
    let refused = send(&ours, &vec![0; 64 << 20], &[]).expect_err("more than a socket buffers");
    assert!(refused.is_would_block() && refused.to_string().contains(", after "), "{refused}");
}

#[test]
fn a_message_that_nobody_reads_drops_its_files() {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let (mut reader, mut writer): (PipeReader, _) = std::io::pipe().expect("a pipe");
    writer.write_all(b"in flight").expect("written");
    send(&ours, b"x", &[writer.as_fd()]).expect("sent");
    drop(writer);
    let mut text = [0; 9];
    reader.read_exact(&mut text).expect("the message holds the writing end open");
    drop((ours, theirs));
    assert!(has_no_writer(&reader), "the last reference went with the message");
}

/// Whether every writing end of the pipe is closed; asked without waiting, so that a leak is seen and does
/// not hang.
fn has_no_writer(reader: &PipeReader) -> bool {
    let mut asked = [PollFd::new(reader, PollFlags::empty())];
    poll(&mut asked, Some(&Timespec::default())).expect("poll");
    asked[0].revents().contains(PollFlags::HUP)
}

/// The number that the next descriptor would get.
fn lowest_free_descriptor() -> u64 {
    null().as_raw_fd().unsigned_abs().into()
}
