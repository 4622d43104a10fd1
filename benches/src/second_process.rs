//! The second process: this program, started again.
//!
//! It is a process and not a thread, since threads share what is in question here: address space,
//! descriptor table, page tables. It lives as long as a question, on a CPU of its own where there are two,
//! and plays one part for each subject.
//!
//! It never outlives its parent: the kernel kills it when the thread that started it ends, in whatever way.
//! The other way round, a parent that spins on a word would wait for ever for a dead child; a thread of the
//! parent that sleeps on the child's pidfd ends the program then.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, ExitCode};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, PidfdFlags, Signal, getppid, pidfd_open, set_parent_process_death_signal};

use crate::Failure;
use crate::clock::Clock;
use crate::memory::Invitation;
use crate::orders::{Answer, Join, Order, PartName, receive_answer, receive_order, send_answer, send_order};
use crate::parts::{self, Part};
use crate::place::{Place, pin};
use crate::questions::inheritance;
use crate::usage::Usage;

/// The hidden argument that makes a program the second process.
const ARGUMENT: &str = "--second-process";

/// The second process, seen from the first.
#[derive(Debug)]
pub struct SecondProcess {
    /// The process, killed and reaped on drop.
    child: Child,
    /// Orders go out here, answers come in.
    control: OwnedFd,
    /// Set by the first who deals with the end of the child: we who end it, or the thread that notices it.
    accounted_for: Arc<AtomicBool>,
    /// Parts given out.
    parts: std::cell::Cell<usize>,
}

impl SecondProcess {
    /// Starts it.
    ///
    /// The running program must call [`become_if_asked`] first thing in its `main`.
    ///
    /// # Errors
    ///
    /// When a socket pair or a process cannot be made.
    pub fn start(place: Place) -> Result<Rc<Self>, Failure> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(|e| Failure::call("socketpair(AF_UNIX, SOCK_SEQPACKET)", &e.into()))?;
        let program = std::env::current_exe().map_err(|e| Failure::call("readlink(/proc/self/exe)", &e))?;
        let mut command = Command::new(program);
        command.arg(ARGUMENT).arg(std::process::id().to_string()).stdin(theirs);
        command.args(place.pair.map(|(_, cpu)| cpu.to_string()));
        let child = command.spawn().map_err(|e| Failure::call("starting the second process", &e))?;
        let accounted_for = Arc::new(AtomicBool::new(false));
        let process = Self { child, control: ours, accounted_for, parts: 0.into() };
        process.watch()?;
        Ok(Rc::new(process))
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives it a part, and waits until it is ready for it; the answer is the part's number.
    pub(crate) fn join(
        &self,
        part: PartName,
        size: usize,
        invitation: &Invitation,
        more: &[BorrowedFd<'_>],
    ) -> Result<usize, Failure> {
        let descriptors: Vec<_> =
            invitation.fd.iter().map(OwnedFd::as_fd).chain(more.iter().copied()).collect();
        self.join_with(
            Join { part, size, id: invitation.id, name: None, descriptors: descriptors.len() },
            &descriptors,
        )
    }

    /// Gives it a part that begins at a name.
    pub(crate) fn join_named(&self, part: PartName, size: usize, name: String) -> Result<usize, Failure> {
        self.join_with(Join { part, size, id: None, name: Some(name), descriptors: 0 }, &[])
    }

    fn join_with(&self, join: Join, descriptors: &[BorrowedFd<'_>]) -> Result<usize, Failure> {
        send_order(self.control.as_fd(), &Order::Join(join), descriptors)?;
        receive_answer(&self.control)?;
        let part = self.parts.get();
        self.parts.set(part + 1);
        Ok(part)
    }

    /// Sets a part going.
    pub(crate) fn run(&self, part: usize, count: u64) -> Result<(), Failure> {
        send_order(self.control.as_fd(), &Order::Run { part, count }, &[])
    }

    /// Waits until it has done what it was told: the sum of what it has read. What it has used up for that
    /// goes to the clock.
    pub(crate) fn answer(&self, clock: &mut Clock) -> Result<u64, Failure> {
        let answer = receive_answer(&self.control)?;
        clock.add_usage(answer.usage);
        Ok(answer.sum)
    }

    /// Starts the thread that notices an end that nobody asked for.
    fn watch(&self) -> Result<(), Failure> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| Failure::new("a child without a process id"))?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty())
            .map_err(|e| Failure::call(format!("pidfd_open({pid})"), &e.into()))?;
        let accounted_for = Arc::clone(&self.accounted_for);
        std::thread::spawn(move || {
            // Interrupted: ask again. A pidfd becomes readable when its process has ended.
            while poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None).is_err() {}
            // Relaxed: nothing but the flag itself is exchanged, and one of the two sees it first.
            if !accounted_for.swap(true, Ordering::Relaxed) {
                say_that_it_ended();
                std::process::exit(1);
            }
        });
        Ok(())
    }
}

impl Drop for SecondProcess {
    fn drop(&mut self) {
        // A subject may notice the other's end (a closed socket) before the thread does, and fail first.
        let by_itself = self.child.try_wait().is_ok_and(|status| status.is_some());
        if !self.accounted_for.swap(true, Ordering::Relaxed) && by_itself {
            say_that_it_ended();
        }
        // It holds nothing that would have to be put away: its memory and descriptors end with it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn say_that_it_ended() {
    eprintln!("benches: the second process ended in the middle of the work; no figure can be given");
}

/// Becomes the second process, or a child that inherits a region, if that is what this program was started
/// for.
///
/// Call this first thing in `main`, and return what it returns.
pub fn become_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let role = arguments.next()?;
    let rest: Vec<_> = arguments.collect();
    let done = match role.to_str()? {
        ARGUMENT => serve(&rest),
        inheritance::ARGUMENT => inheritance::heir(&rest),
        _ => return None,
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("benches, {}: {failure}", role.display());
            ExitCode::FAILURE
        }
    })
}

/// Follows orders until the first process is gone.
fn serve(arguments: &[OsString]) -> Result<(), Failure> {
    let number = |at: usize| arguments.get(at)?.to_str()?.parse::<u32>().ok();
    let parent =
        number(0).ok_or_else(|| Failure::new("started by hand; `benches` itself starts this role"))?;
    die_with(parent)?;
    if let Some(cpu) = number(1) {
        pin(cpu as usize)?;
    }
    let control = rustix::stdio::stdin();
    let mut parts: Vec<Box<dyn Part>> = Vec::new();
    while let Some((order, descriptors)) = receive_order(control)? {
        let answer = match order {
            Order::Join(join) => {
                parts.push(parts::join(join, descriptors)?);
                Answer::default()
            }
            Order::Run { part, count } => {
                let part =
                    parts.get_mut(part).ok_or_else(|| Failure::new(format!("no part {part} was given")))?;
                let before = Usage::now()?;
                let sum = part.run(count)?;
                Answer { sum, usage: Usage::now()? - before }
            }
        };
        send_answer(control, answer)?;
    }
    Ok(())
}

/// Asks the kernel to kill this process when its parent ends, and makes sure that it has not ended before.
fn die_with(parent: u32) -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|e| Failure::call("prctl(PR_SET_PDEATHSIG, SIGKILL)", &e.into()))?;
    let now = getppid().map(|pid| pid.as_raw_pid().cast_unsigned());
    if now == Some(parent) { Ok(()) } else { Err(Failure::new("the process that started this one is gone")) }
}
