//! Ping-pong over `ipc-channel`.

use std::rc::Rc;

use ipc_channel::ipc::{IpcReceiver, IpcSender, channel};

use super::{peer, ping_pong_kernel};
use crate::Failure;
use crate::exchange::Exchange;
use crate::measure::Entry;
use crate::orders::PartName;
use crate::parts::{Given, Part};
use crate::second_process::SecondProcess;

/// A number over a channel, and one back over another.
pub(super) fn entry(other: &Rc<SecondProcess>) -> Result<Entry, Failure> {
    let meeting = peer::meet::<(IpcSender<u64>, IpcReceiver<u64>)>(other, PartName::PingPongPeer, 0)?;
    let (part, (there, back)) = meeting;
    let work = Exchange::new(other, part, move || {
        there.send(1).map_err(Failure::step("IpcSender::send"))?;
        back.recv().map(drop).map_err(Failure::step("IpcReceiver::recv"))
    });
    Ok(Entry::peer("ipc-channel", 0, ping_pong_kernel::SOCKET, work))
}

/// The second process of `ipc-channel`.
struct PeerThere {
    /// The way here.
    there: IpcReceiver<u64>,
    /// The way back.
    back: IpcSender<u64>,
}

/// The answering side of `ipc-channel`.
pub(crate) fn answerer(given: &mut Given) -> Result<Box<dyn Part>, Failure> {
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
