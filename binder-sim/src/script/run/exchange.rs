//! `ioctl(BINDER_WRITE_READ)` of a script, by way of the kernel's bytes, and what comes of it.

use super::{Run, Seen};
use crate::driver::{Read, ThreadId, WriteRead};
use crate::errno::Errno;
use crate::error::Error;
use crate::protocol::{Command, Return};
use crate::script::Say;
use crate::script::encode::Encoded;
use crate::wire::{self, Blocks};
use crate::world::Caller;
use alloc::string::ToString;
use alloc::vec::Vec;

/// A thread that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Whose.
    pub(super) actor: usize,
    /// The place of the open among the actor's own, if it is one of them.
    place: Option<usize>,
    /// Which.
    pub(super) thread: ThreadId,
    /// The line of the transcript that waits to be filled.
    pub(super) line: usize,
    /// What it wrote.
    written: Written,
}

/// The bytes that a step writes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    /// How many there are.
    size: usize,
    /// How many of them are said to have been taken before.
    consumed: usize,
    /// How many were taken in all, if that is known already.
    taken: Option<usize>,
}

impl Run<'_> {
    /// `ioctl(BINDER_WRITE_READ)`.
    ///
    /// If another thread of the process waits, a step that writes and reads is two calls, and between them
    /// whoever is woken runs: what is written can be work for the process, and then a kernel leaves open
    /// which of its threads takes it.
    pub(super) fn write_read(
        &mut self,
        (actor, place): (usize, Option<usize>),
        caller: Caller,
        write: &[Say],
        read: Read,
        line: usize,
    ) -> Result<Seen, Error> {
        let mut memory = Blocks::default();
        let base = self.base(actor, place);
        let Encoded { bytes, consumed } = Encoded::new(write, base.unwrap_or(0), &mut memory);
        let mut commands = wire::decode(&bytes[consumed.min(bytes.len())..], &memory);
        let mut written = Written { size: bytes.len(), consumed, taken: None };
        if self.is_patient
            && read.size > 0
            && !write.is_empty()
            && self.waiting.iter().any(|w| w.actor == actor)
        {
            let first = self.world.write_read_by(caller, core::mem::take(&mut commands), Read::NONE)?;
            if let Some(first) = first {
                if first.error.is_some() {
                    return Ok(self.saw((actor, base), line, written, first));
                }
                written.taken = Some(consumed + first.write_consumed);
            }
            while self.world.ready() > 0 {
                self.wake(0);
            }
        }
        self.exchange((actor, place), caller, commands, read, (line, written))
    }

    /// Commands and a read, in one call.
    fn exchange(
        &mut self,
        (actor, place): (usize, Option<usize>),
        caller: Caller,
        commands: Vec<Command>,
        read: Read,
        (line, written): (usize, Written),
    ) -> Result<Seen, Error> {
        let base = self.base(actor, place);
        match (self.world.write_read_by(caller, commands, read), written.taken) {
            (Ok(Some(result)), _) => Ok(self.saw((actor, base), line, written, result)),
            (Ok(None), _) => self.wait((actor, place), caller, line, written),
            // What was written was a call of its own, which has been made.
            (Err(error), Some(taken)) => {
                let errno = Some(error.errno().to_string());
                Ok(Seen::write_read(errno, taken, written.size, &[], &self.names(actor, base)))
            }
            (Err(error), None) => Err(error),
        }
    }

    /// The thread waits.
    pub(super) fn wait(
        &mut self,
        (actor, place): (usize, Option<usize>),
        caller: Caller,
        line: usize,
        written: Written,
    ) -> Result<Seen, Error> {
        let process = self.world.open_at_fd(caller.pid, caller.fd);
        let Some(process) = process else { return Ok(Seen::new(Errno::EBADF.to_string())) };
        let thread = ThreadId { process, tid: caller.tid };
        self.waiting.push(Waiting { actor, place, thread, line, written });
        Ok(Seen::new("waits"))
    }

    /// Fills the lines of threads that waited and have returned.
    pub(super) fn collect(&mut self) {
        for waiting in core::mem::take(&mut self.waiting) {
            let Waiting { actor, place, thread, line, written } = waiting;
            let returned = self.world.take_returned_of_thread(thread);
            let base = self.base(actor, place);
            let saw = returned.map(|result| self.saw((actor, base), line, written, result)).or_else(|| {
                Some(match self.world.take_answer_of_thread(thread)? {
                    Ok(answer) => Seen::answer(&answer, &self.names(actor, base)),
                    Err(errno) => Seen::new(errno.to_string()),
                })
            });
            match saw {
                Some(saw) => {
                    let line = &mut self.transcript.lines[line];
                    (line.saw, line.after) = (saw, (line.step != self.now).then_some(self.now));
                }
                None => self.waiting.push(waiting),
            }
        }
    }

    /// What came out of an ioctl, as text; remembers its buffers and handles. Whoever has unmapped the
    /// device is told of what arrived, and cannot look at it.
    pub(super) fn saw(
        &mut self,
        (actor, base): (usize, Option<u64>),
        line: usize,
        Written { size, consumed, taken }: Written,
        mut result: WriteRead,
    ) -> Seen {
        let step = self.transcript.lines[line].step;
        for answer in &mut result.returns {
            if let Return::Transaction(delivered) | Return::Reply(delivered) = answer {
                if base.is_none() {
                    delivered.payload.bytes.clear();
                    delivered.payload.objects.clear();
                }
                self.symbols.received(actor, step, delivered, base.unwrap_or(0));
            }
        }
        let errno = result.error.map(|errno| errno.to_string());
        let taken = taken.unwrap_or(consumed + result.write_consumed);
        Seen::write_read(errno, taken, size, &result.returns, &self.names(actor, base))
    }

    /// Where an open of an actor is mapped.
    fn base(&self, actor: usize, place: Option<usize>) -> Option<u64> {
        self.opens[actor].1.get(place?)?.base
    }
}
