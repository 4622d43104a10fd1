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
use std::sync::atomic::AtomicU64;

use fd_shm::handover::{Pull, pidfd, procfs};
use fd_shm::{FixedFd, Region, scm_rights};
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
use crate::payload::{Buffer, buffer, expect_sum, pattern, sum, sum_pieces, sum_words};
use crate::second_process::SecondProcess;

/// How the receiver gets in, and how it reads what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Way {
    /// Where it finds the region.
    entrance: Entrance,
    /// Whether it sums the bytes where they lie, and not a copy of them.
    in_place: bool,
}

/// Where the receiver finds the region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Entrance {
    /// By the id of a System V segment, which is told.
    Id,
    /// By a descriptor in a message.
    Message,
    /// By `pidfd_getfd` of a number that is told.
    Pidfd,
    /// By opening the file of that number in `/proc`.
    Proc,
}

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum By {
    /// System calls, which believe what they are given.
    Raw,
    /// System calls that check it as our library does.
    Checked,
    /// Our library.
    Ours,
}

/// The ways, and the names of their rows.
const WAYS: [(&str, Way); 6] = [
    ("System V, id in a message", Way { entrance: Entrance::Id, in_place: false }),
    (DESCRIPTOR, Way { entrance: Entrance::Message, in_place: false }),
    ("pidfd_getfd", Way { entrance: Entrance::Pidfd, in_place: false }),
    ("proc_fd", Way { entrance: Entrance::Proc, in_place: false }),
    ("System V, id, read in place", Way { entrance: Entrance::Id, in_place: true }),
    (IN_PLACE, Way { entrance: Entrance::Message, in_place: true }),
];

const DESCRIPTOR: &str = "memfd, by SCM_RIGHTS";

/// The floor of those that pass a descriptor and copy nothing.
const IN_PLACE: &str = "SCM_RIGHTS, read in place";

/// The ways of one size.
pub(super) fn entries(other: &Rc<SecondProcess>, size: usize) -> Result<Vec<Entry>, Failure> {
    let in_bytes = size as u64;
    let mut entries = Vec::new();
    for (subject, way) in WAYS {
        entries.push(Entry::floor(subject, in_bytes, giver(other, way, By::Raw, size)?));
        // Of a segment the raw calls ask already what ours asks: its size.
        if way.entrance != Entrance::Id {
            entries.push(Entry::checked(subject, in_bytes, giver(other, way, By::Checked, size)?));
        }
        entries.push(Entry::ours(subject, in_bytes, giver(other, way, By::Ours, size)?));
    }
    let peer = hand_over_peer::giver(other, size)?;
    entries.push(Entry::peer("ipc-channel shared memory", in_bytes, IN_PLACE, peer));
    Ok(entries)
}

/// A region that is given away.
struct Gift {
    /// What travels.
    token: Token,
    /// The giver has it mapped all the time, like a program that goes on using it. That is no matter of
    /// course: where nobody else maps a page, to map it and to unmap it are dearer by a tenth of a
    /// microsecond together, since the kernel keeps count of the pages that are mapped at all.
    _mapped: RawMemory,
}

/// What travels.
enum Token {
    /// The id of a segment, which its mapping keeps: it is removed already.
    Id(i32),
    /// The number of a descriptor, which stays open here.
    Number(OwnedFd),
    /// A descriptor, sent by a raw call.
    Raw(OwnedFd),
    /// A descriptor, sent by `fd-shm`.
    Ours(FixedFd),
}

/// Gives one region away again and again, and checks what the receiver has read.
fn giver(
    other: &Rc<SecondProcess>,
    way: Way,
    by: By,
    size: usize,
) -> Result<impl Subject + 'static, Failure> {
    let bytes = pattern(size);
    let (socket, theirs) = UnixStream::pair().map_err(|e| Failure::call("socketpair(AF_UNIX)", &e))?;
    let (gift, sum) = (Gift::new(way.entrance, by, &bytes)?, sum(&bytes));
    // Lets the receiver pull, where the kernel would ask.
    let allowance = (way.entrance == Entrance::Pidfd).then(|| pidfd::allow(other.pid())).transpose()?;
    let name = PartName::TakeOver { way, by };
    let part = other.join(name, size, &Invitation::default(), &[theirs.as_fd()])?;
    Ok(Exchange::new(other, part, move || {
        let _kept = (&allowance, &gift);
        match &gift.token {
            Token::Id(id) => write(&socket, &id.to_ne_bytes())?,
            Token::Number(fd) => write(&socket, &fd.as_raw_fd().to_ne_bytes())?,
            Token::Raw(fd) => socket::send_descriptor(socket.as_fd(), fd.as_fd())?,
            Token::Ours(fd) => scm_rights::send(&socket, &[1], &[fd.as_fd()])?,
        }
        let mut answer = [0; 8];
        read(&socket, &mut answer)?;
        expect_sum(u64::from_ne_bytes(answer), sum)
    }))
}

impl Gift {
    fn new(entrance: Entrance, by: By, bytes: &[u8]) -> Result<Self, Failure> {
        let (token, mapped) = if entrance == Entrance::Id {
            let segment = RawSegment(system_v::create(None, bytes.len())?);
            (Token::Id(segment.0), system_v::attach(segment.0, bytes.len())?)
        } else {
            let region = Region::create("gift", bytes.len())?;
            let mapped = memfd::map(region.as_fd())?;
            let token = match (entrance, by) {
                (Entrance::Message, By::Ours) => Token::Ours(region.into()),
                (Entrance::Message, _) => Token::Raw(region.into()),
                _ => Token::Number(region.into()),
            };
            (token, mapped)
        };
        mapped.write(0, bytes);
        Ok(Self { token, _mapped: mapped })
    }
}

/// The second process: takes a region over, reads it, answers.
struct Receiver {
    /// The way here and back.
    socket: UnixStream,
    /// The way in.
    door: Door,
    /// What is done behind it.
    reading: Reading,
}

/// A way in, with what was got ready for it.
enum Door {
    Id,
    Message,
    /// The giver's pidfd.
    RawPidfd(OwnedFd),
    Pidfd(pidfd::Process),
    /// The giver's pid.
    RawProc(u32),
    Proc(procfs::Process),
}

impl Door {
    fn new(entrance: Entrance, by: By) -> Result<Self, Failure> {
        let giver = parent_id();
        Ok(match (entrance, by) {
            (Entrance::Id, _) => Self::Id,
            (Entrance::Message, _) => Self::Message,
            (Entrance::Pidfd, By::Ours) => Self::Pidfd(pidfd::Process::open(giver)?),
            (Entrance::Pidfd, _) => Self::RawPidfd(process::open_pidfd(giver)?),
            (Entrance::Proc, By::Ours) => Self::Proc(procfs::Process::open(giver)?),
            (Entrance::Proc, _) => Self::RawProc(giver),
        })
    }
}

/// The receiving side of a way in.
pub(crate) fn receiver(way: Way, by: By, mut given: Given) -> Result<Box<dyn Part>, Failure> {
    let socket = UnixStream::from(given.descriptor()?);
    let reading = Reading { by, in_place: way.in_place, size: given.size(), buffer: buffer() };
    Ok(Box::new(Receiver { socket, door: Door::new(way.entrance, by)?, reading }))
}

impl Receiver {
    fn take(&mut self) -> Result<u64, Failure> {
        let (socket, reading) = (&self.socket, &mut self.reading);
        match &self.door {
            Door::Id => reading.segment(number(socket)?),
            Door::Message if reading.by == By::Ours => {
                let [fd] = scm_rights::receive(socket, &mut [0], 1)?.into_exactly()?;
                reading.descriptor(fd)
            }
            Door::Message => reading.descriptor(socket::receive_descriptor(socket.as_fd())?),
            Door::RawPidfd(giver) => reading.descriptor(process::get_fd(giver.as_fd(), number(socket)?)?),
            Door::Pidfd(giver) => reading.descriptor(giver.pull(number(socket)?)?),
            Door::RawProc(giver) => {
                let path = CString::new(format!("/proc/{giver}/fd/{}", number(socket)?));
                let path = path.map_err(Failure::step("a path"))?;
                let checked = reading.by == By::Checked;
                let open = if checked { process::open_regular_file_of } else { process::open_file_of };
                reading.descriptor(open(&path)?)
            }
            Door::Proc(giver) => reading.descriptor(giver.pull(number(socket)?)?),
        }
    }
}

/// Maps what came, and sums it.
struct Reading {
    by: By,
    in_place: bool,
    /// Bytes of the region.
    size: usize,
    /// Private memory to copy into.
    buffer: Box<Buffer>,
}

impl Reading {
    fn segment(&mut self, id: i32) -> Result<u64, Failure> {
        if self.by != By::Ours {
            return self.memory(system_v::join(id)?);
        }
        let segment = Segment::from(SegmentId::new(id));
        if self.in_place {
            return Ok(sum_words(&segment.attach::<[AtomicU64]>()?));
        }
        let memory = segment.attach::<()>()?;
        sum_pieces(self.size, &mut self.buffer, |at, piece| Ok(memory.copy_out(at, piece)?))
    }

    fn descriptor(&mut self, fd: OwnedFd) -> Result<u64, Failure> {
        match self.by {
            By::Raw => self.memory(memfd::map(fd.as_fd())?),
            By::Checked => self.memory(memfd::map_checked(fd.as_fd())?),
            By::Ours if self.in_place => Ok(sum_words(&Region::from_fd(fd)?.map::<[AtomicU64]>()?)),
            By::Ours => sum_ours(&Region::from_fd(fd)?, self.size, &mut self.buffer),
        }
    }

    fn memory(&mut self, memory: RawMemory) -> Result<u64, Failure> {
        if self.in_place {
            return Ok(sum_words(memory.with_words().words()));
        }
        sum_raw(&memory, self.size, &mut self.buffer)
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
