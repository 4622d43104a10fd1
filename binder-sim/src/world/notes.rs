//! What happens, written down: each step in somebody's call, with what it changes in the tables.

use super::{Pid, World};
use crate::driver::{ProcessId, Read, ThreadId, WriteRead};
use crate::fd_table::FdRow;
use crate::protocol::Command;
use crate::trace::{Lane, Row, TranslationRow, changes};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

impl<T> World<T> {
    /// The lane of a process in the trace.
    pub(super) fn lane_of(&self, pid: Pid) -> Lane {
        self.trace.as_ref().map_or(Lane::Driver, |trace| trace.lane_of(self.name(pid)))
    }

    /// How many steps have been written down.
    pub(super) fn steps(&self) -> usize {
        self.trace.as_ref().map_or(0, |trace| trace.rows.len())
    }

    /// The table of a process as lines.
    pub(super) fn rows_of(&self, pid: Pid) -> Vec<FdRow> {
        self.table(pid).map(|table| table.rows(|file| file.label().into())).unwrap_or_default()
    }

    /// Writes a step down, in the call of `thread`.
    pub(super) fn note(
        &mut self,
        thread: ThreadId,
        lane: Lane,
        function: &str,
        text: impl FnOnce() -> String,
    ) {
        if self.trace.is_some() {
            self.note_by(self.task_of(thread), lane, function, text());
        }
    }

    /// Writes a step down, with what it changed in the tables.
    fn note_by(&mut self, pid: Pid, lane: Lane, function: &str, text: String) {
        let in_call_of = self.name(pid).to_string();
        let Some(trace) = &self.trace else { return };
        let (step, function) = (trace.rows.len() + 1, function.into());
        let before = trace.replay(trace.rows.len()).tables;
        let mut made = Vec::new();
        for (at, name) in trace.processes.iter().enumerate() {
            let after = self.pid(name).map(|pid| self.rows_of(pid)).unwrap_or_default();
            made.extend(changes(at, &before[at], &after));
        }
        let row = Row { step, lane, in_call_of, function, text, changes: made };
        if let Some(trace) = &mut self.trace {
            trace.rows.push(row);
        }
    }

    /// Writes down that a number is in use now.
    pub(super) fn note_installed(
        &mut self,
        thread: ThreadId,
        owner: Pid,
        function: &str,
        number: u32,
        label: &str,
    ) {
        self.note(thread, self.lane_of(owner), function, || format!("{number} is {label:?} from here on"));
    }

    /// Adds a row to the fd translation table.
    pub(super) fn note_translation(
        &mut self,
        thread: ThreadId,
        (sender, sender_fd): (ProcessId, u32),
        file: String,
        (receiver, receiver_fd): (Pid, u32),
        chosen_at_step: usize,
    ) {
        let sender = self.name(self.opener(sender)).to_string();
        let receiver = self.name(receiver).to_string();
        let chosen_in_call_of = self.name(self.task_of(thread)).to_string();
        if let Some(trace) = &mut self.trace {
            let row = TranslationRow {
                sender,
                sender_fd,
                file,
                receiver,
                receiver_fd,
                chosen_in_call_of,
                chosen_at_step,
                installed_at_step: trace.rows.len(),
            };
            trace.translations.push(row);
        }
    }

    /// Writes down that a process makes a call.
    pub(super) fn note_call(&mut self, pid: Pid, write: &[Command], read: Read) {
        if self.trace.is_some() {
            let mut words: Vec<String> = write.iter().map(|command| format!("{command}")).collect();
            words.extend((read.size > 0).then(|| "then read".into()));
            self.note_by(pid, self.lane_of(pid), "ioctl(BINDER_WRITE_READ)", words.join("; "));
        }
    }

    /// Writes down that a process did something on its own, outside of any call of the device.
    pub fn note_action(&mut self, pid: Pid, call: &str, text: &str) {
        if self.trace.is_some() {
            self.note_by(pid, self.lane_of(pid), call, text.into());
        }
    }

    /// A call returns: keeps what came out of it.
    pub(super) fn note_return(&mut self, thread: ThreadId, result: WriteRead) {
        if self.trace.is_some() && !result.returns.is_empty() {
            let words: Vec<String> = result.returns.iter().map(|answer| format!("{answer}")).collect();
            let pid = self.task_of(thread);
            self.note_by(pid, self.lane_of(pid), "ioctl returns", words.join("; "));
        }
        self.returned.push((thread, result));
    }
}
