//! A service manager on handle 0: names for nodes, so that a process can ask for what it does not have yet.
//!
//! Handle 0 is the one handle that everybody has from the start. Whoever owns it keeps a list of names, each with
//! a handle; who asks for a name is answered with the handle, and the driver turns that into a handle of the
//! asker's own. All other handles are got from somebody who has them.
//!
//! The manager reads returns and writes commands, and knows nothing else: it runs in a [`World`](crate::world),
//! and would run on a real device. Its rules are those of Android's `servicemanager`; its calls are parcels of
//! our own.

use crate::parcel::{Parcel, Reader};
use crate::protocol::{Command, Delivered, Object, Payload, Return, TransactionData, TransactionFlags};
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// The longest name, in bytes.
pub const NAME_MAX: usize = 127;

/// The uids of one user of the device, and the first of them that belongs to an app.
const UIDS_PER_USER: u32 = 100_000;
const FIRST_APP: u32 = 10_000;

/// What the manager can be asked.
mod code {
    /// Which handle has this name?
    pub(super) const GET: u32 = 1;
    /// This name for this node.
    pub(super) const ADD: u32 = 3;
    /// Which names are there?
    pub(super) const LIST: u32 = 4;
}

/// How the manager answers, in numbers of errno(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Done = 0,
    /// The caller is an app: it can be found by nobody.
    NotPermitted = -1,
    /// Nobody has this name.
    NotFound = -2,
    /// No name that can be given, or nothing that can have one.
    BadValue = -22,
    /// No such question.
    UnknownCall = -74,
}

impl Status {
    /// The status that is written as this number.
    fn of(number: i32) -> Option<Status> {
        let all =
            [Status::Done, Status::NotPermitted, Status::NotFound, Status::BadValue, Status::UnknownCall];
        all.into_iter().find(|status| *status as i32 == number)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Done => "done",
            Status::NotPermitted => "EPERM, an app cannot add a service",
            Status::NotFound => "ENOENT, nobody has this name",
            Status::BadValue => "EINVAL, no name that can be given, or nothing that can have one",
            Status::UnknownCall => "EBADMSG, no such question",
        })
    }
}

/// The call that gives `service` a name: of handle 0.
pub fn add_service(name: &str, service: Object) -> TransactionData {
    TransactionData::new(0, code::ADD, Parcel::new().text(name).object(service).payload())
}

/// The call that asks for a name: of handle 0.
pub fn get_service(name: &str) -> TransactionData {
    TransactionData::new(0, code::GET, Parcel::new().text(name).payload())
}

/// The call that asks which names there are: of handle 0.
pub fn list_services() -> TransactionData {
    TransactionData::new(0, code::LIST, Payload::new())
}

/// What the manager's reply to [`add_service`] says.
///
/// # Errors
/// The status; [`Status::BadValue`] also for a reply that nobody can read.
pub fn added(reply: &Delivered) -> Result<(), Status> {
    done(&mut Reader::new(&reply.payload))
}

/// What the manager's reply to [`get_service`] says: a handle, or the asker's own node.
///
/// A handle lasts as long as the reply's buffer, unless it is acquired before the buffer is given back.
///
/// # Errors
/// As [`added`].
pub fn found(reply: &Delivered) -> Result<&Object, Status> {
    let mut reader = Reader::new(&reply.payload);
    done(&mut reader)?;
    reader.object().ok_or(Status::BadValue)
}

/// What the manager's reply to [`list_services`] says: the names, in order.
///
/// # Errors
/// As [`added`].
pub fn listed(reply: &Delivered) -> Result<Vec<&str>, Status> {
    let mut reader = Reader::new(&reply.payload);
    done(&mut reader)?;
    Ok(core::iter::from_fn(|| reader.text()).collect())
}

/// The status that opens every reply.
fn done(reader: &mut Reader<'_>) -> Result<(), Status> {
    match reader.number().and_then(Status::of) {
        Some(Status::Done) => Ok(()),
        other => Err(other.unwrap_or(Status::BadValue)),
    }
}

/// Whether this can be a name: 1 to [`NAME_MAX`] letters, digits, and `_`, `.`, `/`, `-`.
pub fn is_name(name: &str) -> bool {
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte);
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(may_stand)
}

/// Whether a process with this uid can add a service: the system can, apps cannot.
fn may_add(euid: u32) -> bool {
    euid % UIDS_PER_USER < FIRST_APP
}

/// A handle that has names.
#[derive(Debug)]
struct Named {
    /// What the notice of its owner's death will say.
    cookie: u64,
    /// How many names it has.
    names: usize,
}

/// The manager's list.
///
/// # Invariants
/// Every handle in `services` is in `handles`, which counts how often, and nothing else is. The manager holds each
/// of them once, strongly, and has asked once to be told of its owner's death. No cookie is used twice, so a
/// notice that comes late names nobody.
///
/// # Examples
/// ```
/// use binder_sim::driver::Translation;
/// use binder_sim::protocol::{Command, Object, ObjectFlags, Return};
/// use binder_sim::driver::Read;
/// use binder_sim::service::{ServiceManager, add_service, added};
/// use binder_sim::world::World;
///
/// let mut world: World = World::new(Translation::Deferred);
/// let [manager, server] = ["manager", "server"].map(|name| world.spawn(name));
/// for process in [manager, server] {
///     world.open_device(process)?;
///     world.mmap(process, 128 << 10)?;
/// }
/// world.set_context_manager(manager, ObjectFlags::NONE)?;
/// let mut list = ServiceManager::new();
///
/// let service = Object::binder(0x5e7, ObjectFlags::ACCEPTS_FDS);
/// world.write_read(server, vec![Command::Transaction(add_service("frames", service))], Read::NONE)?;
/// world.serve(manager, |read| list.answer(read))?;
/// let read = world.write_read(server, vec![], Read::NOW)?.expect("an answer");
/// let reply = read.returns.last().and_then(Return::delivered).expect("a reply");
/// assert_eq!(added(reply), Ok(()));
/// assert_eq!(list.names().collect::<Vec<_>>(), ["frames"]);
/// # Ok::<(), binder_sim::error::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct ServiceManager {
    /// The handle behind each name.
    services: BTreeMap<String, u32>,
    /// What is known of each handle.
    handles: BTreeMap<u32, Named>,
    /// The last cookie that was used.
    last_cookie: u64,
}

impl ServiceManager {
    /// An empty list.
    pub fn new() -> ServiceManager {
        ServiceManager::default()
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// What to write to the driver after reading this.
    pub fn answer(&mut self, read: &Return) -> Vec<Command> {
        match *read {
            Return::Transaction(ref call) => self.called(call),
            Return::Reply(ref reply) => vec![Command::FreeBuffer(reply.buffer)],
            Return::DeadBinder(cookie) => self.died(cookie),
            Return::IncRefs { ptr, cookie } => vec![Command::IncRefsDone { ptr, cookie }],
            Return::Acquire { ptr, cookie } => vec![Command::AcquireDone { ptr, cookie }],
            _ => Vec::new(),
        }
    }

    /// Somebody asks. What has to be kept is acquired before the buffer that brought it is given back.
    fn called(&mut self, call: &Delivered) -> Vec<Command> {
        let mut commands = Vec::new();
        let mut reader = Reader::new(&call.payload);
        let answer = match call.code {
            code::GET => self.get(&mut reader),
            code::ADD => {
                self.add(&mut reader, call.sender_euid, &mut commands).map(|()| Parcel::new().number(0))
            }
            code::LIST => Ok(self.names().fold(Parcel::new().number(0), Parcel::text)),
            _ => Err(Status::UnknownCall),
        };
        commands.push(Command::FreeBuffer(call.buffer));
        if !call.flags.contains(TransactionFlags::ONE_WAY) {
            let answer = answer.unwrap_or_else(|status| Parcel::new().number(status as i32));
            let reply = TransactionData::new(0, 0, answer.payload()).flags(TransactionFlags::NONE);
            commands.push(Command::Reply(reply));
        }
        commands
    }

    /// Which handle has this name?
    fn get(&self, reader: &mut Reader<'_>) -> Result<Parcel, Status> {
        let name = reader.text().ok_or(Status::BadValue)?;
        let handle = *self.services.get(name).ok_or(Status::NotFound)?;
        Ok(Parcel::new().number(Status::Done as i32).object(Object::handle(handle)))
    }

    /// This name for this node. Who had the name before has it no longer.
    fn add(&mut self, reader: &mut Reader<'_>, euid: u32, commands: &mut Vec<Command>) -> Result<(), Status> {
        if !may_add(euid) {
            return Err(Status::NotPermitted);
        }
        let name = reader.text().filter(|name| is_name(name)).ok_or(Status::BadValue)?;
        let Some(&Object::Handle { handle, strong: true, .. }) = reader.object() else {
            return Err(Status::BadValue);
        };
        if self.services.get(name) == Some(&handle) {
            return Ok(());
        }
        self.hold(handle, commands);
        if let Some(old) = self.services.insert(name.to_owned(), handle) {
            self.let_go(old, commands);
        }
        Ok(())
    }

    /// One more name for a handle.
    fn hold(&mut self, handle: u32, commands: &mut Vec<Command>) {
        let cookie = self.last_cookie + 1;
        let named = self.handles.entry(handle).or_insert(Named { cookie, names: 0 });
        if named.names == 0 {
            self.last_cookie = cookie;
            commands.extend([Command::Acquire(handle), Command::RequestDeathNotification { handle, cookie }]);
        }
        // INVARIANT: the caller puts the handle under one more name.
        named.names += 1;
    }

    /// One name less for a handle.
    fn let_go(&mut self, handle: u32, commands: &mut Vec<Command>) {
        let Some(named) = self.handles.get_mut(&handle) else { return };
        // INVARIANT: the caller has taken the handle from under a name.
        named.names -= 1;
        if named.names == 0 {
            // Taken back before the handle is: somebody else's buffer may keep it alive, and the notice with it.
            let cookie = named.cookie;
            commands.extend([Command::ClearDeathNotification { handle, cookie }, Command::Release(handle)]);
            self.handles.remove(&handle);
        }
    }

    /// The owner of a handle has died: its names go. A notice is answered even if it comes too late.
    fn died(&mut self, cookie: u64) -> Vec<Command> {
        let mut commands = vec![Command::DeadBinderDone(cookie)];
        let dead = self.handles.iter().find(|(_, named)| named.cookie == cookie).map(|(&handle, _)| handle);
        if let Some(handle) = dead {
            self.services.retain(|_, other| *other != handle);
            self.handles.remove(&handle);
            commands.push(Command::Release(handle));
        }
        commands
    }
}
