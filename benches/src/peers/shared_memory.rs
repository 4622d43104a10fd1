//! `shared_memory`: POSIX shared memory under a random name, reached through a raw pointer.

#![allow(unsafe_code)]

use std::rc::Rc;
use std::sync::atomic::AtomicU32;

use shared_memory::{Shmem, ShmemConf};

use super::PeerPart;
use crate::Failure;
use crate::clock::Alone;
use crate::exchange::Exchange;
use crate::floor::futex;
use crate::measure::Entry;
use crate::memory::{self, Head, Memory};
use crate::orders::PartName;
use crate::parts::{Given, Part};
use crate::payload::pattern;
use crate::questions::ping_pong::{InMemoryThere, Waiting, exchange};
use crate::second_process::SecondProcess;

/// Create, map, fill, unmap, unlink.
pub(super) fn set_up(size: usize) -> Result<Entry, Failure> {
    let bytes = pattern(size);
    let work = Alone(move || {
        let mut memory = create(bytes.len())?;
        // SAFETY: nobody else knows its random name.
        let slice = unsafe { memory.as_slice_mut() };
        // A mapping is whole pages, a size need not be.
        slice[..bytes.len()].copy_from_slice(&bytes);
        Ok(())
    });
    Ok(Entry::peer("shared_memory", size as u64, "POSIX shared memory", work))
}

/// The words, spinning: the crate has no words of its own, so its user writes the loop.
pub(super) fn ping_pong(other: &Rc<SecondProcess>) -> Result<Entry, Failure> {
    let memory = create(size_of::<Head>())?;
    let name = memory.get_os_id().to_owned();
    let part = other.join_named(PartName::Peer(PeerPart::SharedMemoryWords), 0, name)?;
    let work = Exchange::new(other, part, exchange(Words(memory), Waiting::Spin));
    Ok(Entry::peer("shared_memory, spinning", 0, "memfd, spinning", work))
}

/// The answering side.
pub(super) fn answerer(given: &mut Given) -> Result<Box<dyn Part>, Failure> {
    let memory = ShmemConf::new().os_id(given.name()?).open().map_err(Failure::step("ShmemConf::open"))?;
    Ok(Box::new(InMemoryThere::new(Words(memory), Waiting::Spin)))
}

fn create(size: usize) -> Result<Shmem, Failure> {
    ShmemConf::new().size(size).create().map_err(Failure::step("ShmemConf::create"))
}

/// A mapping that begins with the words.
///
/// # Invariants
///
/// At least as long as a [`Head`], which is all that is ever reached of it.
struct Words(Shmem);

impl memory::Words for Words {
    #[inline]
    fn head(&self) -> &Head {
        // SAFETY: by the invariant long enough, page-aligned, and mapped while `self` lives; a `Head` is
        // atomics. Nobody cuts it: that is a promise of both processes, which the crate cannot check.
        unsafe { &*self.0.as_ptr().cast::<Head>() }
    }
}

impl Memory for Words {
    fn put(&self, _: usize, _: &[u8]) -> Result<(), Failure> {
        Err(Failure::new("these words have no room behind them"))
    }

    fn get(&self, _: usize, _: &mut [u8]) -> Result<(), Failure> {
        Err(Failure::new("these words have no room behind them"))
    }

    #[inline]
    fn wait(&self, word: &AtomicU32, seen: u32) {
        futex::wait(word, seen);
    }

    #[inline]
    fn wake(&self, word: &AtomicU32) {
        futex::wake(word);
    }
}
