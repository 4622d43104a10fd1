//! Peers that not everybody should have to build: the feature `peers`.
//!
//! `ipc-channel` is in its questions' files, since the book needs it anyway. The two here do the same work in
//! the same turns as the rows that they stand beside. What they leave behind when they are killed (files under
//! `/dev/shm`) ends with the run where `Place::take` may mount a directory of its own over it.

mod iceoryx;
mod shared_memory;

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::measure::Entry;
use crate::parts::{Given, Part};
use crate::second_process::SecondProcess;

/// The parts of the second process.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum PeerPart {
    /// Answer words in `shared_memory`'s memory, spinning.
    SharedMemoryWords,
    /// Answer words over iceoryx2, spinning.
    IceoryxWords,
    /// Read messages of iceoryx2 where they lie.
    IceoryxMessages,
}

/// Gets ready for a part; the name that came with it says where the first process is to be met.
pub(crate) fn join(part: PeerPart, given: &mut Given) -> Result<Box<dyn Part>, Failure> {
    match part {
        PeerPart::SharedMemoryWords => shared_memory::answerer(given),
        PeerPart::IceoryxWords => iceoryx::answerer(given),
        PeerPart::IceoryxMessages => iceoryx::reader(given),
    }
}

/// Set-up of one size.
pub(crate) fn set_up(size: usize) -> Result<Vec<Entry>, Failure> {
    Ok(vec![shared_memory::set_up(size)?, iceoryx::set_up(size)?])
}

/// Ping-pong on two CPUs.
pub(crate) fn ping_pong(other: &Rc<SecondProcess>) -> Result<Vec<Entry>, Failure> {
    Ok(vec![shared_memory::ping_pong(other)?, iceoryx::ping_pong(other)?])
}

/// Throughput of one size.
pub(crate) fn throughput(other: &Rc<SecondProcess>, size: usize) -> Result<Entry, Failure> {
    iceoryx::throughput(other, size)
}
