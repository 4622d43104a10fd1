//! How many bytes a second can one process write and another read?
//!
//! A stream of messages, each different from the one before; the reader copies every byte into private
//! memory and sums it, as a receiver must that does not trust the sender, and the sum of a batch is
//! checked. `ipc-channel`'s shared memory is summed in place: that is how it is meant to be used.

use std::hint::black_box;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use ipc_channel::ipc::{
    IpcBytesReceiver, IpcBytesSender, IpcReceiver, IpcSender, IpcSharedMemory, bytes_channel, channel,
};
use rustix::pipe::{PipeFlags, pipe_with};

use super::{in_place, passing, peer};
use crate::clock::{Alone, Clock, Subject};
use crate::measure::{Effort, Entry};
use crate::memory::{Invitation, Memory, Model, ModelId, Words, with_model};
use crate::orders::PartName;
use crate::parts::{Given, Part};
use crate::payload::{buffer, expect_sum, pattern, stamp, sum, sum_pieces};
use crate::second_process::SecondProcess;
use crate::{Failure, spin};

/// The sizes of a message.
pub(super) fn sizes(effort: Effort) -> impl Iterator<Item = usize> {
    let all = [64, 4 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20];
    all.into_iter().filter(move |&size| size as u64 <= effort.largest)
}

/// The ways of one size.
pub(super) fn entries(other: &Rc<SecondProcess>, size: usize) -> Result<Vec<Entry>, Failure> {
    let in_bytes = size as u64;
    let mut entries = Vec::new();
    for model in [ModelId::RawSystemV, ModelId::SystemV, ModelId::RawMemfd, ModelId::Memfd] {
        entries.push(with_model!(model, M => ring::<M>(other, size)?));
    }
    entries.push(Entry::model("copy and sum, one process", in_bytes, one_process(size)));
    let pipe = pipe_with(PipeFlags::CLOEXEC).map_err(|e| Failure::call("pipe2(O_CLOEXEC)", &e.into()))?;
    entries.push(Entry::model("pipe", in_bytes, stream(other, size, pipe.1, &pipe.0)?));
    let pair = UnixStream::pair().map_err(|e| Failure::call("socketpair(AF_UNIX)", &e))?;
    // It is also the floor of the peer that copies: its channel is such a socket.
    entries.push(Entry::floor(SOCKET, in_bytes, stream(other, size, pair.0.into(), &pair.1.into())?));
    let (part, to) = peer::meet::<IpcBytesSender>(other, PartName::BytesPeer, size)?;
    let send = move |message: &[u8]| to.send(message).map_err(Failure::step("IpcBytesSender::send"));
    entries.push(Entry::peer("ipc-channel bytes", in_bytes, SOCKET, Writer::new(other, part, size, send)));
    let (part, to) = peer::meet::<IpcSender<IpcSharedMemory>>(other, PartName::MemoryPeer, size)?;
    let send = move |message: &[u8]| {
        to.send(IpcSharedMemory::from_bytes(message)).map_err(Failure::step("IpcSender::send"))
    };
    let writer = Writer::new(other, part, size, send);
    entries.push(Entry::peer("ipc-channel shared memory", in_bytes, "memfd passed, fresh", writer));
    entries.extend(passing::entries(other, size)?);
    entries.extend(in_place::entries(other, size)?);
    #[cfg(feature = "peers")]
    entries.push(crate::peers::throughput(other, size)?);
    Ok(entries)
}

/// The floor of the peer that copies.
const SOCKET: &str = "Unix socket";

/// Messages in slots, in the memory that is passed as a descriptor.
const RING: &str = "memfd, ring";

/// Writes messages by `send`, and checks the sum that the other side has found.
pub(super) struct Writer<S> {
    /// Where the reader is.
    other: Rc<SecondProcess>,
    /// The reader.
    part: usize,
    /// What is written, stamped with a new number each time.
    message: Vec<u8>,
    /// The sum of the message when it is stamped with 0.
    base: u64,
    /// Messages sent so far.
    sent: u64,
    /// The way of writing.
    send: S,
}

impl<S: FnMut(&[u8]) -> Result<(), Failure>> Writer<S> {
    pub(super) fn new(other: &Rc<SecondProcess>, part: usize, size: usize, send: S) -> Self {
        let mut message = pattern(size);
        stamp(&mut message, 0);
        let base = sum(&message);
        Self { other: Rc::clone(other), part, message, base, sent: 0, send }
    }
}

impl<S: FnMut(&[u8]) -> Result<(), Failure>> Subject for Writer<S> {
    fn run(&mut self, count: u64, clock: &mut Clock) -> Result<(), Failure> {
        self.other.run(self.part, count)?;
        let mut written = 0_u64;
        clock.start();
        for _ in 0..count {
            self.sent += 1;
            stamp(&mut self.message, self.sent);
            written = written.wrapping_add(self.base).wrapping_add(self.sent);
            (self.send)(&self.message)?;
        }
        // The last byte counts when it has been read, so the answer is part of the batch.
        let found = self.other.answer(clock)?;
        clock.finish(count);
        expect_sum(found, written)
    }
}

/// The slots of a ring of messages of `size`: a mebibyte in all where that gives between 2 and 1024 slots.
pub(crate) fn slots(size: usize) -> u32 {
    u32::try_from(((1 << 20) / size).clamp(2, 1024)).unwrap_or(2)
}

fn ring<M: Model>(other: &Rc<SecondProcess>, size: usize) -> Result<Entry, Failure> {
    let (memory, invitation) = M::create(size * slots(size) as usize)?;
    let part = other.join(PartName::Ring(M::ID), size, &invitation, &[])?;
    let mut end = RingEnd::new(memory, size);
    let subject = if M::ID.is_system_v() { "System V, ring" } else { RING };
    let writer = Writer::new(other, part, size, move |message: &[u8]| end.write(message));
    Ok(match M::ID.role() {
        crate::Role::Floor => Entry::floor(subject, size as u64, writer),
        _ => Entry::ours(subject, size as u64, writer),
    })
}

/// One end of a ring with one writer and one reader.
///
/// # Invariants
///
/// `head.first` counts messages written, `head.second` messages read, both wrapping: the writer is never
/// more than
/// `slots` ahead. Slot `n % slots` belongs to the reader from the moment in which `first` passes `n` until
/// `second` does.
pub(super) struct RingEnd<M> {
    /// The counts, and behind them the slots.
    memory: M,
    /// Bytes of a message, and of a slot.
    size: usize,
    /// Slots in the ring, a power of two for every size that is measured.
    slots: u32,
    /// Messages that this end has written or read.
    at: u32,
    /// What this end has last seen of the other's count: it looks again only when that does not suffice.
    other_at: u32,
}

impl<M: Words> RingEnd<M> {
    /// The end of a ring in which nothing has been written.
    pub(super) fn new(memory: M, size: usize) -> Self {
        Self { memory, size, slots: slots(size), at: 0, other_at: 0 }
    }

    /// Where the next message lies.
    fn slot(&self) -> Range<usize> {
        let begin = (self.at % self.slots) as usize * self.size;
        begin..begin + self.size
    }

    /// Waits for a free slot, lets it be filled, and hands it over.
    #[inline]
    pub(super) fn write_by(
        &mut self,
        fill: impl FnOnce(&M, Range<usize>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let head = self.memory.head();
        if self.at.wrapping_sub(self.other_at) == self.slots {
            spin::until(|| {
                // Acquire pairs with the reader's release: it has read the slot before we write into it.
                self.other_at = head.second.word.load(Ordering::Acquire);
                self.at.wrapping_sub(self.other_at) < self.slots
            });
        }
        fill(&self.memory, self.slot())?;
        self.at = self.at.wrapping_add(1);
        // INVARIANT: the message is in its slot, and with this the slot is the reader's.
        head.first.word.store(self.at, Ordering::Release);
        Ok(())
    }

    /// Waits for a message, lets it be read, and gives its slot back.
    #[inline]
    pub(super) fn read_by(
        &mut self,
        read: impl FnOnce(&M, Range<usize>) -> Result<u64, Failure>,
    ) -> Result<u64, Failure> {
        let head = self.memory.head();
        if self.at == self.other_at {
            spin::until(|| {
                // Acquire pairs with the writer's release: the message is in its slot before we read it.
                self.other_at = head.first.word.load(Ordering::Acquire);
                self.at != self.other_at
            });
        }
        let sum = read(&self.memory, self.slot())?;
        self.at = self.at.wrapping_add(1);
        // INVARIANT: the message has been read, and with this the slot is the writer's.
        head.second.word.store(self.at, Ordering::Release);
        Ok(sum)
    }
}

impl<M: Memory> RingEnd<M> {
    #[inline]
    fn write(&mut self, message: &[u8]) -> Result<(), Failure> {
        self.write_by(|memory, slot| memory.put(slot.start, message))
    }

    #[inline]
    fn read_sum(&mut self, buffer: &mut [u8; 16 << 10]) -> Result<u64, Failure> {
        self.read_by(|memory, slot| {
            sum_pieces(slot.len(), buffer, |at, piece| memory.get(slot.start + at, piece))
        })
    }
}

/// The second process: reads messages, each by `read_sum`, and adds their sums up.
pub(crate) struct Reader<R>(pub(crate) R);

impl<R: FnMut() -> Result<u64, Failure>> Part for Reader<R> {
    fn run(&mut self, count: u64) -> Result<u64, Failure> {
        let mut total = 0_u64;
        for _ in 0..count {
            total = total.wrapping_add((self.0)()?);
        }
        Ok(total)
    }
}

/// The reading end of a ring.
pub(crate) fn ring_reader(model: ModelId, mut given: Given) -> Result<Box<dyn Part>, Failure> {
    let (size, invitation) = (given.size(), given.invitation());
    let mut buffer = buffer();
    with_model!(model, M => {
        let memory = M::join(invitation, size * slots(size) as usize)?;
        let mut end = RingEnd::new(memory, size);
        Ok(Box::new(Reader(move || end.read_sum(&mut buffer))))
    })
}

/// The same copies and the same sum over as much memory, without anybody to share it with: what the ring
/// could come to if its two ends cost nothing, one after the other on one CPU.
fn one_process(size: usize) -> impl Subject + 'static {
    let mut ring = vec![0; size * slots(size) as usize];
    let (mut message, mut buffer, mut sent) = (pattern(size), buffer(), 0_usize);
    Alone(move || {
        sent += 1;
        stamp(&mut message, sent as u64);
        let at = sent % slots(size) as usize * size;
        let slot = &mut ring[at..at + size];
        slot.copy_from_slice(&message);
        let sum = sum_pieces(size, &mut buffer, |at, piece| {
            piece.copy_from_slice(&slot[at..at + piece.len()]);
            Ok(())
        });
        black_box(sum?);
        Ok(())
    })
}

/// Writes each message into a descriptor: the kernel copies it in, and out again on the other side.
fn stream(
    other: &Rc<SecondProcess>,
    size: usize,
    to: OwnedFd,
    from: &OwnedFd,
) -> Result<impl Subject + 'static, Failure> {
    let part = other.join(PartName::Stream, size, &Invitation::default(), &[from.as_fd()])?;
    Ok(Writer::new(other, part, size, move |mut message: &[u8]| {
        while !message.is_empty() {
            let len = rustix::io::write(&to, message)
                .map_err(|e| Failure::call(format!("write(fd, {} bytes)", message.len()), &e.into()))?;
            message = message.get(len..).unwrap_or_default();
        }
        Ok(())
    }))
}

/// The reading end of a pipe or socket.
pub(crate) fn stream_reader(mut given: Given) -> Result<Box<dyn Part>, Failure> {
    let (size, from) = (given.size(), given.descriptor()?);
    let mut buffer = buffer();
    let read = move |_: usize, mut piece: &mut [u8]| {
        while !piece.is_empty() {
            let len = rustix::io::read(&from, &mut *piece)
                .map_err(|e| Failure::call(format!("read(fd, {} bytes)", piece.len()), &e.into()))?;
            if len == 0 {
                return Err(Failure::new("read(fd): the writer is gone"));
            }
            piece = piece.split_at_mut(len).1;
        }
        Ok(())
    };
    Ok(Box::new(Reader(move || sum_pieces(size, &mut buffer, &read))))
}

/// The reading end of messages that `ipc-channel` copies.
pub(crate) fn bytes_peer(given: &mut Given) -> Result<Box<dyn Part>, Failure> {
    let (to_us, from): (IpcBytesSender, IpcBytesReceiver) =
        bytes_channel().map_err(Failure::step("ipc_channel::bytes_channel"))?;
    peer::answer(given, to_us)?;
    Ok(Box::new(Reader(move || Ok(sum(&from.recv().map_err(Failure::step("IpcBytesReceiver::recv"))?)))))
}

/// The reading end of messages that `ipc-channel` puts into shared memory.
pub(crate) fn memory_peer(given: &mut Given) -> Result<Box<dyn Part>, Failure> {
    let (to_us, from): (IpcSender<IpcSharedMemory>, IpcReceiver<IpcSharedMemory>) =
        channel().map_err(Failure::step("ipc_channel::channel"))?;
    peer::answer(given, to_us)?;
    Ok(Box::new(Reader(move || Ok(sum(&from.recv().map_err(Failure::step("IpcReceiver::recv"))?)))))
}
