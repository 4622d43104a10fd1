//! Handing over with `ipc-channel`: its shared memory in a message of its own.

use std::rc::Rc;

use ipc_channel::ipc::{IpcReceiver, IpcSender, IpcSharedMemory, channel};

use super::peer;
use crate::Failure;
use crate::clock::{Clock, Subject};
use crate::orders::PartName;
use crate::parts::{Given, Part};
use crate::payload::{expect_sum, pattern, sum};
use crate::second_process::SecondProcess;

/// Gives an `IpcSharedMemory` away, and is answered over a channel of the same library.
pub(super) struct PeerGiver {
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
    pub(super) fn new(other: &Rc<SecondProcess>, size: usize) -> Result<Self, Failure> {
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
        self.other.answer(clock).map(drop)
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
pub(crate) fn receiver(given: &mut Given) -> Result<Box<dyn Part>, Failure> {
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
