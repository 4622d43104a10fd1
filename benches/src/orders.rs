//! What the two processes say to each other outside the measured work.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{RecvFlags, SendFlags, recv, send};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::floor::socket;
use crate::memory::ModelId;
use crate::questions::hand_over::{By, Way};
use crate::questions::ping_pong::Waiting;
use crate::usage::Usage;

/// The second process is told to do something, and answers when it is done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Get ready for a part; the answer is 0. As many messages with a descriptor follow as `descriptors`
    /// says.
    Join(Join),
    /// Play the part `count` times; the answer is the sum of what was read, where something is.
    Run {
        /// Which part: they are counted in the order of the joining.
        part: usize,
        /// How often.
        count: u64,
    },
}

/// A part, and what is needed for it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Join {
    /// The part.
    pub(crate) part: PartName,
    /// Bytes of a message or region.
    pub(crate) size: usize,
    /// The id of a segment.
    pub(crate) id: Option<i32>,
    /// The name under which a peer's server, memory or service is found.
    pub(crate) name: Option<String>,
    /// Descriptors that follow.
    pub(crate) descriptors: usize,
}

/// The parts of the second process.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum PartName {
    /// Hold a region, filled, so that it is somebody else's.
    Hold,
    /// Be given a region again and again, read all of it, answer.
    TakeOver {
        /// How it is given, and how it is read.
        way: Way,
        /// Who does the work.
        by: By,
    },
    /// The same over `ipc-channel`.
    TakeOverPeer,
    /// Answer words in shared memory.
    Words(ModelId, Waiting),
    /// Answer a semaphore by another.
    Semaphores {
        /// Whether by raw calls.
        raw: bool,
    },
    /// Answer words from one descriptor by words to another.
    Descriptors,
    /// Answer words over `ipc-channel`.
    PingPongPeer,
    /// Read messages from a ring in shared memory.
    Ring(ModelId),
    /// Read messages that are regions.
    Passed {
        /// Whether by raw calls.
        raw: bool,
        /// Whether the sender waits to be told that a region was read.
        recycled: bool,
    },
    /// Read messages in a ring where they lie.
    InPlace {
        /// Whether by raw calls.
        raw: bool,
    },
    /// Read messages from a descriptor.
    Stream,
    /// Read messages that `ipc-channel` copies.
    BytesPeer,
    /// Read messages that `ipc-channel` puts into shared memory.
    MemoryPeer,
    /// A part of another peer.
    #[cfg(feature = "peers")]
    Peer(crate::peers::PeerPart),
}

/// More than any order is long.
const LONGEST: usize = 4096;

/// Sends an order, and the descriptors that go with it.
pub(crate) fn send_order(
    control: BorrowedFd<'_>,
    order: &Order,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), Failure> {
    let text = serde_json::to_vec(order).map_err(Failure::step("writing an order"))?;
    send(control, &text, SendFlags::NOSIGNAL)
        .map_err(|e| Failure::call("send(control, an order)", &e.into()))?;
    descriptors.iter().try_for_each(|fd| socket::send_descriptor(control, *fd))
}

/// Receives an order; none when the other side is gone.
pub(crate) fn receive_order(control: BorrowedFd<'_>) -> Result<Option<(Order, Vec<OwnedFd>)>, Failure> {
    let mut text = [0; LONGEST];
    let (_, len) = recv(control, text.as_mut_slice(), RecvFlags::empty())
        .map_err(|e| Failure::call("recv(control, an order)", &e.into()))?;
    if len == 0 {
        return Ok(None);
    }
    let text = text.get(..len).ok_or_else(|| Failure::new("an order longer than any order"))?;
    let order: Order = serde_json::from_slice(text).map_err(Failure::step("reading an order"))?;
    let descriptors = match &order {
        Order::Join(join) => join.descriptors,
        Order::Run { .. } => 0,
    };
    let descriptors =
        (0..descriptors).map(|_| socket::receive_descriptor(control)).collect::<Result<_, _>>()?;
    Ok(Some((order, descriptors)))
}

/// What the second process says when it has done what it was told.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The sum of what was read, where something was.
    pub(crate) sum: u64,
    /// What it has used up for it.
    pub(crate) usage: Usage,
}

/// Answers an order.
pub(crate) fn send_answer(control: impl AsFd, answer: Answer) -> Result<(), Failure> {
    let text = serde_json::to_vec(&answer).map_err(Failure::step("writing an answer"))?;
    send(control, &text, SendFlags::NOSIGNAL)
        .map(drop)
        .map_err(|e| Failure::call("send(control, an answer)", &e.into()))
}

/// Waits for the answer to an order.
pub(crate) fn receive_answer(control: impl AsFd) -> Result<Answer, Failure> {
    let mut text = [0; LONGEST];
    let (_, len) = recv(control, text.as_mut_slice(), RecvFlags::empty())
        .map_err(|e| Failure::call("recv(control, an answer)", &e.into()))?;
    match text.get(..len) {
        Some(text) if len > 0 => serde_json::from_slice(text).map_err(Failure::step("reading an answer")),
        _ => Err(Failure::new("the second process ended without an answer; what it said stands above")),
    }
}
