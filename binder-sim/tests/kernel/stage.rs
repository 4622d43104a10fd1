//! A script on a real driver: the stage forks its actors, tells each of their threads what to do, one step
//! at a time, and writes down what they saw.

mod release;

use crate::actor::{Given, play};
use crate::files::{File, is_held, make_files, named};
use crate::reply::{Exchange, Hello, Order, Reply, receive, send};
use crate::settle::{Watched, count_opens};
use crate::signal::interrupt;
use binder_sim::driver::Read;
use binder_sim::protocol::{Answer, FrozenInfo, Return};
use binder_sim::script::{Action, Names, Script, Seen, Step, Symbols};
use binder_sim::wire::{self, Blocks, Memory};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid};
use release::{PATIENCE, State, expected};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A thread of an actor.
#[derive(Debug)]
struct Thread {
    /// The way to it.
    stream: UnixStream,
    /// Its number.
    tid: i32,
    /// What /proc says of it.
    watched: Watched,
    /// The step (from 1) that it is in.
    step: Option<usize>,
    /// What was taken of what the step wrote, if that was a call of its own and it was not all.
    took: Option<String>,
}

/// A process of a script.
#[derive(Debug)]
struct Process {
    /// Its pid; none once it is dead.
    pid: Option<Pid>,
    /// Its threads.
    threads: Vec<Thread>,
}

/// How long to listen, in milliseconds, before looking whether a thread sleeps: nothing is known from it,
/// it only lets the thread run.
const A_WHILE: u8 = 1;

/// A script under way on the real driver.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    /// The script.
    script: &'a Script,
    /// Its files.
    files: Vec<File>,
    /// Its actors.
    processes: Vec<Process>,
    /// Their pids, also of the dead.
    pids: Vec<(u32, String)>,
    /// What steps have brought.
    symbols: Symbols,
    /// What every step saw.
    seen: Vec<Vec<String>>,
    /// The step under way, from 1.
    now: usize,
    /// What the driver is to have after each step.
    expected: Vec<State>,
    /// How many opens there were before: of earlier scripts, held by each other for ever.
    before: usize,
}

/// Runs a script; gives what every step saw.
pub(crate) fn run(script: &Script, kernel: &str) -> Vec<Vec<String>> {
    let mut stage = Stage::new(script, kernel);
    for number in 1..=script.steps.len() {
        stage.now = number;
        stage.step(&script.steps[number - 1]);
        stage.settle();
        stage.await_driver();
    }
    stage.end()
}

impl<'a> Stage<'a> {
    /// Forks the actors.
    fn new(script: &'a Script, kernel: &str) -> Stage<'a> {
        let (files, mut writers) = make_files(script);
        let mut stage = Stage {
            script,
            files,
            processes: Vec::new(),
            pids: Vec::new(),
            symbols: Symbols::new(script.actors.len()),
            seen: vec![Vec::new(); script.steps.len()],
            now: 0,
            expected: expected(script, kernel),
            before: count_opens(),
        };
        for (number, actor) in script.actors.iter().enumerate() {
            let threads = script
                .steps
                .iter()
                .filter(|step| step.actor == number)
                .map(|step| step.thread)
                .max()
                .unwrap_or(0);
            let pairs: Vec<_> = (0..=threads).map(|_| UnixStream::pair().expect("a pair")).collect();
            let (ours, theirs): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            match crate::fork() {
                ForkResult::Child => {
                    let mine = |file: &File| file.opener.0 == number;
                    let places = || stage.files.iter().enumerate().filter(|(_, file)| mine(file));
                    let fd = |file: &File| {
                        actor.files.iter().find(|(_, _, name)| *name == file.name).map(|(fd, ..)| *fd)
                    };
                    let open = places()
                        .filter(|(_, file)| file.opener.1 == 0)
                        .filter_map(|(place, file)| Some((fd(file)?, place)))
                        .collect();
                    let files = stage.files.iter().zip(&mut writers);
                    let files = files.map(|(file, writer)| writer.take().filter(|_| mine(file))).collect();
                    play(Given { actor: actor.clone(), streams: theirs, files, open });
                }
                ForkResult::Parent { child } => {
                    drop(theirs);
                    let mut threads = Vec::new();
                    for mut stream in ours {
                        let Hello { tid } = receive(&mut stream).expect("the actor begins");
                        let watched = Watched::new(child.as_raw(), tid).expect("the actor is alive");
                        threads.push(Thread { stream, tid, watched, step: None, took: None });
                    }
                    stage.pids.push((child.as_raw().cast_unsigned(), actor.name.clone()));
                    stage.processes.push(Process { pid: Some(child), threads });
                }
            }
        }
        stage
    }

    /// Does a step.
    fn step(&mut self, step: &Step) {
        match &step.action {
            Action::Exit => return self.kill(step.actor),
            Action::Signal => return self.signal(step),
            Action::Held(name) => {
                let held = is_held(&self.files, name, Duration::ZERO);
                return self.say(self.now, Seen::new(if held { "held" } else { "nobody has it" }));
            }
            Action::Await(name) => {
                let held = is_held(&self.files, name, PATIENCE);
                return self.say(self.now, Seen::new(if held { "still held" } else { "nobody has it" }));
            }
            _ => {}
        }
        let process = &self.processes[step.actor];
        if process.pid.is_none() {
            return self.say(self.now, Seen::new("ESRCH"));
        }
        if process.threads[step.thread as usize].step.is_some() {
            return self.say(self.now, Seen::new("not done: the thread waits"));
        }
        let mut step = step.clone();
        if self.write_alone(&mut step) {
            return;
        }
        self.ask(&step);
    }

    /// If another thread of the process waits, does the writing of a step that writes and reads by itself,
    /// and lets whoever that wakes run: a kernel leaves open which thread takes what is work for the
    /// process. Leaves the read; says whether the step ended with the writing.
    fn write_alone(&mut self, step: &mut Step) -> bool {
        let others_wait = self.processes[step.actor].threads.iter().any(|thread| thread.step.is_some());
        let Action::WriteRead { write, read } = &mut step.action else { return false };
        if !others_wait || write.is_empty() || read.size == 0 {
            return false;
        }
        let read = std::mem::replace(read, Read::NONE);
        self.ask(step);
        let lines = std::mem::take(&mut self.seen[self.now - 1]);
        let took = lines.first().filter(|line| line.starts_with("took ")).cloned();
        if took.is_none() && lines != ["ok"] {
            self.seen[self.now - 1] = lines;
            return true;
        }
        self.processes[step.actor].threads[step.thread as usize].took = took;
        step.action = Action::WriteRead { write: Vec::new(), read };
        self.settle();
        false
    }

    /// Has a thread do a step, until it has answered or waits.
    fn ask(&mut self, step: &Step) {
        let order = self.order(step);
        let thread = &mut self.processes[step.actor].threads[step.thread as usize];
        send(&mut thread.stream, &order).expect("the actor listens");
        thread.step = Some(self.now);
        self.wait_for(step.actor, step.thread as usize);
    }

    /// The step as the actor is told it.
    fn order(&mut self, step: &Step) -> Order {
        let mut step = step.clone();
        let pid =
            |name: &String| self.pids.iter().find(|(_, known)| known == name).map_or(0, |(pid, _)| *pid);
        let number = match &mut step.action {
            Action::WriteRead { write, .. } => {
                *write = self.symbols.fill_in(step.actor, write);
                0
            }
            Action::GetNodeInfoForRef(handle) => {
                *handle = self.symbols.number(*handle);
                0
            }
            Action::Freeze { actor, .. } | Action::GetFrozenInfo(actor) => pid(actor),
            Action::Open(..) => {
                let opener = (step.actor, self.now);
                let place = self.files.iter().position(|file| file.opener == opener);
                u32::try_from(place.expect("every file was made")).expect("few files")
            }
            _ => 0,
        };
        let mut script = Script::new("", self.script.actors.iter().cloned());
        script.steps.push(step);
        Order { script: script.to_string(), number }
    }

    /// Waits until a thread has answered, or sleeps in its call.
    fn wait_for(&mut self, actor: usize, thread: usize) {
        let mut before = None;
        loop {
            if self.collect(actor, thread, A_WHILE) {
                return;
            }
            let now = self.processes[actor].threads[thread].watched.sleeps_in_ioctl();
            if now.is_some() && now == before {
                let step = self.now;
                return self.seen[step - 1].push("waits".into());
            }
            before = now;
        }
    }

    /// Takes the answer of a thread, if there is one, or comes soon.
    fn collect(&mut self, actor: usize, thread: usize, milliseconds: u8) -> bool {
        let stream = &mut self.processes[actor].threads[thread].stream;
        let mut fds = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(milliseconds)) != Ok(1) {
            return false;
        }
        let reply = receive(stream).expect("the actor answers");
        let step = self.processes[actor].threads[thread].step.take().expect("it was asked");
        let mut seen = self.seen_in(actor, step, reply);
        if let Some(took) = self.processes[actor].threads[thread].took.take() {
            // It stands behind an errno and before what was read.
            let failed = usize::from(seen.lines.first().is_some_and(|line| line.starts_with('E')));
            seen.lines.insert(failed, took);
        }
        self.say(step, seen);
        true
    }

    /// Waits until nobody runs: everyone who waits in a call sleeps, and has slept since the look before.
    fn settle(&mut self) {
        let (mut before, mut patience) = (None, 0);
        loop {
            let mut now = Vec::new();
            let mut changed = false;
            for actor in 0..self.processes.len() {
                for thread in 0..self.processes[actor].threads.len() {
                    if self.processes[actor].threads[thread].step.is_none() {
                        continue;
                    }
                    if self.collect(actor, thread, patience) {
                        changed = true;
                        continue;
                    }
                    let look = self.processes[actor].threads[thread].watched.sleeps_in_ioctl();
                    changed |= look.is_none();
                    now.push(look);
                }
            }
            if !changed && (now.is_empty() || before.as_ref() == Some(&now)) {
                return;
            }
            patience = if changed { A_WHILE } else { 0 };
            before = (!changed).then_some(now);
        }
    }

    /// Writes down what a step saw, and after which step.
    fn say(&mut self, step: usize, seen: Seen) {
        let mut lines = seen.lines;
        if step != self.now
            && let Some(first) = lines.first_mut()
        {
            *first = format!("after {}: {first}", self.now);
        }
        self.seen[step - 1] = lines;
    }

    /// An actor dies.
    fn kill(&mut self, actor: usize) {
        let Some(pid) = self.processes[actor].pid.take() else {
            return self.say(self.now, Seen::new("ESRCH"));
        };
        kill(pid, Signal::SIGKILL).expect("our child");
        waitpid(pid, None).expect("our child");
        for thread in 0..self.processes[actor].threads.len() {
            if let Some(step) = self.processes[actor].threads[thread].step.take() {
                self.say(step, Seen::new("killed"));
            }
        }
        self.say(self.now, Seen::new("ok"));
    }

    /// A thread that waits is sent a signal.
    fn signal(&mut self, step: &Step) {
        let Process { pid, threads } = &self.processes[step.actor];
        let Some(pid) = *pid else { return self.say(self.now, Seen::new("ESRCH")) };
        let thread = &threads[step.thread as usize];
        if thread.step.is_some() {
            interrupt(pid, thread.tid);
        }
        self.say(self.now, Seen::new("ok"));
    }

    /// What a step saw.
    fn seen_in(&mut self, actor: usize, step: usize, reply: Reply) -> Seen {
        let errno = |raw: i32| format!("{:?}", Errno::from_raw(raw));
        match reply {
            Reply::Failed(raw) => Seen::new(errno(raw)),
            Reply::Done => Seen::new("ok"),
            Reply::Fd(fd) => Seen::new(format!("fd {fd}")),
            Reply::Text(text) => Seen::new(text),
            Reply::Frozen(pid, sync_recv, async_recv) => {
                let names = Names { pids: self.pids.clone(), ..Names::default() };
                Seen::answer(&Answer::FrozenInfo(FrozenInfo { pid, sync_recv, async_recv }), &names)
            }
            Reply::Table(all) => Seen::table(&named(&self.files, &all)),
            Reply::Exchange(exchange) => self.exchange(actor, step, exchange),
        }
    }

    /// What came of commands and a read.
    fn exchange(&mut self, actor: usize, step: usize, exchange: Exchange) -> Seen {
        let Exchange { errno, written: (written, taken), read, base, memory, descriptors } = exchange;
        let memory = memory.iter().fold(Blocks::default(), |blocks, (at, bytes)| blocks.with(*at, bytes));
        let returns = wire::decode_returns(&read, &memory);
        for delivered in returns.iter().filter_map(Return::delivered) {
            self.symbols.received(actor, step, delivered, base);
        }
        let names = Names { base, pids: self.pids.clone(), files: named(&self.files, &descriptors) };
        let errno = (errno != 0).then(|| format!("{:?}", Errno::from_raw(errno)));
        let mut seen = Seen::write_read(errno, taken, written, &returns, &names);
        // What our types cannot say the driver must not say: padding is zero, pointers are where they belong.
        if wire::encode_returns(&returns) != read {
            seen.lines.push(format!("there is more in what was read: {read:02x?}"));
        }
        for delivered in returns.iter().filter_map(Return::delivered) {
            let is = memory.read(delivered.buffer, delivered.payload.data_size);
            if wire::lay_out(delivered)[..is.len()] != *is {
                seen.lines.push(format!("there is more in the objects: {is:02x?}"));
            }
        }
        seen
    }

    /// Ends all actors; gives what was seen.
    fn end(mut self) -> Vec<Vec<String>> {
        let seen = self.seen.clone();
        for actor in 0..self.processes.len() {
            if self.processes[actor].pid.is_some() {
                self.kill(actor);
            }
        }
        self.seen = seen;
        self.now += 1;
        self.await_driver();
        // What was in flight is released with the processes: a file that anybody still has is a leak.
        let mut seen = std::mem::take(&mut self.seen);
        let names: Vec<String> = self.files.iter().map(|file| file.name.clone()).collect();
        for name in names {
            if is_held(&self.files, &name, PATIENCE) {
                seen.last_mut().expect("a step").push(format!("{name} is leaked"));
            }
        }
        seen
    }
}
