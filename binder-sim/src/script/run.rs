//! A script under way in a world.

mod exchange;

use super::opens::Opens;
use super::seen::{FileSeen, Names, Seen};
use super::symbols::Symbols;
use super::{Action, Kind, Line, Number, Script, Step, Transcript};
use crate::driver::{Device, ProcessId};
use crate::errno::Errno;
use crate::error::Error;
use crate::fd_table::FdRow;
use crate::protocol::{Ioctl, NodeInfoForRef, ObjectFlags};
use crate::world::{Caller, MAPPING_BASE, MAPPING_STEP, PAGE, Pid, World};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use exchange::{Waiting, Written};

/// An open as the driver knows it.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// Its number.
    id: ProcessId,
    /// Where it is mapped; none if it is not, or no longer.
    base: Option<u64>,
    /// How many bytes are.
    size: usize,
}

/// A script under way.
#[derive(Debug)]
pub struct Run<'a> {
    /// The script.
    pub(super) script: &'a Script,
    /// The machine.
    pub(super) world: World,
    /// The actors' processes.
    pids: Vec<Pid>,
    /// What they have open of the device, and how the driver knows it.
    opens: Vec<(Opens, Vec<Known>)>,
    /// How many mappings each has made.
    mappings: Vec<u64>,
    /// What the actors saw so far.
    transcript: Transcript,
    /// What steps have brought that later ones speak of.
    symbols: Symbols,
    /// The threads that wait.
    waiting: Vec<Waiting>,
    /// Whoever is woken runs before anything else happens.
    pub(super) is_patient: bool,
    /// The step that was done last, from 1.
    now: usize,
}

impl<'a> Run<'a> {
    /// The script's actors in this world, before the first step.
    ///
    /// Each device has had a manager of root that is gone: a kernel remembers the uid of the first one for
    /// ever, so that only a machine on which that is settled is the same for every script.
    pub fn new(script: &'a Script, mut world: World) -> Run<'a> {
        let mut pids = Vec::new();
        for actor in &script.actors {
            let pid = world.spawn_as(&actor.name, actor.euid);
            for fd in (0..3).filter(|fd| actor.files.iter().all(|(taken, ..)| taken != fd)) {
                drop(world.open_at(pid, fd, "null", ()));
            }
            for (fd, kind, name) in &actor.files {
                // A number that is listed twice stays with the first.
                drop(match kind {
                    Kind::Path => world.open_path_at(pid, *fd, name),
                    Kind::Pipe | Kind::Memfd => world.open_at(pid, *fd, name, ()),
                });
            }
            drop(world.set_limit(pid, actor.limit));
            pids.push(pid);
        }
        let first = world.spawn("init");
        for device in Device::ALL {
            let opened = world.open_device_of(first, device);
            let caller = opened.map(|fd| Caller { pid: first, tid: first.raw(), fd });
            drop(caller.and_then(|caller| world.ioctl(caller, Ioctl::SetContextMgr)));
        }
        drop(world.exit(first));
        let symbols = Symbols::new(script.actors.len());
        let opens = vec![<(Opens, Vec<Known>)>::default(); pids.len()];
        let (transcript, waiting) = (Transcript::default(), Vec::new());
        let mappings = vec![0; pids.len()];
        Run { script, world, pids, opens, mappings, transcript, symbols, waiting, is_patient: false, now: 0 }
    }

    /// The world as it is now, and what each actor saw.
    pub(super) fn end(mut self) -> (World, Transcript) {
        self.transcript.lines.sort_by_key(|line| line.step);
        (self.world, self.transcript)
    }

    /// Ends all actors; gives the pipes that somebody still holds then.
    pub(super) fn leave(&mut self) -> Vec<String> {
        for &pid in &self.pids {
            // It may have ended in the script.
            drop(self.world.exit(pid));
        }
        self.world.run();
        let first = self.script.actors.iter().flat_map(|actor| &actor.files);
        let first = first.map(|(_, kind, name)| (*kind, name));
        let later = self.script.steps.iter().filter_map(|step| match &step.action {
            Action::Open(kind, name) => Some((*kind, name)),
            _ => None,
        });
        let held = first.chain(later).filter(|(kind, name)| *kind == Kind::Pipe && self.world.holds(name));
        held.map(|(_, name)| name.clone()).collect()
    }

    /// The next step of each actor whose thread for it does not wait.
    pub(super) fn next_steps(&self, left: &[usize]) -> Vec<usize> {
        let mut seen = vec![false; self.pids.len()];
        let mut next = Vec::new();
        for &number in left {
            let step = &self.script.steps[number];
            let Some(seen) = seen.get_mut(step.actor) else { continue };
            let waits = !matches!(step.action, Action::Exit | Action::Signal)
                && self.waits(step.actor, self.tid(step));
            let free = !core::mem::replace(seen, true) && !waits;
            next.extend(free.then_some(number));
        }
        next
    }

    /// The thread that does this.
    fn tid(&self, step: &Step) -> u32 {
        let main = self.pids[step.actor].raw();
        // Threads of a process have tids far from any pid.
        if step.thread == 0 { main } else { main.saturating_mul(1000).saturating_add(step.thread) }
    }

    /// Whether this thread is inside a call.
    fn waits(&self, actor: usize, tid: u32) -> bool {
        self.waiting.iter().any(|waiting| (waiting.actor, waiting.thread.tid) == (actor, tid))
    }

    /// Does the step with this number (from 0).
    pub(super) fn step(&mut self, number: usize) {
        let step = &self.script.steps[number];
        let Some(actor) = self.script.actors.get(step.actor) else { return };
        self.now = number + 1;
        let at = self.transcript.lines.len();
        let (actor, did) = (actor.name.clone(), step.action.to_string());
        self.transcript.lines.push(Line { step: self.now, actor, did, saw: Seen::default(), after: None });
        let own = !matches!(step.action, Action::Exit | Action::Held(_) | Action::Await(_));
        let saw = if own && self.world.table(self.pids[step.actor]).is_none() {
            Seen::new(Errno::ESRCH.to_string())
        } else if own && step.action != Action::Signal && self.waits(step.actor, self.tid(step)) {
            Seen::new("not done: the thread waits")
        } else {
            self.act(step, at).unwrap_or_else(|error| Seen::new(error.errno().to_string()))
        };
        self.transcript.lines[at].saw = saw;
        self.collect();
    }

    /// Lets the `n`-th woken thread run.
    pub(super) fn wake(&mut self, n: usize) {
        self.world.run_nth(n);
        self.collect();
    }

    /// Does it; `line` is the line of the transcript that says what came of it.
    fn act(&mut self, step: &Step, line: usize) -> Result<Seen, Error> {
        let pid = self.pids[step.actor];
        let (world, (opens, known)) = (&mut self.world, &mut self.opens[step.actor]);
        match &step.action {
            Action::OpenDevice(device) => {
                let fd = world.open_device_of(pid, *device)?;
                opens.opened(fd);
                known.extend(world.open_at_fd(pid, fd).map(|id| Known { id, base: None, size: 0 }));
                return Ok(Seen::new(format!("fd {fd}")));
            }
            Action::Open(kind, name) => {
                let fd = match kind {
                    Kind::Path => world.open_path(pid, name)?,
                    Kind::Pipe | Kind::Memfd => world.open(pid, name, ())?,
                };
                return Ok(Seen::new(format!("fd {fd}")));
            }
            Action::Dup(from) => {
                let fd = world.dup(pid, *from)?;
                opens.duplicated(*from, fd);
                return Ok(Seen::new(format!("fd {fd}")));
            }
            Action::Close(fd) => {
                world.close(pid, *fd)?;
                opens.closed(*fd);
            }
            Action::SetLimit(limit) => world.set_limit(pid, *limit)?,
            Action::SetEuid(euid) => world.set_euid(pid, *euid)?,
            Action::Table => return Ok(Seen::table(&self.files(step.actor))),
            Action::Held(name) | Action::Await(name) => {
                let held = if matches!(step.action, Action::Held(_)) { "held" } else { "still held" };
                return Ok(Seen::new(if world.holds(name) { held } else { "nobody has it" }));
            }
            Action::Signal => {
                let tid = self.tid(step);
                let waits = |w: &&Waiting| (w.actor, w.thread.tid) == (step.actor, tid);
                if let Some(thread) = self.waiting.iter().find(waits).map(|waiting| waiting.thread) {
                    self.world.interrupt_thread(thread);
                }
            }
            Action::Exit => {
                world.exit(pid)?;
                opens.clear();
                self.kill(step.actor);
            }
            _ => return self.call(step, line),
        }
        Ok(Seen::new("ok"))
    }

    /// A call of the device.
    fn call(&mut self, step: &Step, line: usize) -> Result<Seen, Error> {
        let (pid, tid) = (self.pids[step.actor], self.tid(step));
        // What is named is named, also by a call that then fails.
        let write = match &step.action {
            Action::WriteRead { write, .. } => self.symbols.fill_in(step.actor, write),
            _ => Vec::new(),
        };
        let (opens, known) = &mut self.opens[step.actor];
        let place = opens.place(step.device);
        if let (&Action::Munmap(behind), Some(place)) = (&step.action, place) {
            let is_mapped = opens.get(place).is_some_and(|open| open.mapped);
            if !is_mapped || behind >= known[place].size || !behind.is_multiple_of(PAGE) {
                return Ok(Seen::new(Errno::EINVAL.to_string()));
            }
            if behind == 0 {
                self.world.munmap_open(pid, known[place].id);
                known[place].base = None;
                opens.set_mapped(place, false);
            } else {
                self.world.munmap_part(known[place].id);
            }
            known[place].size = behind;
            return Ok(Seen::new("ok"));
        }
        // The number of an open of somebody else's, which came in a message, is as good as one's own.
        let sent = step.device.filter(|_| place.is_none());
        let Some(fd) = opens.number(step.device).or(sent) else {
            return Ok(Seen::new(Errno::EBADF.to_string()));
        };
        match self.world.file(pid, fd) {
            None => return Ok(Seen::new(Errno::EBADF.to_string())),
            Some(file) if file.as_device().is_none() => return Ok(Seen::new("no device")),
            Some(_) => {}
        }
        let caller = Caller { pid, tid, fd };
        match &step.action {
            Action::Mmap { size, writable } => {
                self.world.mmap_fd(pid, fd, *size, *writable)?;
                let before = self.mappings[step.actor];
                self.mappings[step.actor] += 1;
                if let Some(place) = place {
                    opens.set_mapped(place, true);
                    known[place].base = Some(MAPPING_BASE + before * MAPPING_STEP);
                    known[place].size = size.next_multiple_of(PAGE);
                }
                Ok(Seen::new("ok"))
            }
            Action::Poll => {
                let readable = self.world.poll(caller)?;
                Ok(Seen::new(if readable { "readable" } else { "nothing to read" }))
            }
            Action::WriteRead { read, .. } => {
                self.write_read((step.actor, place), caller, &write, *read, line)
            }
            action => match self.ioctl(action) {
                Some(ioctl) => match self.world.ioctl(caller, ioctl)? {
                    Some(answer) => Ok(Seen::answer(&answer, &self.names(step.actor, None))),
                    None => self.wait((step.actor, place), caller, line, Written::default()),
                },
                None => Ok(Seen::new(Errno::EINVAL.to_string())),
            },
        }
    }

    /// The ioctl that an action is.
    fn ioctl(&self, action: &Action) -> Option<Ioctl> {
        let pid = |actor: &str| {
            let place = self.script.actors.iter().position(|known| known.name == actor);
            place.map_or(0, |place| self.pids[place].raw())
        };
        Some(match action {
            Action::SetContextMgr => Ioctl::SetContextMgr,
            Action::SetContextMgrExt(flags) => {
                Ioctl::SetContextMgrExt { ptr: 0, cookie: 0, flags: ObjectFlags(flags.0) }
            }
            Action::SetMaxThreads(most) => Ioctl::SetMaxThreads(*most),
            Action::ThreadExit => Ioctl::ThreadExit,
            Action::Version => Ioctl::Version,
            Action::GetNodeDebugInfo(ptr) => Ioctl::GetNodeDebugInfo { ptr: *ptr },
            Action::GetNodeInfoForRef(handle) => {
                let Number::Is(handle) = self.symbols.number(*handle) else { return None };
                Ioctl::GetNodeInfoForRef(NodeInfoForRef { handle, ..NodeInfoForRef::default() })
            }
            Action::Freeze { actor, enable, timeout_ms } => {
                Ioctl::Freeze { pid: pid(actor), enable: *enable, timeout_ms: *timeout_ms }
            }
            Action::GetFrozenInfo(actor) => Ioctl::GetFrozenInfo { pid: pid(actor) },
            Action::EnableOnewaySpamDetection(on) => Ioctl::EnableOnewaySpamDetection(*on != 0),
            Action::GetExtendedError => Ioctl::GetExtendedError,
            Action::Ioctl(number) => Ioctl::Unknown(*number),
            _ => return None,
        })
    }

    /// The threads of this actor are no more.
    fn kill(&mut self, actor: usize) {
        let now = self.now;
        self.waiting.retain(|waiting| {
            let killed = waiting.actor == actor;
            if killed {
                let line = &mut self.transcript.lines[waiting.line];
                (line.saw, line.after) = (Seen::new("killed"), Some(now));
            }
            !killed
        });
    }

    /// What the numbers that an actor sees are called; `base` is where its mapping begins.
    fn names(&self, actor: usize, base: Option<u64>) -> Names {
        let actors = self.pids.iter().zip(&self.script.actors);
        let pids = actors.map(|(pid, actor)| (pid.raw(), actor.name.clone())).collect();
        Names { base: base.unwrap_or(u64::MAX), pids, files: self.files(actor) }
    }

    /// What an actor has open.
    fn files(&self, actor: usize) -> Vec<FileSeen> {
        let rows =
            self.world.table(self.pids[actor]).map(|table| table.rows(|file| String::from(file.label())));
        let file = |row: FdRow| FileSeen { fd: row.fd, name: row.file, cloexec: row.close_on_exec };
        rows.unwrap_or_default().into_iter().map(file).collect()
    }
}
