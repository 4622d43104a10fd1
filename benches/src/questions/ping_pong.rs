//! How long does a word take to go there and back?
//!
//! The round trip of a word that cannot be sent before the last one has come back: a closed loop, which
//! shows what one exchange costs and nothing about load. Shared memory says nothing about waiting; each way
//! of waiting is a subject.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use ipc_channel::ipc::{IpcReceiver, IpcSender, channel};
use rustix::event::{EventfdFlags, eventfd};
use rustix::pipe::{PipeFlags, pipe_with};

use super::peer;
use crate::clock::{Clock, Subject};
use crate::measure::Entry;
use crate::memory::{Invitation, Memory, Model, ModelId, with_model};
use crate::orders::PartName;
use crate::parts::{Given, Part};
use crate::second_process::SecondProcess;
use crate::{Failure, spin};

/// All ways of waiting.
pub(super) fn entries(other: &Rc<SecondProcess>) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    for waiting in [Waiting::Spin, Waiting::Futex] {
        for model in [ModelId::RawSystemV, ModelId::SystemV, ModelId::RawMemfd, ModelId::Memfd] {
            entries.push(with_model!(model, M => in_memory::<M>(other, waiting)?));
        }
    }
    let (to, from) = (an_eventfd()?, an_eventfd()?);
    entries.push(Entry::model("eventfd", 0, ByDescriptors::new(other, (&to, &to), (&from, &from))?));
    let (to, from) = (a_pipe()?, a_pipe()?);
    entries.push(Entry::model("pipe", 0, ByDescriptors::new(other, (&to.1, &to.0), (&from.1, &from.0))?));
    let (ours, theirs) = UnixStream::pair().map_err(|e| Failure::call("socketpair(AF_UNIX)", &e))?;
    let (ours, theirs) = (OwnedFd::from(ours), OwnedFd::from(theirs));
    let socket = ByDescriptors::new(other, (&ours, &theirs), (&theirs, &ours))?;
    // Nothing of ours is held against it; it is the floor of the peer, whose channel is such a socket.
    entries.push(Entry::floor(SOCKET, 0, socket));
    entries.push(Entry::peer("ipc-channel", 0, SOCKET, ByPeer::new(other)?));
    Ok(entries)
}

/// The floor of the peer.
const SOCKET: &str = "Unix socket";

/// How a side waits for the word of the other.
#[derive(Debug, Clone, Copy)]
enum Waiting {
    /// Looks again and again.
    Spin,
    /// Sleeps in the kernel until woken.
    Futex,
}

impl Waiting {
    /// Says `number` and waits for it to come back, or the other way round.
    #[inline]
    fn say(self, memory: &impl Memory, word: &AtomicU32, number: u32) {
        // Release: what was written before it is seen by who hears it. Pairs with the acquire loads in
        // `hear`.
        word.store(number, Ordering::Release);
        if let Self::Futex = self {
            memory.wake(word);
        }
    }

    /// Waits until the word is `number`.
    #[inline]
    fn hear(self, memory: &impl Memory, word: &AtomicU32, number: u32) {
        match self {
            Self::Spin => spin::until(|| word.load(Ordering::Acquire) == number),
            Self::Futex => loop {
                let seen = word.load(Ordering::Acquire);
                if seen == number {
                    return;
                }
                memory.wait(word, seen);
            },
        }
    }

    fn part(self, model: ModelId) -> PartName {
        match self {
            Self::Spin => PartName::Spin(model),
            Self::Futex => PartName::Futex(model),
        }
    }

    fn subject(self, model: ModelId) -> &'static str {
        match (self, model.is_system_v()) {
            (Self::Spin, true) => "System V, spinning",
            (Self::Spin, false) => "memfd, spinning",
            (Self::Futex, true) => "System V, futex",
            (Self::Futex, false) => "memfd, futex",
        }
    }
}

fn in_memory<M: Model>(other: &Rc<SecondProcess>, waiting: Waiting) -> Result<Entry, Failure> {
    let (memory, invitation) = M::create(0)?;
    let part = other.join(waiting.part(M::ID), 0, &invitation, &[])?;
    let work = InMemory { other: Rc::clone(other), part, memory, waiting, said: 0 };
    let subject = waiting.subject(M::ID);
    Ok(match M::ID.role() {
        crate::Role::Floor => Entry::floor(subject, 0, work),
        _ => Entry::ours(subject, 0, work),
    })
}

/// Both words are counted up from 0; each side knows what it has said last.
struct InMemory<M> {
    /// Where the answering side is.
    other: Rc<SecondProcess>,
    /// The answering side.
    part: usize,
    /// The words.
    memory: M,
    /// How to wait for them.
    waiting: Waiting,
    /// The last word said.
    said: u32,
}

impl<M: Memory> InMemory<M> {
    #[inline]
    fn there_and_back(&mut self) {
        self.said = self.said.wrapping_add(1);
        let head = self.memory.head();
        self.waiting.say(&self.memory, &head.first, self.said);
        self.waiting.hear(&self.memory, &head.second, self.said);
    }
}

impl<M: Memory> Subject for InMemory<M> {
    fn run(&mut self, count: u64, clock: &mut Clock) -> Result<(), Failure> {
        self.other.run(self.part, count + 1)?;
        self.there_and_back(); // waits until the other side is there
        clock.start();
        for _ in 0..count {
            self.there_and_back();
            clock.tick();
        }
        self.other.answer().map(drop)
    }
}

/// The second process: says what it has heard.
struct InMemoryThere<M> {
    /// The words.
    memory: M,
    /// How to wait for them.
    waiting: Waiting,
    /// The last word heard.
    heard: u32,
}

impl<M: Memory> Part for InMemoryThere<M> {
    fn run(&mut self, count: u64) -> Result<u64, Failure> {
        let head = self.memory.head();
        for _ in 0..count {
            self.heard = self.heard.wrapping_add(1);
            self.waiting.hear(&self.memory, &head.first, self.heard);
            self.waiting.say(&self.memory, &head.second, self.heard);
        }
        Ok(0)
    }
}

/// The answering side that spins.
pub(crate) fn spinner(model: ModelId, given: Given) -> Result<Box<dyn Part>, Failure> {
    there(model, Waiting::Spin, given)
}

/// The answering side that sleeps.
pub(crate) fn sleeper(model: ModelId, given: Given) -> Result<Box<dyn Part>, Failure> {
    there(model, Waiting::Futex, given)
}

fn there(model: ModelId, waiting: Waiting, mut given: Given) -> Result<Box<dyn Part>, Failure> {
    let invitation = given.invitation();
    with_model!(model, M => {
        Ok(Box::new(InMemoryThere { memory: M::join(invitation, 0)?, waiting, heard: 0 }))
    })
}

/// Eight bytes through one descriptor, eight back through another: eventfd, pipe, socket.
struct ByDescriptors {
    /// Where the answering side is.
    other: Rc<SecondProcess>,
    /// The answering side.
    part: usize,
    /// Written here.
    to: OwnedFd,
    /// Read here.
    from: OwnedFd,
}

impl ByDescriptors {
    /// Takes copies of both ends of both ways: (where we write, where they read), (where they write, where
    /// we read).
    fn new(
        other: &Rc<SecondProcess>,
        to: (&OwnedFd, &OwnedFd),
        from: (&OwnedFd, &OwnedFd),
    ) -> Result<Self, Failure> {
        let theirs = [to.1.as_fd(), from.0.as_fd()];
        let part = other.join(PartName::Descriptors, 0, &Invitation::default(), &theirs)?;
        let copy = |fd: &OwnedFd| fd.try_clone().map_err(|e| Failure::call("fcntl(F_DUPFD_CLOEXEC)", &e));
        Ok(Self { other: Rc::clone(other), part, to: copy(to.0)?, from: copy(from.1)? })
    }

    fn there_and_back(&self) -> Result<(), Failure> {
        write_word(&self.to)?;
        read_word(&self.from)
    }
}

impl Subject for ByDescriptors {
    fn run(&mut self, count: u64, clock: &mut Clock) -> Result<(), Failure> {
        self.other.run(self.part, count + 1)?;
        self.there_and_back()?;
        clock.start();
        for _ in 0..count {
            self.there_and_back()?;
            clock.tick();
        }
        self.other.answer().map(drop)
    }
}

/// The second process: answers each word.
struct ByDescriptorsThere {
    /// Read here.
    from: OwnedFd,
    /// Written here.
    to: OwnedFd,
}

/// The answering side of descriptors.
pub(crate) fn descriptors(mut given: Given) -> Result<Box<dyn Part>, Failure> {
    Ok(Box::new(ByDescriptorsThere { from: given.descriptor()?, to: given.descriptor()? }))
}

impl Part for ByDescriptorsThere {
    fn run(&mut self, count: u64) -> Result<u64, Failure> {
        for _ in 0..count {
            read_word(&self.from)?;
            write_word(&self.to)?;
        }
        Ok(0)
    }
}

/// A 1, which an eventfd adds to its counter and a pipe or socket carries.
fn write_word(to: &OwnedFd) -> Result<(), Failure> {
    let word = 1_u64.to_ne_bytes();
    let len = rustix::io::write(to, &word).map_err(|e| Failure::call("write(fd, 8 bytes)", &e.into()))?;
    if len == word.len() { Ok(()) } else { Err(Failure::new("write(fd, 8 bytes): only a part was written")) }
}

fn read_word(from: &OwnedFd) -> Result<(), Failure> {
    let mut word = [0; 8];
    let len = rustix::io::read(from, &mut word).map_err(|e| Failure::call("read(fd, 8 bytes)", &e.into()))?;
    if len == word.len() { Ok(()) } else { Err(Failure::new("read(fd, 8 bytes): the other side is gone")) }
}

fn an_eventfd() -> Result<OwnedFd, Failure> {
    eventfd(0, EventfdFlags::CLOEXEC).map_err(|e| Failure::call("eventfd(0)", &e.into()))
}

/// (reading end, writing end)
fn a_pipe() -> Result<(OwnedFd, OwnedFd), Failure> {
    pipe_with(PipeFlags::CLOEXEC).map_err(|e| Failure::call("pipe2(O_CLOEXEC)", &e.into()))
}

/// A number over `ipc-channel`, and one back.
struct ByPeer {
    /// Where the answering side is.
    other: Rc<SecondProcess>,
    /// The answering side.
    part: usize,
    /// The way there.
    there: IpcSender<u64>,
    /// The way back.
    back: IpcReceiver<u64>,
}

impl ByPeer {
    fn new(other: &Rc<SecondProcess>) -> Result<Self, Failure> {
        let (part, (there, back)) = peer::meet(other, PartName::PingPongPeer, 0)?;
        Ok(Self { other: Rc::clone(other), part, there, back })
    }

    fn there_and_back(&self) -> Result<(), Failure> {
        self.there.send(1).map_err(Failure::step("IpcSender::send"))?;
        self.back.recv().map(drop).map_err(Failure::step("IpcReceiver::recv"))
    }
}

impl Subject for ByPeer {
    fn run(&mut self, count: u64, clock: &mut Clock) -> Result<(), Failure> {
        self.other.run(self.part, count + 1)?;
        self.there_and_back()?;
        clock.start();
        for _ in 0..count {
            self.there_and_back()?;
            clock.tick();
        }
        self.other.answer().map(drop)
    }
}

/// The second process of `ipc-channel`.
struct PeerThere {
    /// The way here.
    there: IpcReceiver<u64>,
    /// The way back.
    back: IpcSender<u64>,
}

/// The answering side of `ipc-channel`.
pub(crate) fn peer(given: &mut Given) -> Result<Box<dyn Part>, Failure> {
    let (to_us, there) = channel::<u64>().map_err(Failure::step("ipc_channel::channel"))?;
    let (back, from_us) = channel::<u64>().map_err(Failure::step("ipc_channel::channel"))?;
    peer::answer(given, (to_us, from_us))?;
    Ok(Box::new(PeerThere { there, back }))
}

impl Part for PeerThere {
    fn run(&mut self, count: u64) -> Result<u64, Failure> {
        for _ in 0..count {
            let number = self.there.recv().map_err(Failure::step("IpcReceiver::recv"))?;
            self.back.send(number).map_err(Failure::step("IpcSender::send"))?;
        }
        Ok(0)
    }
}
