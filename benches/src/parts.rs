//! The parts that the second process plays: each is the other half of a subject, in the file of its question.

use std::os::fd::OwnedFd;

use crate::Failure;
use crate::memory::Invitation;
use crate::orders::{Join, PartName};
use crate::questions::{
    hand_over, hand_over_peer, in_place, joining, passing, ping_pong, ping_pong_kernel, ping_pong_peer,
    throughput,
};

/// The other half of a subject.
pub(crate) trait Part {
    /// Plays it `count` times; the sum of what was read, where something is read, and otherwise 0.
    fn run(&mut self, count: u64) -> Result<u64, Failure>;
}

/// Gets ready for a part.
pub(crate) fn join(join: Join, descriptors: Vec<OwnedFd>) -> Result<Box<dyn Part>, Failure> {
    let mut given = Given { join, descriptors: descriptors.into_iter() };
    match given.join.part {
        PartName::Hold => joining::hold_part(given),
        PartName::TakeOver { way, by } => hand_over::receiver(way, by, given),
        PartName::TakeOverPeer => hand_over_peer::receiver(&mut given),
        PartName::Words(model, waiting) => ping_pong::answerer(model, waiting, given),
        PartName::Semaphores { raw } => ping_pong_kernel::semaphores(raw, given),
        PartName::Descriptors => ping_pong_kernel::descriptors(given),
        PartName::PingPongPeer => ping_pong_peer::answerer(&mut given),
        PartName::Ring(model) => throughput::ring_reader(model, given),
        PartName::Passed { raw, recycled } => passing::receiver(raw, recycled, given),
        PartName::InPlace { raw } => in_place::reader(raw, given),
        PartName::Stream => throughput::stream_reader(given),
        PartName::BytesPeer => throughput::bytes_peer(&mut given),
        PartName::MemoryPeer => throughput::memory_peer(&mut given),
        #[cfg(feature = "peers")]
        PartName::Peer(part) => crate::peers::join(part, &mut given),
    }
}

/// What came with a part.
pub(crate) struct Given {
    /// The order.
    join: Join,
    /// The descriptors that followed it and have not been taken yet.
    descriptors: std::vec::IntoIter<OwnedFd>,
}

impl Given {
    /// Bytes of a message or region.
    pub(crate) fn size(&self) -> usize {
        self.join.size
    }

    /// The next descriptor.
    pub(crate) fn descriptor(&mut self) -> Result<OwnedFd, Failure> {
        self.descriptors.next().ok_or_else(|| Failure::new("a part was given without its descriptor"))
    }

    /// The way into a memory.
    pub(crate) fn invitation(&mut self) -> Invitation {
        let fd = if self.join.id.is_some() { None } else { self.descriptors.next() };
        Invitation::received(self.join.id, fd)
    }

    /// The name under which the peer's other side is found.
    pub(crate) fn name(&mut self) -> Result<String, Failure> {
        self.join.name.take().ok_or_else(|| Failure::new("a part was given without its name"))
    }
}
