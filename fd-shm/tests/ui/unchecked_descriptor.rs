//! A mapping of whatever came over a socket. Only what was checked unable to shrink, a `FixedFd`, is mapped.

use std::os::unix::net::UnixStream;

use fd_shm::scm_rights;

fn main() -> Result<(), fd_shm::Error> {
    let (_ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let [descriptor] = scm_rights::receive(&theirs, &mut [0; 1], 1)?.into_exactly()?;
    let mapping = descriptor.map_read_only::<()>()?;
    drop(mapping);
    Ok(())
}
