//! How long does a word take to go there and back?
//!
//! The round trip of a word that cannot be sent before the last one has come back: a closed loop, which
//! shows what one exchange costs and nothing about load. Shared memory says nothing about waiting; each way
//! of waiting is a subject. Waiting in memory is here; waiting for the kernel is in `ping_pong_kernel.rs`.

use std::rc::Rc;
use std::sync::atomic::Ordering;

use super::{Preparation, ping_pong_kernel, ping_pong_peer};
use crate::exchange::Exchange;
use crate::measure::Entry;
use crate::memory::{Line, Memory, Model, ModelId, with_model};
use crate::orders::PartName;
use crate::parts::{Given, Part};
use crate::place::Place;
use crate::questions::Group;
use crate::second_process::SecondProcess;
use crate::{Failure, Question, Role, spin};

/// The four memories.
const MEMORIES: [ModelId; 4] = [ModelId::RawSystemV, ModelId::SystemV, ModelId::RawMemfd, ModelId::Memfd];

/// All ways of waiting with a CPU for each process, where there are two; then those that make sense on one.
pub(super) fn groups(place: Place) -> Vec<Preparation> {
    let apart = move || -> Result<Group, Failure> {
        let mut group = Group::default();
        if !place.pinned() {
            group.lacks(Question::PingPong, "all, on two CPUs", "this process may run on one CPU only");
            return Ok(group);
        }
        let other = SecondProcess::start(place)?;
        for waiting in [Waiting::Spin, Waiting::SpinThenFutex, Waiting::Futex] {
            for model in MEMORIES {
                let name = waiting.subject(model);
                group.entries.push(with_model!(model, M => in_memory::<M>(&other, waiting, name)?));
            }
        }
        ping_pong_kernel::add(&mut group, &other, place, false)?;
        group.entries.push(ping_pong_peer::entry(&other)?);
        #[cfg(feature = "peers")]
        group.entries.extend(crate::peers::ping_pong(&other)?);
        Ok(group)
    };
    let together = move || -> Result<Group, Failure> {
        let mut group = Group::default();
        let place = place.on_one_cpu();
        let other = SecondProcess::start(place)?;
        let name = "memfd, spinning, same CPU";
        group.entries.push(in_memory::<crate::memory::RawMemfd>(&other, Waiting::Spin, name)?);
        for model in [ModelId::RawMemfd, ModelId::Memfd] {
            for (waiting, name) in [
                (Waiting::SpinThenFutex, "memfd, spin, futex, same CPU"),
                (Waiting::Futex, "memfd, futex, same CPU"),
            ] {
                group.entries.push(with_model!(model, M => in_memory::<M>(&other, waiting, name)?));
            }
        }
        ping_pong_kernel::add(&mut group, &other, place, true)?;
        Ok(group)
    };
    vec![Box::new(apart), Box::new(together)]
}

/// How a side waits for the word of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Waiting {
    /// Looks again and again.
    Spin,
    /// Looks for a while, then sleeps; who speaks wakes only a sleeper.
    SpinThenFutex,
    /// Sleeps in the kernel until woken.
    Futex,
}

/// Looks before sleep: some microseconds, about as much as it would cost to sleep and be woken.
const LOOKS: u32 = 400;

impl Waiting {
    /// Says `number`.
    #[inline]
    fn say(self, memory: &impl Memory, line: &Line, number: u32) {
        match self {
            // Release: what was written before it is seen by who hears it. Pairs with the acquire loads in
            // `hear`.
            Self::Spin => line.word.store(number, Ordering::Release),
            Self::Futex => {
                line.word.store(number, Ordering::Release);
                memory.wake(&line.word);
            }
            Self::SpinThenFutex => {
                // SeqCst, here and in `hear`: either this load sees the sleeper, or the sleeper's last look
                // sees the word. With anything weaker both could miss the other, and one would sleep for
                // ever.
                line.word.store(number, Ordering::SeqCst);
                if line.sleeps.load(Ordering::SeqCst) == 1 {
                    memory.wake(&line.word);
                }
            }
        }
    }

    /// Waits until the word is `number`.
    #[inline]
    fn hear(self, memory: &impl Memory, line: &Line, number: u32) {
        let word = &line.word;
        match self {
            Self::Spin => spin::until(|| word.load(Ordering::Acquire) == number),
            Self::Futex => loop {
                let seen = word.load(Ordering::Acquire);
                if seen == number {
                    return;
                }
                memory.wait(word, seen);
            },
            Self::SpinThenFutex => {
                if spin::a_while(LOOKS, || word.load(Ordering::Acquire) == number) {
                    return;
                }
                line.sleeps.store(1, Ordering::SeqCst);
                loop {
                    let seen = word.load(Ordering::SeqCst);
                    if seen == number {
                        break;
                    }
                    memory.wait(word, seen);
                }
                // Only this side writes it, and nobody needs to see that before the next word.
                line.sleeps.store(0, Ordering::Relaxed);
            }
        }
    }

    fn subject(self, model: ModelId) -> &'static str {
        match (self, model.is_system_v()) {
            (Self::Spin, true) => "System V, spinning",
            (Self::Spin, false) => "memfd, spinning",
            (Self::SpinThenFutex, true) => "System V, spin then futex",
            (Self::SpinThenFutex, false) => "memfd, spin then futex",
            (Self::Futex, true) => "System V, futex",
            (Self::Futex, false) => "memfd, futex",
        }
    }
}

fn in_memory<M: Model>(
    other: &Rc<SecondProcess>,
    waiting: Waiting,
    subject: &'static str,
) -> Result<Entry, Failure> {
    let (memory, invitation) = M::create(0)?;
    let part = other.join(PartName::Words(M::ID, waiting), 0, &invitation, &[])?;
    let work = Exchange::new(other, part, exchange(memory, waiting));
    Ok(match M::ID.role() {
        Role::Floor => Entry::floor(subject, 0, work),
        _ => Entry::ours(subject, 0, work),
    })
}

/// Says words in the memory and waits for each to come back. They are counted up from 0; each side knows what it has
/// said last.
pub(crate) fn exchange(memory: impl Memory, waiting: Waiting) -> impl FnMut() -> Result<(), Failure> {
    let mut said = 0_u32;
    move || {
        said = said.wrapping_add(1);
        let head = memory.head();
        waiting.say(&memory, &head.first, said);
        waiting.hear(&memory, &head.second, said);
        Ok(())
    }
}

/// The second process: says what it has heard.
pub(crate) struct InMemoryThere<M> {
    /// The words.
    memory: M,
    /// How to wait for them.
    waiting: Waiting,
    /// The last word heard.
    heard: u32,
}

impl<M> InMemoryThere<M> {
    /// Answers in this memory.
    pub(crate) fn new(memory: M, waiting: Waiting) -> Self {
        Self { memory, waiting, heard: 0 }
    }
}

impl<M: Memory> Part for InMemoryThere<M> {
    fn run(&mut self, count: u64) -> Result<u64, Failure> {
        let head = self.memory.head();
        for _ in 0..count {
            self.heard = self.heard.wrapping_add(1);
            self.waiting.hear(&self.memory, &head.first, self.heard);
            self.waiting.say(&self.memory, &head.second, self.heard);
        }
        Ok(0)
    }
}

/// The answering side.
pub(crate) fn answerer(model: ModelId, waiting: Waiting, mut given: Given) -> Result<Box<dyn Part>, Failure> {
    let invitation = given.invitation();
    with_model!(model, M => {
        Ok(Box::new(InMemoryThere::new(M::join(invitation, 0)?, waiting)))
    })
}
