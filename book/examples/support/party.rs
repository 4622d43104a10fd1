//! A process that has memory, and does with it what it is told: this program, started again.
//!
//! Whoever watches tells it one thing at a time and reads the counters in between. It has no memory of its
//! own in the game: a descriptor passes through its hands to the other party, and is closed at once.

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::str;

use fd_shm::{Mapping, Region, scm_rights};
use rustix::param::page_size;
use rustix::thread::disable_transparent_huge_pages;
use sysv_shm::{Attachment, Key, Segment, SegmentId};

#[path = "reaped.rs"]
mod reaped;
use reaped::Reaped;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// As much as all of them share, in bytes.
pub(crate) const SIZE: usize = 64 << 20;

/// What the watcher has of a party, which is killed and reaped with it.
#[derive(Debug)]
pub(crate) struct Party {
    process: Reaped,
    /// Closed, it is the end of all orders.
    socket: UnixStream,
}

/// How the other party gets at a memory: by an id, or by a descriptor.
#[derive(Debug)]
pub(crate) struct Handle(String, Option<OwnedFd>);

impl Party {
    /// Starts one, which has nothing yet.
    pub(crate) fn start() -> Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let child = Command::new("/proc/self/exe").arg("party").stdin(OwnedFd::from(theirs)).spawn()?;
        Ok(Self { process: Reaped(child), socket })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Has it do something, and waits until it is done; an error if it cannot, or has ended.
    pub(crate) fn does(&self, order: &str) -> Result<()> {
        self.ask(order, None).map(drop)
    }

    /// Has it make a memory of that model, and map it.
    pub(crate) fn makes(&self, model: &str) -> Result<Handle> {
        self.ask(&format!("make {model}"), None)
    }

    /// Has it map what another has made.
    pub(crate) fn maps(&self, Handle(name, descriptor): &Handle) -> Result<()> {
        self.ask(&format!("take {name}"), descriptor.as_ref()).map(drop)
    }

    /// Has it do something that it may not survive: how it ended, if it did.
    pub(crate) fn tries(self, order: &str) -> Result<std::result::Result<Self, String>> {
        match self.does(order) {
            Ok(()) => Ok(Ok(self)),
            Err(_) => Ok(Err(self.ends()?)),
        }
    }

    /// Lets it end, and says how it did.
    pub(crate) fn ends(self) -> Result<String> {
        let Self { mut process, socket } = self;
        drop(socket);
        let status = process.0.wait()?;
        match (status.signal(), status.success()) {
            (Some(libc::SIGKILL), _) => Ok("is killed".into()),
            (_, true) => Ok("ends".into()),
            _ => Err(format!("a party failed: {status}").into()),
        }
    }

    /// Kills it, and waits until it is gone.
    pub(crate) fn dies(self) {
        drop(self);
    }

    fn ask(&self, order: &str, descriptor: Option<&OwnedFd>) -> Result<Handle> {
        let descriptors: Vec<_> = descriptor.into_iter().map(AsFd::as_fd).collect();
        scm_rights::send(&self.socket, order.as_bytes(), &descriptors)?;
        let mut said = [0; 64];
        let mut answer = scm_rights::receive(&self.socket, &mut said, 1)?;
        Ok(Handle(str::from_utf8(&said[..answer.len])?.to_owned(), answer.descriptors.pop()))
    }
}

/// The memory of a party.
#[derive(Debug, Default)]
enum Memory {
    #[default]
    None,
    Malloc(Vec<u8>),
    SystemV(Segment, Attachment),
    Memfd(Box<(Region, Mapping)>),
}

impl Memory {
    /// Does as it is told, and says what the other party needs to know of it.
    fn obey(&mut self, order: &str, descriptor: Option<OwnedFd>) -> Result<(String, Option<OwnedFd>)> {
        let mut handle = ("done".to_owned(), None);
        match (order.split_once(' ').ok_or("an order of one word")?, descriptor) {
            (("make" | "take", "malloc"), None) => *self = Self::Malloc(black_box(Vec::with_capacity(SIZE))),
            (("make", "System V"), None) => {
                let segment = Segment::create(Key::PRIVATE, SIZE)?;
                handle.0 = segment.id().to_string();
                *self = Self::SystemV(segment, segment.attach()?);
            }
            (("make", "memfd"), None) => {
                let region = Region::create("paid for", SIZE)?;
                handle = ("memfd".into(), Some(region.try_clone()?.into()));
                let mapping = region.map()?;
                *self = Self::Memfd(Box::new((region, mapping)));
            }
            (("take", "memfd"), Some(descriptor)) => {
                let region = Region::from_fd(descriptor)?;
                let mapping = region.map()?;
                *self = Self::Memfd(Box::new((region, mapping)));
            }
            (("take", id), None) => {
                let segment = Segment::from(SegmentId::new(id.parse()?));
                *self = Self::SystemV(segment, segment.attach()?);
            }
            (("remove", "it"), None) => match self {
                Self::SystemV(segment, _) => segment.remove()?,
                _ => return Err("only a segment is removed".into()),
            },
            (("write", which), None) => pages(which)?.try_for_each(|page| self.write(page))?,
            (("read", which), None) => pages(which)?.try_for_each(|page| self.read(page))?,
            _ => return Err(format!("what is \"{order}\"?").into()),
        }
        Ok(handle)
    }

    fn write(&mut self, page: usize) -> Result<()> {
        match self {
            Self::None => return Err("there is nothing to write to".into()),
            Self::Malloc(memory) => {
                black_box(memory.spare_capacity_mut()[page].write(1));
            }
            Self::SystemV(_, attached) => attached.copy_in(page, &[1])?,
            Self::Memfd(memory) => memory.1.copy_in(page, &[1])?,
        }
        Ok(())
    }

    /// A copy, and no load that a compiler could find out to be useless.
    fn read(&self, page: usize) -> Result<()> {
        let mut byte = [0];
        match self {
            Self::SystemV(_, attached) => attached.copy_out(page, &mut byte)?,
            Self::Memfd(memory) => memory.1.copy_out(page, &mut byte)?,
            Self::None | Self::Malloc(_) => return Err("there is nothing to read that was written".into()),
        }
        Ok(())
    }
}

/// The offsets of some of the pages.
fn pages(which: &str) -> Result<impl Iterator<Item = usize>> {
    let (end, step) = match which {
        "all" => (SIZE, 1),
        "half" => (SIZE / 2, 1),
        "eighth" => (SIZE / 8, 1),
        "alternate" => (SIZE, 2),
        _ => return Err(format!("which pages are \"{which}\"?").into()),
    };
    Ok((0..end).step_by(step * page_size()))
}

/// The role of a party: obeys until nobody is there to tell it anything.
pub(crate) fn party() -> Result<()> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // A page is a page, whatever this machine makes of large stretches; and should the machine itself run
    // short, nobody else has to go first.
    disable_transparent_huge_pages(true)?;
    fs::write("/proc/self/oom_score_adj", "1000")?;
    let mut memory = Memory::default();
    loop {
        let mut order = [0; 64];
        let mut message = match scm_rights::receive(&socket, &mut order, 1) {
            Err(ended) if ended.is_end_of_stream() => return Ok(()),
            message => message?,
        };
        let order = str::from_utf8(&order[..message.len])?;
        let (said, descriptor) = memory.obey(order, message.descriptors.pop())?;
        let descriptors: Vec<_> = descriptor.iter().map(AsFd::as_fd).collect();
        scm_rights::send(&socket, said.as_bytes(), &descriptors)?;
    }
}
