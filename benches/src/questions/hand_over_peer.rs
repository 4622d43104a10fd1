//! Handing over with `ipc-channel`: its shared memory in a message of its own.

use std::rc::Rc;

use ipc_channel::ipc::{IpcReceiver, IpcSender, IpcSharedMemory, channel};

use super::peer;
use crate::Failure;
use crate::clock::Subject;
use crate::exchange::Exchange;
use crate::orders::PartName;
use crate::parts::{Given, Part};
use crate::payload::{expect_sum, pattern, sum};
use crate::second_process::SecondProcess;

/// Gives an `IpcSharedMemory` away, and is answered over a channel of the same library.
pub(super) fn giver(other: &Rc<SecondProcess>, size: usize) -> Result<impl Subject + 'static, Failure> {
    let bytes = pattern(size);
    let meeting =
        peer::meet::<(IpcSender<IpcSharedMemory>, IpcReceiver<u64>)>(other, PartName::TakeOverPeer, size)?;
    let (part, (there, back)) = meeting;
    let (memory, sum) = (IpcSharedMemory::from_bytes(&bytes), sum(&bytes));
    Ok(Exchange::new(other, part, move || {
        // The only way to send it and keep it: the library duplicates the descriptor and the mapping for each
        // message.
        there.send(memory.clone()).map_err(Failure::step("IpcSender::send"))?;
        expect_sum(back.recv().map_err(Failure::step("IpcReceiver::recv"))?, sum)
    }))
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
