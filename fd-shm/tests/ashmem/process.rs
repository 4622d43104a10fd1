//! Actors that are real processes: each is told its lines over a socket, plays them, and tells what it was
//! answered.
//!
//! The first is forked from the test; whoever a script forks is forked from the actor that the script says.
//! Both kinds end when the test does, since the other end of their socket is closed then; what a [`Troupe`]
//! leaves behind it ends itself and waits for.

use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fd_shm::scm_rights;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid};

use crate::answer::{self, Answer};
use crate::raw;
use crate::script::{Actor, Call, Step};
use crate::stage::Cast;

/// What an actor does with its calls.
pub(crate) trait Player: Default {
    fn call(&mut self, call: &Call) -> Answer;

    /// A descriptor of the actor's, to be sent to another.
    fn give(&self, fd: &str) -> Option<BorrowedFd<'_>>;

    /// A descriptor that another has sent: what the actor says to it.
    fn take(&mut self, name: &str, fd: OwnedFd) -> Answer;
}

/// Room for the longest line, and for the longest answer: a name of 255 bytes, or all bytes that were
/// written.
const MESSAGE: usize = 4096;

/// The processes of one script.
pub(crate) struct Troupe<P> {
    /// In the order in which they came.
    actors: Vec<(Actor, Process)>,
    player: PhantomData<P>,
}

/// One of them, as the test sees it.
struct Process {
    /// Where it gets its lines.
    socket: UnixStream,
    pid: Pid,
    /// Readable once it has ended, and all that it held is closed.
    pidfd: OwnedFd,
}

impl Process {
    fn new(socket: UnixStream, pid: i32) -> Self {
        let pid = Pid::from_raw(pid).expect("a pid");
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("pidfd_open");
        Self { socket, pid, pidfd }
    }

    /// Has it play a step, with a descriptor if need be: what it was answered, with a descriptor if it gave
    /// one.
    fn play(&self, step: &Step, fd: Option<BorrowedFd<'_>>) -> (Answer, Option<OwnedFd>) {
        let failed = |error: &dyn std::fmt::Display| format!("its process failed: {error}");
        if let Err(error) = scm_rights::send(&self.socket, step.to_string().as_bytes(), fd.as_slice()) {
            return (failed(&error), None);
        }
        match hear(&self.socket) {
            Ok((answer, fd)) => (answer, fd),
            Err(error) => (failed(&error), None),
        }
    }

    /// `kill -9`, and waits until it holds nothing any more.
    fn end(&self) {
        let _ended_by_itself = pidfd_send_signal(&self.pidfd, Signal::KILL).is_err();
        let mut ended = [PollFd::new(&self.pidfd, PollFlags::IN)];
        poll(&mut ended, None).expect("poll");
    }
}

/// One message from a socket.
fn hear(socket: &UnixStream) -> fd_shm::Result<(String, Option<OwnedFd>)> {
    let mut text = [0; MESSAGE];
    let mut message = scm_rights::receive(socket, &mut text, 1)?;
    assert!(message.len < MESSAGE, "a longer message than there is room for");
    Ok((String::from_utf8_lossy(&text[..message.len]).into_owned(), message.descriptors.pop()))
}

impl<P: Player> Troupe<P> {
    /// Nobody yet. Whoever is forked by an actor becomes this process's child when that actor ends, so that
    /// it can be waited for.
    pub(crate) fn new() -> Self {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).expect("prctl");
        Self { actors: Vec::new(), player: PhantomData }
    }

    fn process(&self, actor: Actor) -> &Process {
        &self.actors.iter().find(|(who, _)| *who == actor).expect("somebody who is there").1
    }
}

impl<P: Player> Cast for Troupe<P> {
    fn start(&mut self, actor: Actor) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        let Some(pid) = raw::fork() else {
            // Our ends of the others' sockets were copied too, and would keep them from seeing our end.
            for (_, other) in std::mem::take(&mut self.actors) {
                drop(other.socket);
                drop(other.pidfd);
            }
            drop(ours);
            act(P::default(), theirs);
        };
        self.actors.push((actor, Process::new(ours, pid)));
    }

    fn fork(&mut self, actor: Actor, child: Actor) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        let step = Step { actor, call: Call::Fork { child } };
        let (pid, _) = self.process(actor).play(&step, Some(theirs.as_fd()));
        let pid = pid.parse().unwrap_or_else(|_| panic!("{actor}, forking: {pid}"));
        self.actors.push((child, Process::new(ours, pid)));
    }

    fn kill(&mut self, actor: Actor) {
        self.process(actor).end();
    }

    fn send(&mut self, from: Actor, fd: &str, to: Actor, name: &str) -> Answer {
        let step = |actor| Step { actor, call: Call::Send { fd: fd.to_owned(), to, name: name.to_owned() } };
        let (answer, sent) = self.process(from).play(&step(from), None);
        match sent {
            Some(sent) => self.process(to).play(&step(to), Some(sent.as_fd())).0,
            None => answer,
        }
    }

    fn call(&mut self, actor: Actor, call: &Call) -> Answer {
        self.process(actor).play(&Step { actor, call: call.clone() }, None).0
    }
}

impl<P> Drop for Troupe<P> {
    fn drop(&mut self) {
        // Parents before children: a child is ours to wait for once its parent is gone.
        for (actor, process) in &self.actors {
            process.end();
            let waited = waitpid(Some(process.pid), WaitOptions::empty());
            assert!(
                matches!(waited, Ok(Some(_))) || std::thread::panicking(),
                "waiting for {actor}: {waited:?}"
            );
        }
    }
}

/// An actor's life: plays what it is told until nobody tells it anything any more.
fn act<P: Player>(mut player: P, mut socket: UnixStream) -> ! {
    while let Ok((line, fd)) = hear(&socket) {
        // A panic must not leave for the test that this process is a copy of.
        let played = catch_unwind(AssertUnwindSafe(|| perform(&mut player, &mut socket, &line, fd)));
        if let Err(why) = played {
            let why = why.downcast_ref::<String>().map_or("a panic", String::as_str);
            drop(scm_rights::send(&socket, format!("panicked: {why}").as_bytes(), &[]));
        }
    }
    raw::exit(0)
}

/// Plays one step, and answers.
fn perform<P: Player>(player: &mut P, socket: &mut UnixStream, line: &str, fd: Option<OwnedFd>) {
    let step: Step = line.parse().expect("a step");
    match (step.call, fd) {
        (Call::Fork { .. }, Some(theirs)) => match raw::fork() {
            Some(pid) => say(socket, &pid.to_string(), None),
            None => *socket = theirs.into(),
        },
        (Call::Send { name, .. }, Some(fd)) => say(socket, &player.take(&name, fd), None),
        (Call::Send { fd, .. }, None) => match player.give(&fd) {
            Some(given) => say(socket, answer::OK, Some(given)),
            None => say(socket, &answer::no(&fd), None),
        },
        (call, _) => say(socket, &player.call(&call), None),
    }
}

fn say(socket: &UnixStream, answer: &str, fd: Option<BorrowedFd<'_>>) {
    scm_rights::send(socket, answer.as_bytes(), fd.as_slice()).expect("somebody who hears it");
}
