//! The four memories that ping-pong and the ring are played on: System V and memfd, raw and ours.
//!
//! The games are written once, over [`Memory`]; compiled for each of the four, they differ in nothing but
//! how the memory is reached. So a ratio is the price of our library, not that of another loop.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, AtomicU64};

use fd_shm::{Mapping, Region};
use rustix::thread::futex::{self, Flags};
use serde::{Deserialize, Serialize};
use sysv_shm::{Attachment, Key, OwnedSegment, Segment, SegmentId};

use crate::Failure;
use crate::floor::memory::RawMemory;
use crate::floor::{self, memfd, system_v};
use crate::report::Role;

/// A word, and whether somebody sleeps on it, in a cache line of their own.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Line {
    /// The word.
    pub(crate) word: AtomicU32,
    /// 1 while somebody sleeps on the word, or is about to; used by those who only then wake.
    pub(crate) sleeps: AtomicU32,
    /// Keeps the next line apart.
    apart: [AtomicU32; 14],
}

/// The words at the beginning: the two sides write one each.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Head {
    /// Written by the process that measures.
    pub(crate) first: Line,
    /// Written by the second process.
    pub(crate) second: Line,
}

sysv_shm::shareable!(Line { word: AtomicU32, sleeps: AtomicU32, apart: [AtomicU32; 14] });
sysv_shm::shareable!(Head { first: Line, second: Line });
fd_shm::shareable!(Line { word: AtomicU32, sleeps: AtomicU32, apart: [AtomicU32; 14] });
fd_shm::shareable!(Head { first: Line, second: Line });

/// Memory that begins with two words, mapped by two processes.
pub(crate) trait Words {
    /// The words.
    fn head(&self) -> &Head;
}

/// The same with room for data, which is copied in and out.
pub(crate) trait Memory: Words {
    /// Copies into the room behind the words.
    fn put(&self, offset: usize, from: &[u8]) -> Result<(), Failure>;
    /// Copies out of the room behind the words.
    fn get(&self, offset: usize, into: &mut [u8]) -> Result<(), Failure>;
    /// Sleeps while the word is `seen`; may return for no reason.
    fn wait(&self, word: &AtomicU32, seen: u32);
    /// Wakes who sleeps on the word.
    fn wake(&self, word: &AtomicU32);
}

/// How the second process gets in; dropping it closes the way.
#[derive(Debug, Default)]
pub(crate) struct Invitation {
    /// The segment's id, for System V.
    pub(crate) id: Option<i32>,
    /// The descriptor, for memfd.
    pub(crate) fd: Option<OwnedFd>,
    /// Marks the segment for destruction when dropped: it then ends with its last attachment.
    _removal: Option<Removal>,
}

/// Who removes a segment.
#[derive(Debug)]
#[allow(dead_code)] // held for what dropping them does
enum Removal {
    /// `IPC_RMID` by a raw call.
    Raw(RawSegment),
    /// `sysv-shm` does.
    Ours(OwnedSegment),
}

impl Invitation {
    /// What a message brought.
    pub(crate) fn received(id: Option<i32>, fd: Option<OwnedFd>) -> Self {
        Self { id, fd, _removal: None }
    }

    fn id(&self) -> Result<i32, Failure> {
        self.id.ok_or_else(|| Failure::new("an invitation to a segment without its id"))
    }

    fn into_fd(self) -> Result<OwnedFd, Failure> {
        self.fd.ok_or_else(|| Failure::new("an invitation to a memfd without its descriptor"))
    }
}

/// A segment made by raw calls, removed on drop.
#[derive(Debug)]
pub(crate) struct RawSegment(pub(crate) i32);

impl Drop for RawSegment {
    fn drop(&mut self) {
        // Fails only when somebody else removed it, which is what we want.
        drop(system_v::remove(self.0));
    }
}

/// A memory that can be made here and joined there.
pub(crate) trait Model: Memory + Sized + 'static {
    /// Its name in an order.
    const ID: ModelId;
    /// Makes one with room for `room` bytes behind the words.
    fn create(room: usize) -> Result<(Self, Invitation), Failure>;
    /// Maps the one that somebody else made.
    fn join(invitation: Invitation, room: usize) -> Result<Self, Failure>;
}

/// The names of the four.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ModelId {
    /// System V in libc's calls.
    RawSystemV,
    /// System V with `sysv-shm`.
    SystemV,
    /// A sealed memfd in libc's calls.
    RawMemfd,
    /// A sealed memfd with `fd-shm`.
    Memfd,
}

impl ModelId {
    /// What its rows stand for.
    pub(crate) fn role(self) -> Role {
        match self {
            Self::RawSystemV | Self::RawMemfd => Role::Floor,
            Self::SystemV | Self::Memfd => Role::Ours,
        }
    }

    /// Whether it is System V.
    pub(crate) fn is_system_v(self) -> bool {
        matches!(self, Self::RawSystemV | Self::SystemV)
    }
}

/// Evaluates the expression with the type alias set to the memory of that name.
macro_rules! with_model {
    ($id:expr, $model:ident => $body:expr) => {{
        use $crate::memory::{ModelId, RawMemfd, RawSystemV};
        match $id {
            ModelId::RawSystemV => {
                type $model = RawSystemV;
                $body
            }
            ModelId::SystemV => {
                type $model = ::sysv_shm::Attachment<$crate::memory::Head>;
                $body
            }
            ModelId::RawMemfd => {
                type $model = RawMemfd;
                $body
            }
            ModelId::Memfd => {
                type $model = ::fd_shm::Mapping<$crate::memory::Head>;
                $body
            }
        }
    }};
}
pub(crate) use with_model;

/// System V in libc's calls.
#[derive(Debug)]
pub(crate) struct RawSystemV(RawMemory);

/// A sealed memfd in libc's calls.
#[derive(Debug)]
pub(crate) struct RawMemfd(RawMemory);

impl RawMemfd {
    /// The same memory with what is behind the head as words, and no copies.
    pub(crate) fn with_words(self) -> Self {
        Self(self.0.with_words())
    }

    /// What is behind the head.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        self.0.words()
    }
}

/// The bytes of a segment with `room` behind the words.
fn whole(room: usize) -> usize {
    size_of::<Head>() + room
}

impl Model for RawSystemV {
    const ID: ModelId = ModelId::RawSystemV;

    fn create(room: usize) -> Result<(Self, Invitation), Failure> {
        let segment = RawSegment(system_v::create(None, whole(room))?);
        let memory = system_v::attach(segment.0, whole(room))?.with_head()?;
        let invitation = Invitation {
            id: Some(segment.0),
            _removal: Some(Removal::Raw(segment)),
            ..Invitation::default()
        };
        Ok((Self(memory), invitation))
    }

    fn join(invitation: Invitation, room: usize) -> Result<Self, Failure> {
        Ok(Self(system_v::attach(invitation.id()?, whole(room))?.with_head()?))
    }
}

impl Model for RawMemfd {
    const ID: ModelId = ModelId::RawMemfd;

    fn create(room: usize) -> Result<(Self, Invitation), Failure> {
        use std::os::fd::AsFd;
        let fd = memfd::create(c"floor", whole(room))?;
        let memory = memfd::map(fd.as_fd())?.with_head()?;
        Ok((Self(memory), Invitation { fd: Some(fd), ..Invitation::default() }))
    }

    fn join(invitation: Invitation, _: usize) -> Result<Self, Failure> {
        use std::os::fd::AsFd;
        Ok(Self(memfd::map(invitation.into_fd()?.as_fd())?.with_head()?))
    }
}

impl Model for Attachment<Head> {
    const ID: ModelId = ModelId::SystemV;

    fn create(room: usize) -> Result<(Self, Invitation), Failure> {
        let segment = Segment::create(Key::PRIVATE, whole(room))?.remove_on_drop();
        let memory = segment.attach()?;
        let id = segment.id().number();
        let invitation =
            Invitation { id: Some(id), _removal: Some(Removal::Ours(segment)), ..Invitation::default() };
        Ok((memory, invitation))
    }

    fn join(invitation: Invitation, _: usize) -> Result<Self, Failure> {
        Ok(Segment::from(SegmentId::new(invitation.id()?)).attach()?)
    }
}

impl Model for Mapping<Head> {
    const ID: ModelId = ModelId::Memfd;

    fn create(room: usize) -> Result<(Self, Invitation), Failure> {
        let region = Region::create("ours", whole(room))?;
        Ok((region.map()?, Invitation { fd: Some(region.into()), ..Invitation::default() }))
    }

    fn join(invitation: Invitation, _: usize) -> Result<Self, Failure> {
        Ok(Region::from_fd(invitation.into_fd()?)?.map()?)
    }
}

/// The raw two reach their memory with nothing between.
macro_rules! raw_memory {
    ($($raw:ty),+) => {$(
        impl Words for $raw {
            #[inline]
            fn head(&self) -> &Head {
                self.0.head()
            }
        }

        impl Memory for $raw {
            #[inline]
            fn put(&self, offset: usize, from: &[u8]) -> Result<(), Failure> {
                self.0.write(offset, from);
                Ok(())
            }

            #[inline]
            fn get(&self, offset: usize, into: &mut [u8]) -> Result<(), Failure> {
                self.0.read(offset, into);
                Ok(())
            }

            #[inline]
            fn wait(&self, word: &AtomicU32, seen: u32) {
                floor::futex::wait(word, seen);
            }

            #[inline]
            fn wake(&self, word: &AtomicU32) {
                floor::futex::wake(word);
            }
        }
    )+};
}
raw_memory!(RawSystemV, RawMemfd);

/// Ours are reached as a program with our libraries reaches them: the words by `Deref`, the data by bulk
/// copies.
macro_rules! our_memory {
    ($($ours:ty),+) => {$(
        impl Words for $ours {
            #[inline]
            fn head(&self) -> &Head {
                self
            }
        }

        impl Memory for $ours {
            #[inline]
            fn put(&self, offset: usize, from: &[u8]) -> Result<(), Failure> {
                Ok(self.copy_in(offset, from)?)
            }

            #[inline]
            fn get(&self, offset: usize, into: &mut [u8]) -> Result<(), Failure> {
                Ok(self.copy_out(offset, into)?)
            }

            #[inline]
            fn wait(&self, word: &AtomicU32, seen: u32) {
                // "Changed meanwhile" and "interrupted" both mean "look again", which every caller does.
                let _ = futex::wait(word, Flags::empty(), seen, None);
            }

            #[inline]
            fn wake(&self, word: &AtomicU32) {
                // Waking a word that is mapped cannot fail.
                let _ = futex::wake(word, Flags::empty(), 1);
            }
        }
    )+};
}
our_memory!(Attachment<Head>, Mapping<Head>);
