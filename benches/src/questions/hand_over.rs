//! What does it cost until another process has a region and has read it?
//!
//! A round trip: the region's name or descriptor goes over a Unix socket, the receiver maps the region, sums
//! all its bytes, unmaps it, and the sum comes back over the same socket. The region itself stands, filled,
//! from before. Where the receiver pulls, it is told the descriptor's number, and has taken hold of the
//! giver's process before.

use std::ffi::CString;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::parent_id;
use std::rc::Rc;

use fd_shm::handover::{Pull, pidfd, procfs};
use fd_shm::{Region, scm_rights};
use serde::{Deserialize, Serialize};
use sysv_shm::{Segment, SegmentId};

use super::hand_over_peer;
use crate::Failure;
use crate::clock::Subject;
use crate::exchange::Exchange;
use crate::floor::memory::RawMemory;
use crate::floor::{memfd, process, socket, system_v};
use crate::measure::Entry;
use crate::memory::{Invitation, RawSegment};
use crate::orders::PartName;
use crate::parts::{Given, Part};
use crate::payload::{buffer, expect_sum, pattern, sum, sum_pieces};
use crate::second_process::SecondProcess;

/// How the receiver gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Way {
    /// By the id of a System V segment, which is told.
    Id,
    /// By a descriptor in a message.
    Message,
    /// By `pidfd_getfd` of a number that is told.
    Pidfd,
    /// By opening the file of that number in `/proc`.
    Proc,
}

impl Way {
    /// The name of its rows.
    fn subject(self) -> &'static str {
        match self {
            Self::Id => "System V, id in a message",
            Self::Message => DESCRIPTOR,
            Self::Pidfd => "pidfd_getfd",
            Self::Proc => "proc_fd",
        }
    }
}

/// The floor of those that pass a descriptor.
const DESCRIPTOR: &str = "memfd, by SCM_RIGHTS";

/// The ways of one size.
pub(super) fn entries(other: &Rc<SecondProcess>, size: usize) -> Result<Vec<Entry>, Failure> {
    let in_bytes = size as u64;
    let mut entries = Vec::new();
    for way in [Way::Id, Way::Message, Way::Pidfd, Way::Proc] {
        entries.push(Entry::floor(way.subject(), in_bytes, giver(other, way, true, size)?));
        entries.push(Entry::ours(way.subject(), in_bytes, giver(other, way, false, size)?));
    }
    let peer = hand_over_peer::giver(other, size)?;
    entries.push(Entry::peer("ipc-channel shared memory", in_bytes, DESCRIPTOR, peer));
    Ok(entries)
}

/// What travels.
enum Gift {
    /// A number: the id of a segment, or that of a descriptor.
    Number(i32, #[allow(dead_code)] Standing), // held for what the number names
    /// A descriptor, sent by a raw call.
    Raw(OwnedFd),
    /// A descriptor, sent by `fd-shm`.
    Ours(Region),
}

/// What a number names.
#[derive(Debug)]
#[allow(dead_code)] // held for being attached, or open
enum Standing {
    /// A segment, attached: so it can be removed at once, and still be entered by its id.
    Segment(RawMemory),
    /// An open file.
    File(OwnedFd),
}

/// Gives one region away again and again, and checks what the receiver has read.
fn giver(
    other: &Rc<SecondProcess>,
    way: Way,
    raw: bool,
    size: usize,
) -> Result<impl Subject + 'static, Failure> {
    let bytes = pattern(size);
    let (socket, theirs) = UnixStream::pair().map_err(|e| Failure::call("socketpair(AF_UNIX)", &e))?;
    let (what, sum) = (Gift::new(way, raw, &bytes)?, sum(&bytes));
    // Lets the receiver pull, where the kernel would ask.
    let allowance = matches!(way, Way::Pidfd).then(|| pidfd::allow(other.pid())).transpose()?;
    let name = PartName::TakeOver { way, raw };
    let part = other.join(name, size, &Invitation::default(), &[theirs.as_fd()])?;
    Ok(Exchange::new(other, part, move || {
        let _kept = &allowance;
        match &what {
            Gift::Number(number, _) => write(&socket, &number.to_ne_bytes())?,
            Gift::Raw(fd) => socket::send_descriptor(socket.as_fd(), fd.as_fd())?,
            Gift::Ours(region) => scm_rights::send(&socket, &[1], &[region.as_fd()])?,
        }
        let mut answer = [0; 8];
        read(&socket, &mut answer)?;
        expect_sum(u64::from_ne_bytes(answer), sum)
    }))
}

impl Gift {
    fn new(way: Way, raw: bool, bytes: &[u8]) -> Result<Self, Failure> {
        if way == Way::Id {
            let segment = RawSegment(system_v::create(None, bytes.len())?);
            let memory = system_v::attach(segment.0, bytes.len())?;
            memory.write(0, bytes);
            return Ok(Self::Number(segment.0, Standing::Segment(memory)));
        }
        let region = Region::create("gift", bytes.len())?;
        region.map::<()>()?.copy_in(0, bytes)?;
        Ok(match (way, raw) {
            (Way::Message, false) => Self::Ours(region),
            (Way::Message, true) => Self::Raw(region.into()),
            _ => Self::Number(region.as_fd().as_raw_fd(), Standing::File(region.into())),
        })
    }
}

/// The second process: takes a region over, reads it, answers.
struct Receiver {
    /// The way here and back.
    socket: UnixStream,
    /// The way in.
    entrance: Entrance,
    /// Bytes of the region.
    size: usize,
    /// Private memory to copy into.
    buffer: Box<[u8; 16 << 10]>,
}

/// A way in, with what was got ready for it: the raw one first, then ours.
enum Entrance {
    RawId,
    Id,
    RawMessage,
    Message,
    /// The giver's pidfd.
    RawPidfd(OwnedFd),
    Pidfd(pidfd::Process),
    /// The giver's pid.
    RawProc(u32),
    Proc(procfs::Process),
}

impl Entrance {
    fn new(way: Way, raw: bool) -> Result<Self, Failure> {
        let giver = parent_id();
        Ok(match (way, raw) {
            (Way::Id, true) => Self::RawId,
            (Way::Id, false) => Self::Id,
            (Way::Message, true) => Self::RawMessage,
            (Way::Message, false) => Self::Message,
            (Way::Pidfd, true) => Self::RawPidfd(process::open_pidfd(giver)?),
            (Way::Pidfd, false) => Self::Pidfd(pidfd::Process::open(giver)?),
            (Way::Proc, true) => Self::RawProc(giver),
            (Way::Proc, false) => Self::Proc(procfs::Process::open(giver)?),
        })
    }
}

/// The receiving side of a way in.
pub(crate) fn receiver(way: Way, raw: bool, mut given: Given) -> Result<Box<dyn Part>, Failure> {
    let socket = UnixStream::from(given.descriptor()?);
    let entrance = Entrance::new(way, raw)?;
    Ok(Box::new(Receiver { socket, entrance, size: given.size(), buffer: buffer() }))
}

impl Receiver {
    fn take(&mut self) -> Result<u64, Failure> {
        let socket = &self.socket;
        match &self.entrance {
            Entrance::RawId => {
                let memory = system_v::join(number(socket)?)?;
                sum_raw(&memory, self.size, &mut self.buffer)
            }
            Entrance::Id => {
                let memory = Segment::from(SegmentId::new(number(socket)?)).attach::<()>()?;
                sum_pieces(self.size, &mut self.buffer, |at, piece| Ok(memory.copy_out(at, piece)?))
            }
            Entrance::RawMessage => self.look_raw(socket::receive_descriptor(socket.as_fd())?),
            Entrance::Message => {
                let [fd] = scm_rights::receive(socket, &mut [0], 1)?.into_exactly()?;
                self.look(fd)
            }
            Entrance::RawPidfd(giver) => self.look_raw(process::get_fd(giver.as_fd(), number(socket)?)?),
            Entrance::Pidfd(giver) => self.look(giver.pull(number(socket)?)?),
            Entrance::RawProc(giver) => {
                let path = CString::new(format!("/proc/{giver}/fd/{}", number(socket)?));
                self.look_raw(process::open_file_of(&path.map_err(Failure::step("a path"))?)?)
            }
            Entrance::Proc(giver) => self.look(giver.pull(number(socket)?)?),
        }
    }

    fn look_raw(&mut self, fd: OwnedFd) -> Result<u64, Failure> {
        sum_raw(&memfd::map(fd.as_fd())?, self.size, &mut self.buffer)
    }

    fn look(&mut self, fd: OwnedFd) -> Result<u64, Failure> {
        sum_ours(&Region::from_fd(fd)?, self.size, &mut self.buffer)
    }
}

/// Maps a region and sums it, through `fd-shm`.
pub(super) fn sum_ours(region: &Region, size: usize, buffer: &mut [u8; 16 << 10]) -> Result<u64, Failure> {
    let memory = region.map::<()>()?;
    sum_pieces(size, buffer, |at, piece| Ok(memory.copy_out(at, piece)?))
}

/// Sums what is mapped, by libc's memcpy.
pub(super) fn sum_raw(memory: &RawMemory, size: usize, buffer: &mut [u8; 16 << 10]) -> Result<u64, Failure> {
    sum_pieces(size, buffer, |at, piece| {
        memory.read(at, piece);
        Ok(())
    })
}

impl Part for Receiver {
    fn run(&mut self, count: u64) -> Result<u64, Failure> {
        for _ in 0..count {
            let sum = self.take()?;
            write(&mut self.socket, &sum.to_ne_bytes())?;
        }
        Ok(0)
    }
}

/// The number that the giver has told.
fn number(socket: &UnixStream) -> Result<RawFd, Failure> {
    let mut number = [0; 4];
    read(socket, &mut number)?;
    Ok(i32::from_ne_bytes(number))
}

fn write(mut socket: impl Write, bytes: &[u8]) -> Result<(), Failure> {
    socket.write_all(bytes).map_err(|e| Failure::call(format!("write(socket, {} bytes)", bytes.len()), &e))
}

fn read(mut socket: impl Read, bytes: &mut [u8]) -> Result<(), Failure> {
    socket.read_exact(bytes).map_err(|e| Failure::call(format!("read(socket, {} bytes)", bytes.len()), &e))
}
