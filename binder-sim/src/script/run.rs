//! A script under way.

use super::{Action, Say, Schedule, Script, Step};
use crate::driver::{Translation, WriteRead};
use crate::error::Error;
use crate::protocol::{Command, ObjectFlags, Return};
use crate::world::{Pid, World};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// What one step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The step's place in the script, from 1.
    pub step: usize,
    /// Whose it was.
    pub actor: &'static str,
    /// What it did.
    pub did: String,
    /// What it saw: `ok`, an errno, returns, or `waits` if nothing ever came.
    pub saw: String,
}

/// What each actor saw, in the order of the script.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transcript {
    /// A line for each step.
    pub lines: Vec<Line>,
}

impl Transcript {
    /// What `actor` saw, step by step.
    pub fn of<'a>(&'a self, actor: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
        self.lines.iter().filter(move |line| line.actor == actor).map(|line| line.saw.as_str())
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{:>3} {:<10} {}\n{:>14} -> {}", line.step, line.actor, line.did, "", line.saw)?;
        }
        Ok(())
    }
}

/// A script under way.
pub(super) struct Run<'a> {
    /// The script.
    script: &'a Script,
    /// The machine.
    world: World,
    /// The actors' processes.
    pids: Vec<Pid>,
    /// What the actors saw so far.
    transcript: Transcript,
    /// For each actor, the buffers it received and has not freed.
    buffers: Vec<Vec<u64>>,
    /// The threads that wait: actor, tid, and the line that waits to be filled.
    waiting: Vec<(usize, u32, usize)>,
}

impl<'a> Run<'a> {
    /// A fresh world with the script's actors.
    pub(super) fn new(script: &'a Script, translation: Translation) -> Run<'a> {
        let mut world = World::new(translation);
        let mut pids = Vec::new();
        for actor in &script.actors {
            let pid = world.spawn_as(actor.name, actor.euid);
            for &(fd, label) in &actor.files {
                // A number that is listed twice stays with the first.
                drop(world.open_at(pid, fd, label, ()));
            }
            pids.push(pid);
        }
        let buffers = vec![Vec::new(); pids.len()];
        Run { script, world, pids, transcript: Transcript::default(), buffers, waiting: Vec::new() }
    }

    /// Runs all steps.
    pub(super) fn go(mut self, schedule: Schedule, mut after: impl FnMut(&mut World)) -> (World, Transcript) {
        match schedule {
            Schedule::Fifo => {
                for number in 0..self.script.steps.len() {
                    self.step(number);
                    after(&mut self.world);
                    while self.world.ready() > 0 {
                        self.wake(0);
                        after(&mut self.world);
                    }
                }
            }
            Schedule::Seeded(seed) => self.go_seeded(seed, &mut after),
        }
        self.transcript.lines.sort_by_key(|line| line.step);
        (self.world, self.transcript)
    }

    /// Chooses, each time, among the woken threads and the actors' next steps.
    fn go_seeded(&mut self, seed: u64, after: &mut impl FnMut(&mut World)) {
        let mut left: Vec<usize> = (0..self.script.steps.len()).collect();
        let mut state = seed | 1;
        loop {
            let next = self.next_steps(&left);
            let choices = self.world.ready() + next.len();
            if choices == 0 {
                return;
            }
            // xorshift64: small, and the same everywhere.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let choice = usize::try_from(state % choices as u64).unwrap_or(0);
            match choice.checked_sub(self.world.ready()) {
                None => self.wake(choice),
                Some(at) => {
                    left.retain(|&step| step != next[at]);
                    self.step(next[at]);
                }
            }
            after(&mut self.world);
        }
    }

    /// The next step of each actor whose thread for it does not wait.
    fn next_steps(&self, left: &[usize]) -> Vec<usize> {
        let mut seen = vec![false; self.pids.len()];
        let mut next = Vec::new();
        for &number in left {
            let Step { actor, action } = &self.script.steps[number];
            let Some(seen) = seen.get_mut(*actor) else { continue };
            let free = !core::mem::replace(seen, true) && !self.waits(*actor, self.tid(*actor, action));
            next.extend(free.then_some(number));
        }
        next
    }

    /// The thread that does this.
    fn tid(&self, actor: usize, action: &Action) -> u32 {
        let main = self.pids[actor].raw();
        // Threads of a process have tids far from any pid.
        match action {
            Action::WriteRead { thread: n @ 1.., .. } => main.saturating_mul(1000).saturating_add(*n),
            _ => main,
        }
    }

    /// Whether this thread is inside a call.
    fn waits(&self, actor: usize, tid: u32) -> bool {
        self.waiting.iter().any(|&(a, t, _)| (a, t) == (actor, tid))
    }

    /// Does the step with this number.
    fn step(&mut self, number: usize) {
        let Step { actor, action } = &self.script.steps[number];
        let Some(name) = self.script.actors.get(*actor).map(|actor| actor.name) else { return };
        let saw = match self.act(*actor, action, self.transcript.lines.len()) {
            Ok(saw) => saw,
            Err(error) => error.errno().to_string(),
        };
        self.transcript.lines.push(Line { step: number + 1, actor: name, did: action.to_string(), saw });
        self.collect();
    }

    /// Lets the `n`-th woken thread run.
    fn wake(&mut self, n: usize) {
        self.world.run_nth(n);
        self.collect();
    }

    /// Does it; `line` is the line of the transcript that says what came of it.
    fn act(&mut self, actor: usize, action: &Action, line: usize) -> Result<String, Error> {
        let (pid, world) = (self.pids[actor], &mut self.world);
        match action {
            Action::OpenDevice => return world.open_device(pid).map(|fd| format!("fd {fd}")),
            Action::Mmap(size) => world.mmap(pid, *size)?,
            Action::SetContextMgr => world.set_context_manager(pid, ObjectFlags::NONE)?,
            Action::SetContextMgrExt(flags) => world.set_context_manager(pid, *flags)?,
            Action::GetExtendedError => return world.extended_error(pid).map(|error| error.to_string()),
            Action::Open(label) => return world.open(pid, label, ()).map(|fd| format!("fd {fd}")),
            Action::Close(fd) => world.close(pid, *fd)?,
            Action::SetLimit(limit) => world.set_limit(pid, *limit)?,
            Action::Exit => {
                world.exit(pid)?;
                self.waiting.retain(|&(waiting, ..)| waiting != actor);
            }
            Action::WriteRead { write, read, .. } => {
                let tid = self.tid(actor, action);
                let write = self.fill_in(actor, write);
                return match self.world.write_read_of(pid, tid, write, *read)? {
                    Some(result) => Ok(self.saw(actor, &result)),
                    None => {
                        self.waiting.push((actor, tid, line));
                        Ok("waits".into())
                    }
                };
            }
        }
        Ok("ok".into())
    }

    /// The commands, with what only a running script knows.
    fn fill_in(&mut self, actor: usize, write: &[Say]) -> Vec<Command> {
        let mut commands = Vec::with_capacity(write.len());
        for say in write {
            match say {
                Say::Command(command) => commands.push(command.clone()),
                Say::FreeLast => commands.extend(self.buffers[actor].pop().map(Command::FreeBuffer)),
            }
        }
        commands
    }

    /// Fills the lines of threads that waited and have returned.
    fn collect(&mut self) {
        let waiting = core::mem::take(&mut self.waiting);
        for (actor, tid, line) in waiting {
            match self.world.take_returned_by(self.pids[actor], tid) {
                Some(result) => {
                    let saw = self.saw(actor, &result);
                    if let Some(line) = self.transcript.lines.get_mut(line) {
                        line.saw = saw;
                    }
                }
                None => self.waiting.push((actor, tid, line)),
            }
        }
    }

    /// What came out of an ioctl, as text; remembers its buffer.
    fn saw(&mut self, actor: usize, result: &WriteRead) -> String {
        self.buffers[actor].extend(result.returns.iter().filter_map(Return::delivered).map(|d| d.buffer));
        if let Some(errno) = result.error {
            return errno.to_string();
        }
        let texts: Vec<String> = result.returns.iter().map(ToString::to_string).collect();
        if texts.is_empty() { "ok".into() } else { texts.join("; ") }
    }
}
