//! `SCM_RIGHTS`: descriptors as the cargo of a message over a Unix socket.
//!
//! The kernel takes a reference to each open file when the message is sent, keeps it while the message is in
//! flight, and gives the receiver new numbers for the same open files when it reads: file offset and status
//! flags are shared, the number and close-on-exec are not.
//!
//! What `recvmsg` hides, this module tells. When the receiver's table is full, the kernel delivers the
//! descriptors that fit, drops the rest, sets MSG_CTRUNC and calls it a success; here that is an error, and
//! those that came are closed again.
//!
//! # Examples
//!
//! ```
//! use std::os::fd::AsFd;
//! use std::os::unix::net::UnixStream;
//!
//! use fd_shm::{Region, scm_rights};
//!
//! let (ours, theirs) = UnixStream::pair()?;
//! let region = Region::create("frames", 4096)?;
//! scm_rights::send(&ours, b"frames", &[region.as_fd()])?;
//!
//! let mut text = [0; 16];
//! let message = scm_rights::receive(&theirs, &mut text, 1)?;
//! assert_eq!(&text[..message.len], b"frames");
//! let [descriptor] = message.into_exactly()?;
//! assert_eq!(Region::from_fd(descriptor)?.len(), 4096);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # References
//!
//! `unix(7)`, `cmsg(3)`; `net/core/scm.c` (`scm_fp_copy`, `scm_detach_fds`), `net/unix/af_unix.c`.

use std::ffi::c_int;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use rustix::cmsg_space;
use rustix::io::retry_on_intr;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketType, sendmsg, sockopt};

use super::Push;
use super::recvmsg::recvmsg;
use crate::error::{Error, Kind, Meanings, Result};

pub use super::recvmsg::MAX_DESCRIPTORS;
pub use super::socket::{UnixFd, UnixSocket};

/// What the kernel means when it does not send.
const SENDMSG: Meanings = &[
    (Errno::EPIPE, Kind::System, "nobody reads on the other side any more"),
    (Errno::ECONNRESET, Kind::System, "the other side closed with messages unread"),
    (Errno::ECONNREFUSED, Kind::System, "nobody listens on the other side"),
    (Errno::ENOTCONN, Kind::System, "the socket is not connected"),
    (Errno::EPERM, Kind::PermissionDenied, "the receiver takes no descriptors (SO_PASSRIGHTS)"),
    (
        Errno::ETOOMANYREFS,
        Kind::Limit,
        "more descriptors of this user are in flight than RLIMIT_NOFILE allows",
    ),
    (Errno::EMSGSIZE, Kind::System, "larger than one message of this socket can be"),
    (Errno::EAGAIN, Kind::WouldBlock, "no room in the socket, and it does not wait"),
];

/// What the kernel means when it does not receive.
const RECVMSG: Meanings = &[
    (Errno::EAGAIN, Kind::WouldBlock, "no message yet, and the socket does not wait"),
    (Errno::ECONNRESET, Kind::System, "the other side closed with messages unread"),
    (Errno::ENOTCONN, Kind::System, "the socket is not connected"),
    (Errno::ENOTSOCK, Kind::System, "not a socket"),
];

/// `sendmsg(socket, bytes, SCM_RIGHTS descriptors)` - sends `bytes`, and with the first of them the
/// descriptors.
///
/// The descriptors stay ours as well; the message holds its own references, so they can be closed at once.
/// All of `bytes` is sent, by several calls if need be. A receiver that has gone is EPIPE, never a signal.
///
/// At least one byte is needed: a stream socket carries descriptors attached to a byte, and drops them
/// without a word when there is none.
///
/// # Errors
///
/// * [`is_invalid_input`](Error::is_invalid_input) when `bytes` is empty, or there are more than
///   [`MAX_DESCRIPTORS`] descriptors;
/// * EPIPE, ECONNRESET, ECONNREFUSED, ENOTCONN when there is no receiver;
/// * EPERM when the receiver takes no descriptors (it has SO_PASSRIGHTS off, Linux 6.16): nothing was sent;
/// * EMSGSIZE when `bytes` are more than one datagram can be;
/// * ETOOMANYREFS when too many descriptors of this user are in flight;
/// * EAGAIN ([`is_would_block`](Error::is_would_block)) when a non-blocking socket is full. The text says how
///   much went out before that; the descriptors went with the first byte.
#[doc(alias = "sendmsg")]
pub fn send(socket: impl UnixSocket, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<()> {
    let socket = socket.as_fd();
    let call = || {
        format!("sendmsg({}, {} bytes, {} descriptors)", socket.as_raw_fd(), bytes.len(), descriptors.len())
    };
    if bytes.is_empty() {
        let text = "a message needs at least one byte: without it a stream socket drops the descriptors";
        return Err(Error::refused(call(), Kind::InvalidInput, text));
    }
    if descriptors.len() > MAX_DESCRIPTORS {
        let text = format!("one message carries at most {MAX_DESCRIPTORS} descriptors");
        return Err(Error::refused(call(), Kind::InvalidInput, text));
    }
    let mut sent = send_once(socket, bytes, descriptors)
        .map_err(|errno| Error::system(call(), errno.raw_os_error(), SENDMSG))?;
    while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
        // Only a stream cuts a message short; the descriptors went with its first byte and must not go again.
        sent += send_once(socket, rest, &[]).map_err(|errno| {
            let call = format!("{}, after {sent} bytes", call());
            Error::system(call, errno.raw_os_error(), SENDMSG)
        })?;
    }
    Ok(())
}

/// One `sendmsg`; how many bytes it took.
fn send_once(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> rustix::io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(rustix::io::Errno::INVAL); // more than MAX_DESCRIPTORS, which `send` has refused
    }
    retry_on_intr(|| sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL))
}

impl<S: UnixSocket> Push for S {
    /// [`send`]s the descriptor with one byte. [`receive`] gets it.
    fn push(&mut self, descriptor: BorrowedFd<'_>) -> Result<()> {
        send(&*self, &[0], &[descriptor])
    }
}

/// One received message.
#[derive(Debug)]
#[non_exhaustive]
pub struct Message {
    /// How many bytes of the buffer were filled.
    pub len: usize,
    /// The descriptors that came with it, in the order in which they were sent, all close-on-exec.
    pub descriptors: Vec<OwnedFd>,
}

impl Message {
    /// The descriptors, when there are exactly `N`: a receiver that expects one says `let [fd] =
    /// message.into_exactly()?`.
    ///
    /// # Errors
    ///
    /// [`is_descriptor_count`](Error::is_descriptor_count) otherwise; those that came are closed.
    pub fn into_exactly<const N: usize>(self) -> Result<[OwnedFd; N]> {
        self.descriptors.try_into().map_err(|other: Vec<OwnedFd>| {
            let text = match other.len() {
                0 => format!("the message came without a descriptor, {N} expected"),
                came => format!("the message came with {came} descriptors, {N} expected; they are closed"),
            };
            Error::refused(format!("Message::into_exactly::<{N}>()"), Kind::DescriptorCount, text)
        })
    }
}

/// `recvmsg(socket, buffer, MSG_CMSG_CLOEXEC)` - receives one message with at most `max_descriptors`
/// descriptors.
///
/// Every descriptor is owned and close-on-exec from the moment it exists. What cannot be returned whole is
/// closed, not returned in part. So is the pidfd that a socket with SO_PASSPIDFD brings beside them.
///
/// On a stream socket the bytes of one `send` may arrive in several pieces; the descriptors come with the
/// first, and a call never returns the descriptors of two sends.
///
/// # Errors
///
/// * [`is_end_of_stream`](Error::is_end_of_stream) when the other side has closed;
/// * [`is_truncated`](Error::is_truncated) when descriptors were lost because this process's table is full,
///   or bytes because the datagram is longer than the buffer;
/// * [`is_descriptor_count`](Error::is_descriptor_count) when more than `max_descriptors` came;
/// * [`is_invalid_input`](Error::is_invalid_input) for an empty buffer, with which a message and the end look
///   the same;
/// * EAGAIN ([`is_would_block`](Error::is_would_block)) when a non-blocking socket has no message.
#[doc(alias = "recvmsg")]
pub fn receive(socket: impl AsFd, buffer: &mut [u8], max_descriptors: usize) -> Result<Message> {
    let socket = socket.as_fd();
    let room = buffer.len();
    let call = || format!("recvmsg({}, at most {room} bytes)", socket.as_raw_fd());
    if buffer.is_empty() {
        let text = "an empty buffer cannot tell a message from the end";
        return Err(Error::refused(call(), Kind::InvalidInput, text));
    }
    // From here on each descriptor has an owner, so every return below closes what it does not hand over.
    let got = recvmsg(socket, buffer)
        .map_err(|e| Error::system(call(), e.raw_os_error().unwrap_or_default(), RECVMSG))?;
    check_whole(&call, got.flags, got.descriptors.len(), max_descriptors)?;
    if got.len == 0 && got.descriptors.is_empty() && has_an_end(socket) {
        return Err(Error::refused(call(), Kind::EndOfStream, "the other side has closed the socket"));
    }
    Ok(Message { len: got.len, descriptors: got.descriptors })
}

/// Refuses a message that lost something on the way, or that brought `came` descriptors, more than `max`.
fn check_whole(call: &dyn Fn() -> String, flags: c_int, came: usize, max: usize) -> Result<()> {
    if flags & libc::MSG_CTRUNC != 0 {
        let text =
            format!("some descriptors had no room in this process's table; the {came} that had are closed");
        return Err(Error::refused(call(), Kind::Truncated, text));
    }
    if flags & libc::MSG_TRUNC != 0 {
        let text = format!("the message is longer than the buffer; its {came} descriptors are closed");
        return Err(Error::refused(call(), Kind::Truncated, text));
    }
    if came > max {
        let text = format!("{came} descriptors came, at most {max} expected; they are closed");
        return Err(Error::refused(call(), Kind::DescriptorCount, text));
    }
    Ok(())
}

/// Whether receiving nothing on this kind of socket means the end. A datagram may be empty, and has no end.
fn has_an_end(socket: BorrowedFd<'_>) -> bool {
    sockopt::socket_type(socket).is_ok_and(|kind| kind != SocketType::DGRAM)
}
