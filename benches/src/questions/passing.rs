//! Throughput where the memory itself travels.
//!
//! Each message is a region whose descriptor is sent. A *fresh* one is made for each message, as
//! `ipc-channel` does, and pays for its pages each time. *Recycled*, two regions stand and take turns: what
//! is paid for is the message with the descriptor and the mapping over there, and an answer that says when a
//! region may be written again.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use fd_shm::{Mapping, Region, scm_rights};

use super::throughput::{Reader, Writer};
use crate::Failure;
use crate::clock::Subject;
use crate::floor::memory::RawMemory;
use crate::floor::{memfd, socket};
use crate::measure::Entry;
use crate::memory::Invitation;
use crate::orders::PartName;
use crate::parts::{Given, Part};
use crate::payload::{buffer, sum_pieces};
use crate::second_process::SecondProcess;

/// The ways of one size.
pub(super) fn entries(other: &Rc<SecondProcess>, size: usize) -> Result<Vec<Entry>, Failure> {
    let in_bytes = size as u64;
    let (fresh, recycled) = ("memfd passed, fresh", "memfd passed, recycled");
    Ok(vec![
        Entry::floor(fresh, in_bytes, passer(other, size, fresh_raw, true, false)?),
        Entry::ours(fresh, in_bytes, passer(other, size, fresh_ours, false, false)?),
        Entry::floor(recycled, in_bytes, Pool::<RawPool>::subject(other, size)?),
        Entry::ours(recycled, in_bytes, Pool::<OurPool>::subject(other, size)?),
    ])
}

/// A writer that passes each message by `pass`.
fn passer(
    other: &Rc<SecondProcess>,
    size: usize,
    mut pass: impl FnMut(&UnixStream, &[u8]) -> Result<(), Failure> + 'static,
    raw: bool,
    recycled: bool,
) -> Result<impl Subject + 'static, Failure> {
    let (ours, theirs) = UnixStream::pair().map_err(|e| Failure::call("socketpair(AF_UNIX)", &e))?;
    let name = PartName::Passed { raw, recycled };
    let part = other.join(name, size, &Invitation::default(), &[theirs.as_fd()])?;
    Ok(Writer::new(other, part, size, move |message: &[u8]| pass(&ours, message)))
}

fn fresh_raw(socket: &UnixStream, message: &[u8]) -> Result<(), Failure> {
    let fd = memfd::create(c"message", message.len())?;
    memfd::map_new(fd.as_fd(), message.len())?.write(0, message);
    socket::send_descriptor(socket.as_fd(), fd.as_fd())
}

fn fresh_ours(socket: &UnixStream, message: &[u8]) -> Result<(), Failure> {
    let region = Region::create("message", message.len())?;
    region.map::<()>()?.copy_in(0, message)?;
    Ok(scm_rights::send(socket, &[1], &[region.as_fd()])?)
}

/// Two regions that take turns.
struct Pool<R> {
    regions: [R; 2],
    /// Messages sent.
    sent: usize,
}

/// A region that stays mapped here, and is passed again and again.
trait Pooled: Sized + 'static {
    const RAW: bool;
    fn create(size: usize) -> Result<Self, Failure>;
    fn pass(&self, socket: &UnixStream, message: &[u8]) -> Result<(), Failure>;
}

/// By libc's calls.
struct RawPool(OwnedFd, RawMemory);

impl Pooled for RawPool {
    const RAW: bool = true;

    fn create(size: usize) -> Result<Self, Failure> {
        let fd = memfd::create(c"message", size)?;
        let memory = memfd::map_new(fd.as_fd(), size)?;
        Ok(Self(fd, memory))
    }

    fn pass(&self, socket: &UnixStream, message: &[u8]) -> Result<(), Failure> {
        self.1.write(0, message);
        socket::send_descriptor(socket.as_fd(), self.0.as_fd())
    }
}

/// By `fd-shm`.
struct OurPool(Region, Mapping<()>);

impl Pooled for OurPool {
    const RAW: bool = false;

    fn create(size: usize) -> Result<Self, Failure> {
        let region = Region::create("message", size)?;
        let mapping = region.map()?;
        Ok(Self(region, mapping))
    }

    fn pass(&self, socket: &UnixStream, message: &[u8]) -> Result<(), Failure> {
        self.1.copy_in(0, message)?;
        Ok(scm_rights::send(socket, &[1], &[self.0.as_fd()])?)
    }
}

impl<R: Pooled> Pool<R> {
    fn subject(other: &Rc<SecondProcess>, size: usize) -> Result<impl Subject + 'static, Failure> {
        let mut pool = Self { regions: [R::create(size)?, R::create(size)?], sent: 0 };
        passer(other, size, move |socket, message| pool.pass(socket, message), R::RAW, true)
    }

    fn pass(&mut self, mut socket: &UnixStream, message: &[u8]) -> Result<(), Failure> {
        if self.sent >= self.regions.len() {
            // The oldest message has been read: its region may be written again.
            socket.read_exact(&mut [0]).map_err(|e| Failure::call("read(socket, 1 byte)", &e))?;
        }
        let region = &self.regions[self.sent % self.regions.len()];
        self.sent += 1;
        region.pass(socket, message)
    }
}

/// The second process: receives regions and sums them.
pub(crate) fn receiver(raw: bool, recycled: bool, mut given: Given) -> Result<Box<dyn Part>, Failure> {
    let (size, socket) = (given.size(), UnixStream::from(given.descriptor()?));
    let mut buffer = buffer();
    Ok(Box::new(Reader(move || {
        let sum = if raw {
            let memory = memfd::map(socket::receive_descriptor(socket.as_fd())?.as_fd())?;
            super::hand_over::sum_raw(&memory, size, &mut buffer)?
        } else {
            let [fd] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
            let memory = Region::from_fd(fd)?.map::<()>()?;
            sum_pieces(size, &mut buffer, |at, piece| Ok(memory.copy_out(at, piece)?))?
        };
        if recycled {
            (&socket).write_all(&[1]).map_err(|e| Failure::call("write(socket, 1 byte)", &e))?;
        }
        Ok(sum)
    })))
}
