//! A script says who does what, as data that can be read and written; a transcript says what each of them
//! saw.
//!
//! ```text
//! # The receiver gets a number of its own for the sender's descriptor.
//! actor server
//! actor client files 5 memory
//!
//!  1 server: open binder
//!  2 server: mmap 131072
//!  3 server: set_context_mgr_ext 0x100
//!  4 client: open binder
//!  5 client: mmap 131072
//!  6 client: transaction 0 code 1 {fd 5}
//!  7 server: read now
//! ```
//!
//! The same text runs here and, through [`client`](crate::client), on a real driver; the transcripts must
//! be equal: [`Recorded`] holds what real kernels answered, and a [`Disagreement`] is a step of which another
//! player did not see the same. So a script says nothing that only one of the two knows: a buffer is `last`
//! or `of 7`, an address is `at 0x40` of the mapping, a process has a name.
//!
//! It runs one step at a time. A step completes or *waits*; a step that waits completes when its thread is
//! woken by a later step, and what came of it then stands under its own number, with the number of the step
//! that it waited for. Which of the things that can happen next happens is the [`Schedule`]'s choice and
//! nobody else's.
//!
//! The step `client.1: ...` is one of the second thread of `client`, `client@4: ...` one that uses the device
//! under its number 4, where it has the device open more than once, or was sent an open of somebody else's.

mod action;
mod compare;
mod convert;
mod encode;
mod lexer;
mod opens;
mod payload;
mod run;
mod say;
mod schedule;
mod seen;
mod symbols;
mod transcript;

pub use action::{Action, Kind, device_name};
pub use compare::Disagreement;
pub use encode::Encoded;
pub use lexer::ParseError;
pub use opens::{Opened, Opens};
pub use payload::Item;
pub use run::Run;
pub use say::{Buffer, Count, Looper, Notice, Number, Say, Sent};
pub use schedule::{Explored, Schedule};
pub use seen::{FileSeen, Names, Seen};
pub use symbols::Symbols;
pub use transcript::{Line, Recorded, Transcript};

use crate::driver::Translation;
use crate::world::World;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use lexer::Lexer;

/// A process of a script, and what it has open before the first step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// What to call it.
    pub name: String,
    /// Its effective uid.
    pub euid: u32,
    /// Its `RLIMIT_NOFILE`.
    pub limit: u32,
    /// Its open files: number, what it is, and its name. Numbers 0 to 2 are `null`, unless they are listed.
    pub files: Vec<(u32, Kind, String)>,
}

impl Actor {
    /// The limit of a process for which the script says none.
    pub const LIMIT: u32 = 512;

    /// A root process with these pipes open.
    pub fn new(name: &str, files: &[(u32, &str)]) -> Actor {
        let files = files.iter().map(|&(fd, file)| (fd, Kind::Pipe, file.into())).collect();
        Actor { name: name.into(), euid: 0, limit: Actor::LIMIT, files }
    }

    /// Reads what stands after `actor`.
    fn parse(lexer: &mut Lexer<'_>) -> Result<Actor, ParseError> {
        let mut actor = Actor::new(&lexer.name("a name")?, &[]);
        actor.euid = lexer.option("uid", 0)?;
        actor.limit = lexer.option("limit", Actor::LIMIT)?;
        if lexer.eat("files") {
            loop {
                let fd = lexer.number("a descriptor")?;
                actor.files.push((fd, Kind::parse(lexer), lexer.name("a file")?));
                if !lexer.eat(",") {
                    break;
                }
            }
        }
        lexer.end()?;
        Ok(actor)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "actor {}", self.name)?;
        if self.euid != 0 {
            write!(f, " uid {}", self.euid)?;
        }
        if self.limit != Actor::LIMIT {
            write!(f, " limit {}", self.limit)?;
        }
        for (n, (fd, kind, name)) in self.files.iter().enumerate() {
            write!(f, "{} {fd} ", if n == 0 { " files" } else { "," })?;
            if *kind != Kind::Pipe {
                write!(f, "{kind} ")?;
            }
            write!(f, "{name}")?;
        }
        Ok(())
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which actor, by its place in the list.
    pub actor: usize,
    /// Which of its threads; 0 is the main one.
    pub thread: u32,
    /// Under which number it has the device that the step uses; none: the first it opened and still has.
    pub device: Option<u32>,
    /// What it does.
    pub action: Action,
}

impl Step {
    /// Reads `7 client.1@4: ACTION`.
    fn parse(lexer: &mut Lexer<'_>, actors: &[Actor], number: usize) -> Result<Step, ParseError> {
        if lexer.is_number() {
            let said: usize = lexer.number("a step's number")?;
            if said != number {
                return Err(lexer.error(format!("step {number} has the number {said}")));
            }
        }
        let name = lexer.name("an actor")?;
        let actor = actors.iter().position(|actor| actor.name == name);
        let actor = actor.ok_or_else(|| lexer.error(format!("there is no actor `{name}`")))?;
        let thread = lexer.option(".", 0)?;
        let device = if lexer.eat("@") { Some(lexer.number("a descriptor")?) } else { None };
        lexer.expect(":")?;
        let action = Action::parse(lexer)?;
        lexer.end()?;
        Ok(Step { actor, thread, device, action })
    }
}

/// Who there is, and what they do.
///
/// # Examples
/// ```
/// use binder_sim::driver::Translation;
/// use binder_sim::script::{Schedule, Script};
///
/// let script: Script = "
///     actor first
///     actor second
///     first: open binder
///     second: open binder
///     first: set_context_mgr
///     second: set_context_mgr
/// "
/// .parse()?;
/// let (_, transcript) = script.run(Translation::Deferred, Schedule::Fifo);
/// assert_eq!(transcript.of("first").last().as_deref(), Some("ok"));
/// assert_eq!(transcript.of("second").last().as_deref(), Some("EBUSY"));
/// # Ok::<(), binder_sim::script::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// What to call it.
    pub name: String,
    /// What it shows: the lines of its comment.
    pub about: Vec<String>,
    /// Who there is.
    pub actors: Vec<Actor>,
    /// What they do.
    pub steps: Vec<Step>,
}

impl Script {
    /// Actors who do nothing yet.
    pub fn new(name: &str, actors: impl IntoIterator<Item = Actor>) -> Script {
        Script {
            name: name.into(),
            about: Vec::new(),
            actors: actors.into_iter().collect(),
            steps: Vec::new(),
        }
    }

    /// The same with one more step, of the actor's main thread; a step of an actor that does not exist is
    /// left out of a run.
    #[must_use]
    pub fn step(self, actor: usize, action: Action) -> Script {
        self.step_of(actor, 0, action)
    }

    /// The same with one more step, of one of the actor's threads.
    #[must_use]
    pub fn step_of(mut self, actor: usize, thread: u32, action: Action) -> Script {
        self.steps.push(Step { actor, thread, device: None, action });
        self
    }

    /// The name of the actor in a step.
    pub fn actor_of(&self, step: &Step) -> &str {
        self.actors.get(step.actor).map_or("nobody", |actor| &actor.name)
    }

    /// The step with this number (from 1), as text.
    pub fn text_of(&self, number: usize) -> String {
        let Some(step) = self.steps.get(number.wrapping_sub(1)) else { return String::new() };
        let thread = if step.thread > 0 { format!(".{}", step.thread) } else { String::new() };
        let device = step.device.map(|fd| format!("@{fd}")).unwrap_or_default();
        format!("{number:>2} {}{thread}{device}: {}", self.actor_of(step), step.action)
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
        self.run_in(World::new(translation), schedule, after)
    }

    /// The same in a world of one's own.
    pub fn run_in(
        &self,
        world: World,
        schedule: Schedule,
        after: impl FnMut(&mut World),
    ) -> (World, Transcript) {
        Run::new(self, world).go(schedule, after)
    }
}

impl FromStr for Script {
    type Err = ParseError;

    /// Reads a script; a line that begins with `->` is what was seen, and not part of it.
    fn from_str(text: &str) -> Result<Script, ParseError> {
        let mut script = Script::new("", []);
        for (n, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(about) = line.strip_prefix('#') {
                script.about.push(about.trim().to_string());
            } else if !line.is_empty() && !transcript::is_seen(line) {
                let mut lexer = Lexer::new(n + 1, line);
                if lexer.eat("actor") {
                    script.actors.push(Actor::parse(&mut lexer)?);
                } else {
                    let number = script.steps.len() + 1;
                    script.steps.push(Step::parse(&mut lexer, &script.actors, number)?);
                }
            }
        }
        Ok(script)
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        (1..=self.steps.len()).try_for_each(|number| writeln!(f, "{}", self.text_of(number)))
    }
}

impl Script {
    /// Everything before the first step.
    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.about.iter().try_for_each(|line| writeln!(f, "# {line}"))?;
        self.actors.iter().try_for_each(|actor| writeln!(f, "{actor}"))?;
        writeln!(f)
    }
}
