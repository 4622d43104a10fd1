//! `recvmsg` with an owner for every descriptor that the kernel installs, whatever it calls the message.
//!
//! A receiver may have asked for more than it was sent: with SO_PASSPIDFD the kernel puts a pidfd of the
//! sender beside each message. rustix passes over control messages that it does not know, and a descriptor in
//! one of them would stay open for ever. So the walk through them is done here.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_uint};
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// `SCM_MAX_FD`: the kernel refuses more descriptors than this in one message.
pub const MAX_DESCRIPTORS: usize = 253;

/// `SCM_PIDFD` of `linux/socket.h`, which the crate `libc` does not have.
const SCM_PIDFD: c_int = 4;

/// Room for the control messages of one message: as many descriptors as the kernel sends, and what the
/// receiver may have asked for beside them, the sender's credentials (SO_PASSCRED) and a pidfd of it. So
/// MSG_CTRUNC never means that *we* were short of room, but for a socket that asks for security labels as
/// well (SO_PASSSEC), which are of any length.
const CONTROL_LEN: usize =
    space(MAX_DESCRIPTORS * size_of::<RawFd>()) + space(size_of::<libc::ucred>()) + space(size_of::<RawFd>());

/// `CMSG_SPACE` - what a control message of `len` bytes takes.
const fn space(len: usize) -> usize {
    let word = size_of::<usize>();
    size_of::<libc::cmsghdr>() + len.next_multiple_of(word)
}

/// Bytes that a `cmsghdr` may begin with.
#[repr(C)]
struct Control {
    /// Aligns what follows.
    aligned: [libc::cmsghdr; 0],
    /// Written by the kernel.
    bytes: MaybeUninit<[u8; CONTROL_LEN]>,
}

/// One received message.
#[derive(Debug)]
pub(super) struct Received {
    /// How many bytes of the buffer were filled.
    pub(super) len: usize,
    /// MSG_CTRUNC, MSG_TRUNC.
    pub(super) flags: c_int,
    /// What the sender sent, in its order.
    pub(super) descriptors: Vec<OwnedFd>,
}

/// `recvmsg(socket, buffer, MSG_CMSG_CLOEXEC)`, again when a signal came between.
///
/// # References
///
/// `recvmsg(2)`, `cmsg(3)`; `net/core/scm.c` (`scm_recv_unix`, `scm_detach_fds`, `scm_pidfd_recv`).
pub(super) fn recvmsg(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    let mut control = Control { aligned: [], bytes: MaybeUninit::uninit() };
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: numbers and null pointers; zeros are a message without anything.
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control.bytes).cast();
    loop {
        #[allow(clippy::cast_possible_truncation)] // a `usize`, or a `socklen_t` where libc says so
        let room = CONTROL_LEN as _;
        header.msg_controllen = room;
        // SAFETY: the header leads to a buffer and to room for control messages, both ours and as long as it
        // says.
        let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
        if let Ok(len) = usize::try_from(len) {
            return Ok(Received { len, flags: header.msg_flags, descriptors: take(&header) });
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Takes every descriptor out of the control messages, and gives those that were sent. A
/// pidfd of the sender is closed.
fn take(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut sent = Vec::new();
    // SAFETY: a header that the kernel has filled, with its control messages still in place.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !next.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give a whole header inside the room, or null.
        let message = unsafe { ptr::read(next) };
        // SAFETY: as above; this is its data, of which the kernel has written `cmsg_len` less the header.
        let data = unsafe { libc::CMSG_DATA(next) };
        if message.cmsg_level == libc::SOL_SOCKET {
            match message.cmsg_type {
                libc::SCM_RIGHTS => sent.extend(owned(&message, data)),
                SCM_PIDFD => owned(&message, data).for_each(drop),
                _ => {} // credentials, labels: no descriptor in it
            }
        }
        // SAFETY: `next` came from here or from CMSG_FIRSTHDR, of the same header.
        next = unsafe { libc::CMSG_NXTHDR(header, next) };
    }
    sent
}

/// The descriptors of a control message that consists of them.
fn owned(message: &libc::cmsghdr, data: *const u8) -> impl Iterator<Item = OwnedFd> {
    // SAFETY: CMSG_LEN only adds.
    let empty = unsafe { libc::CMSG_LEN(0 as c_uint) } as usize;
    #[allow(clippy::unnecessary_cast)] // a `socklen_t` in other libcs
    let count = (message.cmsg_len as usize).saturating_sub(empty) / size_of::<RawFd>();
    let numbers = (0..count).map(move |n| {
        // SAFETY: inside the data, by the message's own length, which the kernel wrote.
        let at = unsafe { data.cast::<RawFd>().add(n) };
        // SAFETY: as for `at`; data need not be aligned for everything.
        unsafe { ptr::read_unaligned(at) }
    });
    // The kernel puts an errno where it had no room for the pidfd.
    numbers.filter(|number| *number >= 0).map(|number| {
        // SAFETY: installed by this `recvmsg`, and told to nobody else.
        unsafe { OwnedFd::from_raw_fd(number) }
    })
}

#[cfg(test)]
mod tests {
    use super::space;

    #[test]
    fn a_control_message_takes_what_libc_says() {
        for len in [0_usize, 1, 4, 12, 253 * 4] {
            let asked = u32::try_from(len).expect("small");
            // SAFETY: CMSG_SPACE only adds.
            assert_eq!(space(len), unsafe { libc::CMSG_SPACE(asked) } as usize, "{len} bytes");
        }
    }
}
