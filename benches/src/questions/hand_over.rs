//! What does it cost until another process has a region and has read it?
//!
//! A round trip: the region's name or descriptor goes over a Unix socket, the receiver maps the region,
//! sums all its bytes, unmaps it, and the sum comes back over the same socket. The region itself stands,
//! filled, from before.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use fd_shm::{Region, scm_rights};
use ipc_channel::ipc::{IpcReceiver, IpcSender, IpcSharedMemory, channel};
use sysv_shm::{Segment, SegmentId};

use super::peer;
use crate::Failure;
use crate::clock::{Clock, Subject};
use crate::floor::memory::RawMemory;
use crate::floor::{memfd, socket, system_v};
use crate::measure::Entry;
use crate::memory::{Invitation, ModelId, RawSegment};
use crate::orders::PartName;
use crate::parts::{Given, Part};
use crate::payload::{buffer, expect_sum, pattern, sum, sum_pieces};
use crate::second_process::SecondProcess;

/// The floor of those that pass a descriptor.
const DESCRIPTOR: &str = "memfd, by SCM_RIGHTS";

/// The ways of one size.
pub(super) fn entries(other: &Rc<SecondProcess>, size: usize) -> Result<Vec<Entry>, Failure> {
    let in_bytes = size as u64;
    let give = |model| Giver::new(other, model, size);
    Ok(vec![
        Entry::floor("System V, id in a message", in_bytes, give(ModelId::RawSystemV)?),
        Entry::ours("System V, id in a message", in_bytes, give(ModelId::SystemV)?),
        Entry::floor(DESCRIPTOR, in_bytes, give(ModelId::RawMemfd)?),
        Entry::ours(DESCRIPTOR, in_bytes, give(ModelId::Memfd)?),
        Entry::peer("ipc-channel shared memory", in_bytes, DESCRIPTOR, PeerGiver::new(other, size)?),
    ])
}

/// Gives one region away again and again.
struct Giver {
    /// Where the receiver is.
    other: Rc<SecondProcess>,
    /// The receiver.
    part: usize,
    /// The way there and back.
    socket: UnixStream,
    /// What is given.
    what: Gift,
    /// What the receiver must answer.
    sum: u64,
}

/// What travels.
enum Gift {
    /// The id of a segment, which is kept attached: so it can be removed at once, and still be entered by
    /// its id.
    Id(i32, #[allow(dead_code)] RawMemory), // held for being attached
    /// A descriptor, sent by a raw call.
    Raw(OwnedFd),
    /// A descriptor, sent by `fd-shm`.
    Ours(Region),
}

impl Giver {
    fn new(other: &Rc<SecondProcess>, model: ModelId, size: usize) -> Result<Self, Failure> {
        let bytes = pattern(size);
        let (socket, theirs) = UnixStream::pair().map_err(|e| Failure::call("socketpair(AF_UNIX)", &e))?;
        let what = Gift::new(model, &bytes)?;
        let part = other.join(PartName::TakeOver(model), size, &Invitation::default(), &[theirs.as_fd()])?;
        Ok(Self { other: Rc::clone(other), part, socket, what, sum: sum(&bytes) })
    }

    fn give(&mut self) -> Result<(), Failure> {
        match &self.what {
            Gift::Id(id, _) => write(&mut self.socket, &id.to_ne_bytes())?,
            Gift::Raw(fd) => socket::send_descriptor(self.socket.as_fd(), fd.as_fd())?,
            Gift::Ours(region) => scm_rights::send(&self.socket, &[1], &[region.as_fd()])?,
        }
        let mut answer = [0; 8];
        read(&mut self.socket, &mut answer)?;
        expect_sum(u64::from_ne_bytes(answer), self.sum)
    }
}

impl Gift {
    fn new(model: ModelId, bytes: &[u8]) -> Result<Self, Failure> {
        Ok(match model {
            ModelId::RawSystemV | ModelId::SystemV => {
                let segment = RawSegment(system_v::create(None, bytes.len())?);
                let memory = system_v::attach(segment.0, bytes.len())?;
                memory.write(0, bytes);
                Self::Id(segment.0, memory)
            }
            ModelId::RawMemfd => {
                let fd = memfd::create(c"gift", bytes.len())?;
                memfd::map(fd.as_fd())?.write(0, bytes);
                Self::Raw(fd)
            }
            ModelId::Memfd => {
                let region = Region::create("gift", bytes.len())?;
                region.map::<()>()?.copy_in(0, bytes)?;
                Self::Ours(region)
            }
        })
    }
}

impl Subject for Giver {
    fn run(&mut self, count: u64, clock: &mut Clock) -> Result<(), Failure> {
        self.other.run(self.part, count + 1)?;
        self.give()?; // waits until the other side is there
        clock.start();
        for _ in 0..count {
            self.give()?;
            clock.tick();
        }
        self.other.answer().map(drop)
    }
}

/// The second process: takes a region over, reads it, answers.
struct Receiver {
    /// The way here and back.
    socket: UnixStream,
    /// The way in.
    model: ModelId,
    /// Bytes of the region.
    size: usize,
    /// Private memory to copy into.
    buffer: Box<[u8; 16 << 10]>,
}

/// The receiving side of one of the four.
pub(crate) fn receiver(model: ModelId, mut given: Given) -> Result<Box<dyn Part>, Failure> {
    let socket = UnixStream::from(given.descriptor()?);
    Ok(Box::new(Receiver { socket, model, size: given.size(), buffer: buffer() }))
}

impl Receiver {
    fn take(&mut self) -> Result<u64, Failure> {
        match self.model {
            ModelId::RawSystemV => {
                let memory = system_v::join(self.id()?)?;
                self.sum_raw(&memory)
            }
            ModelId::SystemV => {
                let memory = Segment::from(SegmentId::new(self.id()?)).attach::<()>()?;
                sum_pieces(self.size, &mut self.buffer, |at, piece| Ok(memory.copy_out(at, piece)?))
            }
            ModelId::RawMemfd => {
                let fd = socket::receive_descriptor(self.socket.as_fd())?;
                let memory = memfd::map(fd.as_fd())?;
                self.sum_raw(&memory)
            }
            ModelId::Memfd => {
                let [fd] = scm_rights::receive(&self.socket, &mut [0], 1)?.into_exactly()?;
                let memory = Region::from_fd(fd)?.map::<()>()?;
                sum_pieces(self.size, &mut self.buffer, |at, piece| Ok(memory.copy_out(at, piece)?))
            }
        }
    }

    fn id(&mut self) -> Result<i32, Failure> {
        let mut id = [0; 4];
        read(&mut self.socket, &mut id)?;
        Ok(i32::from_ne_bytes(id))
    }

    fn sum_raw(&mut self, memory: &RawMemory) -> Result<u64, Failure> {
        sum_pieces(self.size, &mut self.buffer, |at, piece| {
            memory.read(at, piece);
            Ok(())
        })
    }
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

/// Gives an `IpcSharedMemory` away, and is answered over a channel of the same library.
struct PeerGiver {
    /// Where the receiver is.
    other: Rc<SecondProcess>,
    /// The receiver.
    part: usize,
    /// What is given.
    memory: IpcSharedMemory,
    /// The way there.
    there: IpcSender<IpcSharedMemory>,
    /// The way back.
    back: IpcReceiver<u64>,
    /// What the receiver must answer.
    sum: u64,
}

impl PeerGiver {
    fn new(other: &Rc<SecondProcess>, size: usize) -> Result<Self, Failure> {
        let bytes = pattern(size);
        let (part, (there, back)) = peer::meet(other, PartName::TakeOverPeer, size)?;
        let memory = IpcSharedMemory::from_bytes(&bytes);
        Ok(Self { other: Rc::clone(other), part, memory, there, back, sum: sum(&bytes) })
    }

    fn give(&self) -> Result<(), Failure> {
        // The only way to send it and keep it: the library duplicates the descriptor and the mapping for
        // each message.
        self.there.send(self.memory.clone()).map_err(Failure::step("IpcSender::send"))?;
        expect_sum(self.back.recv().map_err(Failure::step("IpcReceiver::recv"))?, self.sum)
    }
}

impl Subject for PeerGiver {
    fn run(&mut self, count: u64, clock: &mut Clock) -> Result<(), Failure> {
        self.other.run(self.part, count + 1)?;
        self.give()?;
        clock.start();
        for _ in 0..count {
            self.give()?;
            clock.tick();
        }
        self.other.answer().map(drop)
    }
}

/// The second process of `ipc-channel`.
struct PeerReceiver {
    /// The way here.
    there: IpcReceiver<IpcSharedMemory>,
    /// The way back.
    back: IpcSender<u64>,
}

/// The receiving side of `ipc-channel`.
pub(crate) fn peer_receiver(given: &mut Given) -> Result<Box<dyn Part>, Failure> {
    let (to_us, there) = channel::<IpcSharedMemory>().map_err(Failure::step("ipc_channel::channel"))?;
    let (back, from_us) = channel::<u64>().map_err(Failure::step("ipc_channel::channel"))?;
    peer::answer(given, (to_us, from_us))?;
    Ok(Box::new(PeerReceiver { there, back }))
}

impl Part for PeerReceiver {
    fn run(&mut self, count: u64) -> Result<u64, Failure> {
        for _ in 0..count {
            let memory = self.there.recv().map_err(Failure::step("IpcReceiver::recv"))?;
            let sum = sum(&memory);
            drop(memory);
            self.back.send(sum).map_err(Failure::step("IpcSender::send"))?;
        }
        Ok(0)
    }
}

fn write(socket: &mut UnixStream, bytes: &[u8]) -> Result<(), Failure> {
    socket.write_all(bytes).map_err(|e| Failure::call(format!("write(socket, {} bytes)", bytes.len()), &e))
}

fn read(socket: &mut UnixStream, bytes: &mut [u8]) -> Result<(), Failure> {
    socket.read_exact(bytes).map_err(|e| Failure::call(format!("read(socket, {} bytes)", bytes.len()), &e))
}
