//! What the driver asks of the world, done: files looked up, numbers reserved and installed, steps written down.

use super::{Answer, File, Pid, World};
use crate::driver::{InFlight, Input, Install, InstallRemote, Looked, Output};
use crate::driver::{ProcessId, Read, ThreadId, WriteRead};
use crate::errno::Errno;
use crate::fd_table::{FdRow, FdTable, Reserved};
use crate::protocol::Command;
use crate::trace::{Lane, Row, TranslationRow};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

impl<T> World<T> {
    /// Gives the driver an input, and does everything it then says.
    pub(super) fn handle(&mut self, input: Input<File<T>>) {
        self.driver.handle(input);
        while let Some(output) = self.driver.poll() {
            match output {
                Output::Opened(open) => self.answer = Some(Answer::Opened(open)),
                Output::Done(done) => self.answer = Some(Answer::Done(done)),
                Output::ExtendedError(error) => self.answer = Some(Answer::ExtendedError(error)),
                Output::Install(install) => self.install(install),
                Output::InstallRemote(install) => self.install_remote(install),
                Output::CloseRemote { target, number } => self.close_remote(target, number),
                Output::Wake(thread) => self.ready.push_back(thread),
                Output::Return { thread, result } => self.note_return(thread, result),
                Output::Step { thread, function, text } => self.note(thread, Lane::Driver, function, || text),
            }
        }
    }

    /// The driver's answer to an input that is answered with success or an errno; no answer is success.
    pub(super) fn done(&mut self) -> Result<(), Errno> {
        match self.answer.take() {
            Some(Answer::Done(done)) => done,
            _ => Ok(()),
        }
    }

    /// Puts beside each descriptor number the file that the process has there: its own table, in its own call.
    pub(super) fn look_up(&self, pid: Pid, write: Vec<Command>) -> Vec<Looked<File<T>>> {
        let table = self.table(pid);
        let find = |fd: u32| table.and_then(|table| table.get(fd)).cloned();
        write.into_iter().map(|command| Looked::new(command, find)).collect()
    }

    /// Deferred: all numbers are reserved in the reader's table, then all files installed; or none.
    fn install(&mut self, install: Install<File<T>>) {
        let Install { call, sender, files } = install;
        let (reader, opener) = (call.thread(), self.opener(call.table()));
        let answer = self.reserve(reader, opener, &files).map(|reserved| {
            let installed = reserved.into_iter().zip(files);
            let numbers = installed.map(|((number, step), file)| {
                let note = self.trace.is_some().then(|| (file.file.to_string(), file.sender_fd));
                let Some(table) = self.table_at(opener) else { return number.number() };
                let number = table.fd_install(number, file.file, true);
                if let Some((label, sender_fd)) = note {
                    self.note_installed(reader, opener, "fd_install", number, &label);
                    self.note_translation(reader, (sender, sender_fd), label, (opener, number), step);
                }
                number
            });
            numbers.collect()
        });
        self.driver.handle(Input::Installed(call, answer));
    }

    /// Reserves a number for each file, and says at which step each was chosen; or puts all back.
    fn reserve(
        &mut self,
        reader: ThreadId,
        opener: Pid,
        files: &[InFlight<File<T>>],
    ) -> Result<Vec<(Reserved, usize)>, Errno> {
        let lane = self.lane_of(opener);
        let mut reserved = Vec::with_capacity(files.len());
        for file in files {
            let table = self.table_at(opener).ok_or(Errno::ESRCH)?;
            match table.get_unused_fd_flags() {
                Ok(number) => {
                    let chosen = number.number();
                    self.note(reader, lane, "get_unused_fd_flags", || {
                        format!("{chosen}: the lowest free in its own table, O_CLOEXEC")
                    });
                    reserved.push((number, self.steps()));
                    self.note(reader, Lane::Driver, "binder_alloc_copy_to_buffer", || {
                        format!("the object at offset {} says {chosen} now", file.offset)
                    });
                }
                Err(errno) => {
                    for (number, _) in reserved {
                        table.put_unused_fd(number);
                    }
                    self.note(reader, lane, "get_unused_fd_flags", || format!("no number is free: -{errno}"));
                    return Err(errno);
                }
            }
        }
        Ok(reserved)
    }

    /// Classic: a number in the target's table, from inside the sender's call; whatever the target is doing.
    fn install_remote(&mut self, install: InstallRemote<File<T>>) {
        let InstallRemote { call, file } = install;
        let (sender, opener) = (call.thread(), self.opener(call.table()));
        let lane = self.lane_of(opener);
        let answer = self.table_at(opener).ok_or(Errno::ESRCH).and_then(|table| table.get_unused_fd_flags());
        let answer = answer.map(|reserved| {
            let (number, owner) = (reserved.number(), opener);
            self.note(sender, lane, "task_get_unused_fd_flags", || {
                format!("{number}: the lowest free in the target's table, O_CLOEXEC")
            });
            let (step, note) = (self.steps(), self.trace.is_some().then(|| file.file.to_string()));
            if let Some(table) = self.table_at(owner) {
                table.fd_install(reserved, file.file, true);
            }
            if let Some(label) = note {
                self.note_installed(sender, owner, "task_fd_install", number, &label);
                let from = (sender.process, file.sender_fd);
                self.note_translation(sender, from, label, (owner, number), step);
            }
            number
        });
        if let Err(errno) = answer {
            let text = || format!("no number is free: -{errno}, which is reported as -ENOMEM");
            self.note(sender, lane, "task_get_unused_fd_flags", text);
        }
        self.driver.handle(Input::InstalledRemotely(call, answer));
    }

    /// Classic: a number that was given away for a transaction that then failed.
    fn close_remote(&mut self, target: ProcessId, number: u32) {
        let opener = self.opener(target);
        if let Some(table) = self.table_at(opener) {
            // A receiver may have closed it by itself meanwhile.
            drop(table.close(number));
        }
        let name = self.name(opener).to_string();
        if let Some(trace) = &mut self.trace {
            let arrived =
                trace.translations.iter().rposition(|row| row.receiver == name && row.receiver_fd == number);
            arrived.map(|at| trace.translations.remove(at));
        }
    }

    /// The last close of the device, if the process has it open.
    pub(super) fn close_device(&mut self, pid: Pid) {
        if let Some(open) = self.processes[pid.index()].open.take() {
            self.ready.retain(|thread| thread.process != open);
            self.returned.retain(|(thread, _)| thread.process != open);
            self.handle(Input::Close(open));
        }
    }

    /// Whose open it is, or was.
    fn opener(&self, open: ProcessId) -> Pid {
        self.openers.get(open.index()).copied().unwrap_or(Pid::FIRST)
    }

    /// The table of a process, if it lives.
    fn table_at(&mut self, pid: Pid) -> Option<&mut FdTable<File<T>>> {
        self.processes.get_mut(pid.index())?.table.as_mut()
    }

    /// Remembers a file, for the count.
    pub(super) fn watch(&mut self, file: &File<T>) {
        if self.ledger.len() == self.ledger.capacity() {
            self.ledger.retain(|watch| watch.references() > 0);
        }
        self.ledger.push(file.watch());
    }

    /// What came out of a call, if it has returned.
    pub(super) fn take_returned_of(&mut self, thread: ThreadId) -> Option<WriteRead> {
        let at = self.returned.iter().position(|(id, _)| *id == thread)?;
        Some(self.returned.swap_remove(at).1)
    }

    /// The lane of a process in the trace.
    fn lane_of(&self, pid: Pid) -> Lane {
        self.trace.as_ref().map_or(Lane::Driver, |trace| trace.lane_of(self.name(pid)))
    }

    /// How many steps have been written down.
    fn steps(&self) -> usize {
        self.trace.as_ref().map_or(0, |trace| trace.rows.len())
    }

    /// The table of a process as lines.
    pub(super) fn rows_of(&self, pid: Pid) -> Vec<FdRow> {
        self.table(pid).map(|table| table.rows(|file| file.label().into())).unwrap_or_default()
    }

    /// Writes a step down, in the call of `thread`.
    fn note(&mut self, thread: ThreadId, lane: Lane, function: &str, text: impl FnOnce() -> String) {
        if self.trace.is_some() {
            self.note_by(self.opener(thread.process), lane, function, text());
        }
    }

    /// Writes a step down, with both tables as they are now.
    fn note_by(&mut self, pid: Pid, lane: Lane, function: &str, text: String) {
        let in_call_of = self.name(pid).to_string();
        let find = |name: &str| self.processes.iter().position(|process| process.name == name);
        let Some(trace) = &self.trace else { return };
        let (sender, receiver) = (find(&trace.sender), find(&trace.receiver));
        let rows = |at: Option<usize>| at.map(|at| self.rows_of(Pid::from_index(at))).unwrap_or_default();
        let (sender_table, receiver_table) = (rows(sender), rows(receiver));
        let (step, function) = (trace.rows.len() + 1, function.into());
        let row = Row { step, lane, in_call_of, function, text, sender_table, receiver_table };
        if let Some(trace) = &mut self.trace {
            trace.rows.push(row);
        }
    }

    /// Writes down that a number is in use now.
    fn note_installed(&mut self, thread: ThreadId, owner: Pid, function: &str, number: u32, label: &str) {
        self.note(thread, self.lane_of(owner), function, || format!("{number} is {label:?} from here on"));
    }

    /// Adds a row to the fd translation table.
    fn note_translation(
        &mut self,
        thread: ThreadId,
        (sender, sender_fd): (ProcessId, u32),
        file: String,
        (receiver, receiver_fd): (Pid, u32),
        chosen_at_step: usize,
    ) {
        let sender = self.name(self.opener(sender)).to_string();
        let receiver = self.name(receiver).to_string();
        let chosen_in_call_of = self.name(self.opener(thread.process)).to_string();
        if let Some(trace) = &mut self.trace {
            let row = TranslationRow {
                sender,
                sender_fd,
                file,
                receiver,
                receiver_fd,
                chosen_in_call_of,
                chosen_at_step,
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
    fn note_return(&mut self, thread: ThreadId, result: WriteRead) {
        if self.trace.is_some() && !result.returns.is_empty() {
            let words: Vec<String> = result.returns.iter().map(|answer| format!("{answer}")).collect();
            let pid = self.opener(thread.process);
            self.note_by(pid, self.lane_of(pid), "ioctl returns", words.join("; "));
        }
        self.returned.push((thread, result));
    }
}
