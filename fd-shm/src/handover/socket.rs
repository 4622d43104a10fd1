//! Which sockets descriptors can travel on.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};

use nix::errno::Errno;
use rustix::net::{AddressFamily, sockopt};

use crate::error::{Error, Kind, Meanings, Result};

/// A type that is always a Unix socket, so that descriptors can travel on it.
///
/// Any other socket takes a message with descriptors, drops them without a word, and reports success. That
/// must not happen, and asking the kernel at each message would cost a tenth of its price; so the type says
/// it. Whatever is not known by its type is checked once, by [`UnixFd::new`].
pub trait UnixSocket: AsFd {}

impl UnixSocket for UnixStream {}
impl UnixSocket for UnixDatagram {}
impl<F: AsFd> UnixSocket for UnixFd<F> {}
impl<T: UnixSocket> UnixSocket for &T {}

/// What the kernel means when it does not tell the socket's domain.
const DOMAIN: Meanings = &[(Errno::ENOTSOCK, Kind::InvalidInput, "not a socket")];

/// A descriptor that was checked to be a Unix socket, of whatever type: a SOCK_SEQPACKET, an inherited one.
///
/// # Invariants
///
/// The descriptor is a socket of the domain AF_UNIX. A socket never changes its domain.
///
/// # Examples
///
/// ```
/// use fd_shm::scm_rights::UnixFd;
///
/// let (ours, _theirs) = std::os::unix::net::UnixStream::pair()?;
/// assert!(UnixFd::new(std::os::fd::OwnedFd::from(ours)).is_ok());
/// let tcp = std::net::TcpListener::bind("127.0.0.1:0")?;
/// assert!(UnixFd::new(tcp).is_err_and(|refused| refused.is_invalid_input()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct UnixFd<F: AsFd = OwnedFd> {
    /// The socket, owned or borrowed.
    fd: F,
}

impl<F: AsFd> UnixFd<F> {
    /// `getsockopt(fd, SOL_SOCKET, SO_DOMAIN)` - checks that `fd` is a Unix socket.
    ///
    /// # Errors
    ///
    /// [`is_invalid_input`](Error::is_invalid_input) when it is another kind of socket, or none.
    pub fn new(fd: F) -> Result<Self> {
        let call = || format!("getsockopt({}, SOL_SOCKET, SO_DOMAIN)", fd.as_fd().as_raw_fd());
        match sockopt::socket_domain(&fd) {
            // INVARIANT: the kernel has just said so.
            Ok(AddressFamily::UNIX) => Ok(Self { fd }),
            Ok(_) => {
                let text = "not a Unix socket: any other drops descriptors without a word";
                Err(Error::refused(call(), Kind::InvalidInput, text))
            }
            Err(errno) => Err(Error::system(call(), errno.raw_os_error(), DOMAIN)),
        }
    }

    /// The descriptor that was checked.
    pub fn into_inner(self) -> F {
        self.fd
    }
}

impl<F: AsFd> AsFd for UnixFd<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
