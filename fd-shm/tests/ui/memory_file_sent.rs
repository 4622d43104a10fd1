//! A `MemoryFile` sent to another process: it gives its descriptor to nobody, and no message takes it. A
//! `SharedMemory` is made for that.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use fd_shm::ashmem::{MemoryFile, SharedMemory};
use fd_shm::scm_rights;

fn main() -> Result<(), fd_shm::Error> {
    let (socket, _theirs) = UnixStream::pair().expect("a pair of sockets");
    let memory = SharedMemory::create("ui", 4096)?;
    scm_rights::send(&socket, &[0], &[memory.as_fd()])?;
    let file = MemoryFile::new("ui", 4096)?;
    scm_rights::send(&socket, &[0], &[file.as_fd()])?;
    Ok(())
}
