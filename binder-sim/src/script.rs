//! A script says who does what, as data; a transcript says what each of them saw.
//!
//! A script runs one step at a time. A step completes or *waits*; a step that waits completes when its thread is
//! run again, and what came of it then stands under its own number. Which of the things that can happen next
//! happens is the [`Schedule`]'s choice and nobody else's, so a run can be repeated exactly.

mod run;

pub use run::{Line, Transcript};

use crate::driver::{Read, Translation};
use crate::protocol::{Command, ObjectFlags};
use crate::world::World;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A process of a script, and what it has open before the first step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// What to call it.
    pub name: &'static str,
    /// Its effective uid.
    pub euid: u32,
    /// Its open files: number and label.
    pub files: Vec<(u32, &'static str)>,
}

impl Actor {
    /// A root process with these files open.
    pub fn new(name: &'static str, files: &[(u32, &'static str)]) -> Actor {
        Actor { name, euid: 0, files: files.to_vec() }
    }
}

/// What a process writes in one ioctl: commands, or what only a running script can fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// This command.
    Command(Command),
    /// `BC_FREE_BUFFER` of the buffer that this process received last, and has not freed.
    FreeLast,
}

/// What a process does in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `open("/dev/binder")`.
    OpenDevice,
    /// `mmap` of the device with this size.
    Mmap(usize),
    /// `ioctl(BINDER_SET_CONTEXT_MGR)`: the old ioctl, whose node never accepts descriptors.
    SetContextMgr,
    /// `ioctl(BINDER_SET_CONTEXT_MGR_EXT)` with these flags.
    SetContextMgrExt(ObjectFlags),
    /// `ioctl(BINDER_WRITE_READ)` of the `thread`-th thread (0: the main one).
    WriteRead {
        /// Which thread.
        thread: u32,
        /// The commands.
        write: Vec<Say>,
        /// The read part.
        read: Read,
    },
    /// `ioctl(BINDER_GET_EXTENDED_ERROR)`.
    GetExtendedError,
    /// Opens a new file under the lowest free number.
    Open(&'static str),
    /// `close(fd)`.
    Close(u32),
    /// `setrlimit(RLIMIT_NOFILE, limit)`.
    SetLimit(u32),
    /// `exit`, or a kill.
    Exit,
}

impl Action {
    /// Writes these commands and reads nothing.
    pub fn write(commands: impl IntoIterator<Item = Command>) -> Action {
        let write = commands.into_iter().map(Say::Command).collect();
        Action::WriteRead { thread: 0, write, read: Read::NONE }
    }

    /// Reads what there is, without waiting.
    pub fn read() -> Action {
        Action::WriteRead { thread: 0, write: Vec::new(), read: Read::NOW }
    }

    /// Writes these commands, then waits for something to read.
    pub fn call(commands: impl IntoIterator<Item = Command>) -> Action {
        let write = commands.into_iter().map(Say::Command).collect();
        Action::WriteRead { thread: 0, write, read: Read::WAIT }
    }

    /// Gives the last received buffer back, then writes these commands.
    pub fn free_and_write(commands: impl IntoIterator<Item = Command>) -> Action {
        let mut write = alloc::vec![Say::FreeLast];
        write.extend(commands.into_iter().map(Say::Command));
        Action::WriteRead { thread: 0, write, read: Read::NONE }
    }
}

impl fmt::Display for Say {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Say::Command(command) => write!(f, "{command}"),
            Say::FreeLast => f.write_str("BC_FREE_BUFFER of the last buffer"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::OpenDevice => f.write_str("open /dev/binder"),
            Action::Mmap(size) => write!(f, "mmap {size}"),
            Action::SetContextMgr => f.write_str("BINDER_SET_CONTEXT_MGR"),
            Action::SetContextMgrExt(flags) => write!(f, "BINDER_SET_CONTEXT_MGR_EXT {:#x}", flags.0),
            Action::WriteRead { thread, write, read } => {
                if *thread > 0 {
                    write!(f, "thread {thread}: ")?;
                }
                for (n, say) in write.iter().enumerate() {
                    write!(f, "{}{say}", if n == 0 { "" } else { "; " })?;
                }
                let then = if write.is_empty() { "" } else { "; " };
                match (read.size, read.nonblock) {
                    (0, _) => Ok(()),
                    (_, true) => write!(f, "{then}read"),
                    (_, false) => write!(f, "{then}wait and read"),
                }
            }
            Action::GetExtendedError => f.write_str("BINDER_GET_EXTENDED_ERROR"),
            Action::Open(label) => write!(f, "open {label}"),
            Action::Close(fd) => write!(f, "close {fd}"),
            Action::SetLimit(limit) => write!(f, "RLIMIT_NOFILE {limit}"),
            Action::Exit => f.write_str("exit"),
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which actor, by its place in the list.
    pub actor: usize,
    /// What it does.
    pub action: Action,
}

/// Who there is, and what they do.
///
/// # Examples
/// ```
/// use binder_sim::driver::Translation;
/// use binder_sim::script::{Action, Actor, Schedule, Script};
///
/// let script = Script::new("two managers", [Actor::new("first", &[]), Actor::new("second", &[])])
///     .step(0, Action::OpenDevice)
///     .step(1, Action::OpenDevice)
///     .step(0, Action::SetContextMgr)
///     .step(1, Action::SetContextMgr);
/// let (_, transcript) = script.run(Translation::Deferred, Schedule::Fifo);
/// assert_eq!(transcript.of("first").last(), Some("ok"));
/// assert_eq!(transcript.of("second").last(), Some("EBUSY"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// What to call it.
    pub name: String,
    /// Who there is.
    pub actors: Vec<Actor>,
    /// What they do.
    pub steps: Vec<Step>,
}

/// Which of the things that can happen next happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// The steps in the script's order; whoever is woken by one runs before the next.
    Fifo,
    /// Each time one of all that can happen, chosen by a generator with this seed: a woken thread goes on, or an
    /// actor does its next step. Steps of one actor keep their order.
    Seeded(u64),
}

impl Script {
    /// Actors who do nothing yet.
    pub fn new(name: &str, actors: impl IntoIterator<Item = Actor>) -> Script {
        Script { name: name.into(), actors: actors.into_iter().collect(), steps: Vec::new() }
    }

    /// The same with one more step; a step of an actor that does not exist is left out of a run.
    #[must_use]
    pub fn step(mut self, actor: usize, action: Action) -> Script {
        self.steps.push(Step { actor, action });
        self
    }

    /// Runs the script in a fresh world; gives the world as it is then, and what each actor saw.
    pub fn run(&self, translation: Translation, schedule: Schedule) -> (World, Transcript) {
        self.run_with(translation, schedule, |_| {})
    }

    /// The same; `after` looks at the world after each thing that happened.
    pub fn run_with(
        &self,
        translation: Translation,
        schedule: Schedule,
        after: impl FnMut(&mut World),
    ) -> (World, Transcript) {
        run::Run::new(self, translation).go(schedule, after)
    }
}
