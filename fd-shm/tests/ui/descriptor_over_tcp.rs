//! A descriptor sent on a socket that is no Unix socket: the kernel would drop it and report success.

use std::net::TcpStream;
use std::os::fd::AsFd;

use fd_shm::{Region, scm_rights};

fn main() -> Result<(), fd_shm::Error> {
    let region = Region::create("ui", 4096)?;
    let socket = TcpStream::connect("127.0.0.1:1").expect("a peer");
    scm_rights::send(&socket, b"x", &[region.as_fd()])?;
    Ok(())
}
