//! Ping-pong over `ipc-channel`.

use std::rc::Rc;

use ipc_channel::ipc::{IpcReceiver, IpcSender, channel};

use super::{peer, ping_pong_kernel};
use crate::Failure;
use crate::clock::{Clock, Subject};
use crate::measure::Entry;
use crate::orders::PartName;
use crate::parts::{Given, Part};
use crate::second_process::SecondProcess;

/// The one way.
pub(super) fn entry(other: &Rc<SecondProcess>) -> Result<Entry, Failure> {
    Ok(Entry::peer("ipc-channel", 0, ping_pong_kernel::SOCKET, ByPeer::new(other)?))
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
        self.other.answer(clock).map(drop)
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
