//! A message with a descriptor, in libc's calls.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use crate::Failure;

/// Room for one control message with one descriptor, aligned as `cmsghdr` asks.
#[repr(C, align(8))]
struct Control([u8; CONTROL_LEN]);

/// The size of a descriptor in a control message: a C int.
const FD_LEN: u32 = 4;

// SAFETY: CMSG_SPACE is arithmetic.
const CONTROL_LEN: usize = unsafe { libc::CMSG_SPACE(FD_LEN) } as usize;

/// `sendmsg` with `SCM_RIGHTS`: one byte and one descriptor.
pub(crate) fn send_descriptor(socket: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> Result<(), Failure> {
    let mut byte = 1_u8;
    let mut control = Control([0; CONTROL_LEN]);
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast::<c_void>(), iov_len: 1 };
    let message = header(&mut part, &mut control);
    // SAFETY: the header names a buffer with room for one control message.
    let first = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    // SAFETY: CMSG_LEN is arithmetic.
    let len = unsafe { libc::CMSG_LEN(FD_LEN) } as usize;
    // SAFETY: `first` points to the beginning of `control`, which is aligned and large enough.
    unsafe {
        first.write(libc::cmsghdr {
            cmsg_len: len as _,
            cmsg_level: libc::SOL_SOCKET,
            cmsg_type: libc::SCM_RIGHTS,
        });
    }
    // SAFETY: as `first`.
    let data = unsafe { libc::CMSG_DATA(first) };
    // SAFETY: `control` has room for one descriptor there.
    unsafe { data.cast::<i32>().write_unaligned(fd.as_raw_fd()) };
    // SAFETY: all that the header points to lives until here.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    if sent < 0 { Err(Failure::last("sendmsg(socket, SCM_RIGHTS with 1 descriptor)")) } else { Ok(()) }
}

/// `recvmsg` with `SCM_RIGHTS`: one byte and one descriptor, close-on-exec.
pub(crate) fn receive_descriptor(socket: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    let mut byte = 0_u8;
    let mut control = Control([0; CONTROL_LEN]);
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast::<c_void>(), iov_len: 1 };
    let mut message = header(&mut part, &mut control);
    // SAFETY: all that the header points to lives until the call returns.
    let got = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    if got < 0 {
        return Err(Failure::last("recvmsg(socket, room for 1 descriptor)"));
    }
    // SAFETY: the kernel has filled in how much of `control` it used.
    let first = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    if got == 0 || first.is_null() || message.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(Failure::new("recvmsg(socket, room for 1 descriptor): no descriptor came"));
    }
    // SAFETY: as `first`, which is not null.
    let data = unsafe { libc::CMSG_DATA(first) };
    // SAFETY: our second process, or its parent, sends SCM_RIGHTS with one descriptor and nothing else.
    let fd = unsafe { data.cast::<i32>().read_unaligned() };
    // SAFETY: the kernel has just put it into our table, for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// As many descriptors as the kernel takes in one message.
const MANY: usize = 253;

// SAFETY: CMSG_SPACE is arithmetic.
const MANY_LEN: usize = unsafe { libc::CMSG_SPACE(FD_LEN * 253) } as usize;

/// Room for one control message with as many descriptors as there can be.
#[repr(C, align(8))]
struct ManyControl([mem::MaybeUninit<u8>; MANY_LEN]);

/// `sendmsg` with `SCM_RIGHTS`: one byte and several descriptors.
pub(crate) fn send_descriptors(socket: BorrowedFd<'_>, fds: &[BorrowedFd<'_>]) -> Result<(), Failure> {
    assert!(fds.len() <= MANY, "more descriptors than a message takes");
    let mut byte = 1_u8;
    let mut control = ManyControl([mem::MaybeUninit::uninit(); MANY_LEN]);
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast::<c_void>(), iov_len: 1 };
    let bytes = u32::try_from(fds.len()).map_err(Failure::step("a number of descriptors"))? * FD_LEN;
    // SAFETY: CMSG_SPACE is arithmetic.
    let space = unsafe { libc::CMSG_SPACE(bytes) } as usize;
    let message = message(&mut part, control.0.as_mut_ptr().cast(), space);
    // SAFETY: the header names a buffer with room for one control message.
    let first = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    // SAFETY: CMSG_LEN is arithmetic.
    let len = unsafe { libc::CMSG_LEN(bytes) } as usize;
    let head =
        libc::cmsghdr { cmsg_len: len as _, cmsg_level: libc::SOL_SOCKET, cmsg_type: libc::SCM_RIGHTS };
    // SAFETY: `first` points to the beginning of `control`, which is aligned and large enough.
    unsafe { first.write(head) };
    // SAFETY: as `first`.
    let data = unsafe { libc::CMSG_DATA(first) }.cast::<i32>();
    for (at, fd) in fds.iter().enumerate() {
        // SAFETY: `control` has room for as many as there are, by the assertion.
        unsafe { data.wrapping_add(at).write_unaligned(fd.as_raw_fd()) };
    }
    // SAFETY: all that the header points to lives until here.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    if sent < 0 { Err(Failure::last("sendmsg(socket, SCM_RIGHTS with descriptors)")) } else { Ok(()) }
}

/// `recvmsg` with `SCM_RIGHTS`: one byte and as many descriptors as came, close-on-exec.
pub(crate) fn receive_descriptors(socket: BorrowedFd<'_>) -> Result<Vec<OwnedFd>, Failure> {
    let mut byte = 0_u8;
    let mut control = ManyControl([mem::MaybeUninit::uninit(); MANY_LEN]);
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast::<c_void>(), iov_len: 1 };
    let mut message = message(&mut part, control.0.as_mut_ptr().cast(), MANY_LEN);
    // SAFETY: all that the header points to lives until the call returns.
    let got = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    // SAFETY: the kernel has filled in how much of `control` it used.
    let first = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    if got <= 0 || first.is_null() || message.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(Failure::new("recvmsg(socket, room for descriptors): not all of them came"));
    }
    // SAFETY: not null, so the kernel has written a whole head there.
    let len = unsafe { (*first).cmsg_len } as usize;
    // SAFETY: CMSG_LEN is arithmetic.
    let count = (len - unsafe { libc::CMSG_LEN(0) } as usize) / FD_LEN as usize;
    // SAFETY: as `first`, which is not null.
    let data = unsafe { libc::CMSG_DATA(first) }.cast::<i32>();
    let read = |at| {
        // SAFETY: this process sends SCM_RIGHTS and nothing else, and the head says how many there are.
        let fd = unsafe { data.wrapping_add(at).read_unaligned() };
        // SAFETY: the kernel has just put it into our table, for us.
        unsafe { OwnedFd::from_raw_fd(fd) }
    };
    Ok((0..count).map(read).collect())
}

fn header(part: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    message(part, control.0.as_mut_ptr().cast(), CONTROL_LEN)
}

fn message(part: &mut libc::iovec, control: *mut c_void, len: usize) -> libc::msghdr {
    // SAFETY: a `msghdr` of zeros is one without address, parts and control.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = ptr::null_mut();
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = len as _;
    message
}
