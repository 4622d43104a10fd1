//! Words that the kernel carries: through eventfds, pipes, sockets, and System V semaphores.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use rustix::event::{EventfdFlags, eventfd};
use rustix::pipe::{PipeFlags, pipe_with};
use sysv_shm::{Key, Operation, OwnedSemaphoreSet, SemaphoreSet, SemaphoreSetId};

use super::Group;
use crate::clock::Subject;
use crate::exchange::Exchange;
use crate::floor::system_v;
use crate::measure::Entry;
use crate::memory::Invitation;
use crate::orders::PartName;
use crate::parts::{Given, Part};
use crate::place::Place;
use crate::second_process::SecondProcess;
use crate::{Failure, Question};

/// The floor of the peer, whose channel is such a socket.
pub(super) const SOCKET: &str = "Unix socket";

/// Adds these ways to a group; their names say where both sides share a CPU.
pub(super) fn add(
    group: &mut Group,
    other: &Rc<SecondProcess>,
    place: Place,
    together: bool,
) -> Result<(), Failure> {
    let name = |apart, one| if together { one } else { apart };
    let (to, from) = (an_eventfd()?, an_eventfd()?);
    let work = by_descriptors(other, (&to, &to), (&from, &from))?;
    group.entries.push(Entry::model(name("eventfd", "eventfd, same CPU"), 0, work));
    let (to, from) = (a_pipe()?, a_pipe()?);
    let work = by_descriptors(other, (&to.1, &to.0), (&from.1, &from.0))?;
    group.entries.push(Entry::model(name("pipe", "pipe, same CPU"), 0, work));
    let (ours, theirs) = UnixStream::pair().map_err(|e| Failure::call("socketpair(AF_UNIX)", &e))?;
    let (ours, theirs) = (OwnedFd::from(ours), OwnedFd::from(theirs));
    let work = by_descriptors(other, (&ours, &theirs), (&theirs, &ours))?;
    group.entries.push(Entry::floor(name(SOCKET, "Unix socket, same CPU"), 0, work));
    let subject = name("System V semaphores", "System V semaphores, same CPU");
    if !place.private_ipc {
        let reason = "no IPC namespace of one's own: the semaphores would outlive a crash";
        group.lacks(Question::PingPong, subject, reason);
        return Ok(());
    }
    group.entries.push(Entry::floor(subject, 0, by_semaphores(other, RawSemaphores::create()?)?));
    group.entries.push(Entry::ours(subject, 0, by_semaphores(other, OurSemaphores::create()?)?));
    Ok(())
}

/// Eight bytes through one descriptor, eight back through another: eventfd, pipe, socket.
///
/// Takes copies of both ends of both ways: (where we write, where they read), (where they write, where we read).
fn by_descriptors(
    other: &Rc<SecondProcess>,
    to: (&OwnedFd, &OwnedFd),
    from: (&OwnedFd, &OwnedFd),
) -> Result<impl Subject + 'static, Failure> {
    let theirs = [to.1.as_fd(), from.0.as_fd()];
    let part = other.join(PartName::Descriptors, 0, &Invitation::default(), &theirs)?;
    let copy = |fd: &OwnedFd| fd.try_clone().map_err(|e| Failure::call("fcntl(F_DUPFD_CLOEXEC)", &e));
    let (to, from) = (copy(to.0)?, copy(from.1)?);
    Ok(Exchange::new(other, part, move || {
        write_word(&to)?;
        read_word(&from)
    }))
}

/// The second process: answers each word.
struct DescriptorsThere {
    /// Read here.
    from: OwnedFd,
    /// Written here.
    to: OwnedFd,
}

/// The answering side of descriptors.
pub(crate) fn descriptors(mut given: Given) -> Result<Box<dyn Part>, Failure> {
    Ok(Box::new(DescriptorsThere { from: given.descriptor()?, to: given.descriptor()? }))
}

impl Part for DescriptorsThere {
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

/// Two semaphores, raw or ours.
pub(crate) trait Semaphores: Sized + 'static {
    /// Whether by raw calls.
    const RAW: bool;
    /// Their number for the other side.
    fn id(&self) -> i32;
    /// Adds one.
    fn raise(&self, index: u16) -> Result<(), Failure>;
    /// Takes one away, as soon as there is one.
    fn lower(&self, index: u16) -> Result<(), Failure>;
}

/// By libc's calls; removed on drop by who has made them.
struct RawSemaphores {
    /// The set.
    id: i32,
    /// Whether it is to be removed here.
    made_here: bool,
}

impl RawSemaphores {
    fn create() -> Result<Self, Failure> {
        Ok(Self { id: system_v::create_semaphores()?, made_here: true })
    }
}

impl Drop for RawSemaphores {
    fn drop(&mut self) {
        if self.made_here {
            // Fails only when somebody else removed it, which is what we want.
            drop(system_v::remove_semaphores(self.id));
        }
    }
}

impl Semaphores for RawSemaphores {
    const RAW: bool = true;

    fn id(&self) -> i32 {
        self.id
    }

    #[inline]
    fn raise(&self, index: u16) -> Result<(), Failure> {
        system_v::operate(self.id, index, 1)
    }

    #[inline]
    fn lower(&self, index: u16) -> Result<(), Failure> {
        system_v::operate(self.id, index, -1)
    }
}

/// By `sysv-shm`.
struct OurSemaphores {
    /// The set.
    set: SemaphoreSet,
    /// Removes it on drop, where it was made here.
    _owned: Option<OwnedSemaphoreSet>,
}

impl OurSemaphores {
    fn create() -> Result<Self, Failure> {
        let owned = SemaphoreSet::create(Key::PRIVATE, 2)?.remove_on_drop();
        owned.set_all(&[0, 0])?;
        Ok(Self { set: SemaphoreSet::from_id(owned.id())?, _owned: Some(owned) })
    }
}

impl Semaphores for OurSemaphores {
    const RAW: bool = false;

    fn id(&self) -> i32 {
        self.set.id().number()
    }

    #[inline]
    fn raise(&self, index: u16) -> Result<(), Failure> {
        Ok(self.set.operate(&[Operation::add(index)])?)
    }

    #[inline]
    fn lower(&self, index: u16) -> Result<(), Failure> {
        Ok(self.set.operate(&[Operation::take(index)])?)
    }
}

/// One semaphore is raised here and lowered there, the other the other way round.
fn by_semaphores<S: Semaphores>(
    other: &Rc<SecondProcess>,
    set: S,
) -> Result<impl Subject + 'static, Failure> {
    let invitation = Invitation::received(Some(set.id()), None);
    let part = other.join(PartName::Semaphores { raw: S::RAW }, 0, &invitation, &[])?;
    Ok(Exchange::new(other, part, move || {
        set.raise(0)?;
        set.lower(1)
    }))
}

/// The second process: lowers the first, raises the second.
struct SemaphoresThere<S>(S);

impl<S: Semaphores> Part for SemaphoresThere<S> {
    fn run(&mut self, count: u64) -> Result<u64, Failure> {
        for _ in 0..count {
            self.0.lower(0)?;
            self.0.raise(1)?;
        }
        Ok(0)
    }
}

/// The answering side of semaphores.
pub(crate) fn semaphores(raw: bool, mut given: Given) -> Result<Box<dyn Part>, Failure> {
    let id = given.invitation().id.ok_or_else(|| Failure::new("semaphores were given without their id"))?;
    if raw {
        return Ok(Box::new(SemaphoresThere(RawSemaphores { id, made_here: false })));
    }
    let set = SemaphoreSet::from_id(SemaphoreSetId::new(id))?;
    Ok(Box::new(SemaphoresThere(OurSemaphores { set, _owned: None })))
}
