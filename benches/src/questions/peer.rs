//! The connection that every subject of `ipc-channel` begins with.
//!
//! Its server listens in a directory that it makes under the temporary one, and removes as soon as the
//! other side has connected. `Place::take` gives it a temporary directory that nobody else sees, where that
//! is permitted.

use ipc_channel::ipc::{IpcOneShotServer, IpcSender};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::orders::PartName;
use crate::parts::Given;
use crate::second_process::SecondProcess;

/// Gives the second process a part, and receives the channel ends that it has made for it.
pub(super) fn meet<E>(other: &SecondProcess, part: PartName, size: usize) -> Result<(usize, E), Failure>
where
    E: for<'de> Deserialize<'de> + Serialize,
{
    let (server, name) = IpcOneShotServer::new().map_err(Failure::step("an ipc-channel server"))?;
    let part = other.join_named(part, size, name)?;
    let (_, ends) = server.accept().map_err(Failure::step("accepting an ipc-channel connection"))?;
    Ok((part, ends))
}

/// The second process sends the channel ends that it has made for the first.
pub(super) fn answer<E: Serialize>(given: &mut Given, ends: E) -> Result<(), Failure> {
    let name = given.name()?;
    let sender = IpcSender::connect(name).map_err(Failure::step("connecting to an ipc-channel server"))?;
    sender.send(ends).map_err(Failure::step("sending the ends of an ipc-channel"))
}
