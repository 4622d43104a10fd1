//! Handing over by birth: the child has the region because its parent had it open.
//!
//! Here the receiver does not wait; it comes to life, maps the region, sums its bytes, answers, and ends. So
//! its life is in the figure, and there are two lives: a fork, which copies this process, and a fork and
//! exec, which loads a program as well. The starting is std's `Command` in both of the latter: our library
//! prepares one, and has no other way.

#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::Command;
use std::rc::Rc;

use fd_shm::Region;
use fd_shm::handover::inherit;

use super::hand_over::{sum_ours, sum_raw};
use crate::Failure;
use crate::clock::Alone;
use crate::floor::memfd;
use crate::floor::process;
use crate::measure::Entry;
use crate::payload::{Buffer, buffer, expect_sum, pattern, sum};

/// The hidden argument that makes a program such a child.
pub(crate) const ARGUMENT: &str = "--heir";

/// The name by which our child asks for its region.
const NAME: &str = "BENCHES_REGION";

/// The ways of one size.
pub(super) fn entries(size: usize) -> Result<Vec<Entry>, Failure> {
    let bytes = pattern(size);
    let region = Region::create("estate", size)?;
    region.map::<()>()?.copy_in(0, &bytes)?;
    let estate = Rc::new(Estate::new(region, sum(&bytes))?);
    let in_bytes = size as u64;
    let take = || Rc::clone(&estate);
    let (one, two, three, four) = (take(), take(), take(), take());
    Ok(vec![
        Entry::floor("fork", in_bytes, Alone(move || one.fork_raw())),
        Entry::ours("fork", in_bytes, Alone(move || two.fork_ours())),
        Entry::floor("fork and exec", in_bytes, Alone(move || three.exec_raw())),
        Entry::ours("fork and exec", in_bytes, Alone(move || four.exec_ours())),
    ])
}

/// A region to be inherited, and the way by which the heirs answer.
struct Estate {
    /// The region.
    region: Region,
    /// What an heir must answer.
    sum: u64,
    /// Where the answers come from.
    from: PipeReader,
    /// Where they are written.
    to: PipeWriter,
    /// Private memory to copy into: made here, since a forked child allocates nothing.
    buffer: RefCell<Box<Buffer>>,
}

impl Estate {
    fn new(region: Region, sum: u64) -> Result<Self, Failure> {
        let (from, to) = pipe().map_err(|e| Failure::call("pipe2(O_CLOEXEC)", &e))?;
        Ok(Self { region, sum, from, to, buffer: RefCell::new(buffer()) })
    }

    /// The region's number, here and in every child.
    fn number(&self) -> i32 {
        self.region.as_fd().as_raw_fd()
    }

    fn fork_raw(&self) -> Result<(), Failure> {
        let buffer = &mut self.buffer.borrow_mut();
        let child = process::fork(|| {
            let memory = memfd::map(self.region.as_fd());
            let sum = memory.and_then(|memory| sum_raw(&memory, self.region.len(), buffer));
            sum.is_ok_and(|sum| process::put(&self.to, &sum.to_ne_bytes()))
        })?;
        child.wait()?;
        self.expect_answer()
    }

    fn fork_ours(&self) -> Result<(), Failure> {
        let buffer = &mut self.buffer.borrow_mut();
        let child = process::fork(|| {
            let sum = sum_ours(&self.region, self.region.len(), buffer);
            sum.is_ok_and(|sum| process::put(&self.to, &sum.to_ne_bytes()))
        })?;
        child.wait()?;
        self.expect_answer()
    }

    fn exec_raw(&self) -> Result<(), Failure> {
        let mut command = self.heir(&self.number().to_string())?;
        process::keep_open(&mut command, self.region.as_fd());
        self.start(command)
    }

    fn exec_ours(&self) -> Result<(), Failure> {
        let mut command = self.heir(NAME)?;
        inherit::hand_down(&mut command, NAME, self.region.as_fd())?;
        self.start(command)
    }

    /// This program as an heir, which is told by what to ask for its region.
    fn heir(&self, by: &str) -> Result<Command, Failure> {
        let to = self.to.try_clone().map_err(|e| Failure::call("fcntl(F_DUPFD_CLOEXEC)", &e))?;
        let path = std::env::current_exe().map_err(|e| Failure::call("readlink(/proc/self/exe)", &e))?;
        let mut command = Command::new(path);
        command.args([ARGUMENT, by, &self.region.len().to_string()]).stdout(OwnedFd::from(to));
        Ok(command)
    }

    fn start(&self, mut command: Command) -> Result<(), Failure> {
        let status = command.status().map_err(|e| Failure::call("starting an heir", &e))?;
        if !status.success() {
            return Err(Failure::new(format!("an heir ended with {status}")));
        }
        self.expect_answer()
    }

    /// Read after the child has ended: its answer is in the pipe, or it ended badly and this is not reached.
    fn expect_answer(&self) -> Result<(), Failure> {
        let mut answer = [0; 8];
        (&self.from).read_exact(&mut answer).map_err(|e| Failure::call("read(pipe, 8 bytes)", &e))?;
        expect_sum(u64::from_ne_bytes(answer), self.sum)
    }
}

/// The child: takes the region by its number (raw) or its name (ours), and answers on standard output.
pub(crate) fn heir(arguments: &[OsString]) -> Result<(), Failure> {
    let word = |at: usize| arguments.get(at).and_then(|word| word.to_str());
    let by_hand = || Failure::new("started by hand; `benches` itself starts this role");
    let (which, size) = word(0).zip(word(1)).ok_or_else(by_hand)?;
    let size = size.parse().map_err(|_| by_hand())?;
    let sum = match which.parse() {
        Ok(number) => {
            // SAFETY: this is the first that this program does, and it takes nothing else that it inherits.
            let fd = unsafe { process::inherited(number) }?;
            sum_raw(&memfd::map(fd.as_fd())?, size, &mut buffer())?
        }
        Err(_) => {
            // SAFETY: as above.
            let fd = unsafe { inherit::take(which) }?;
            sum_ours(&Region::from_fd(fd)?, size, &mut buffer())?
        }
    };
    std::io::stdout().write_all(&sum.to_ne_bytes()).map_err(|e| Failure::call("write(1, 8 bytes)", &e))
}
