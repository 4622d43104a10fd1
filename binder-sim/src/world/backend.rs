//! What the driver asks of the world, done: files looked up, numbers reserved, installed and closed.

use super::{File, Pid, World};
use crate::driver::{InFlight, Input, Install, InstallRemote, Output};
use crate::driver::{ProcessId, ThreadId, WriteRead};
use crate::errno::Errno;
use crate::fd_table::{FdTable, Reserved};
use crate::protocol::{Answer, Command};
use crate::trace::Lane;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

impl<T> World<T> {
    /// Gives the driver an input, and does everything it then says.
    pub(super) fn handle(&mut self, input: Input<File<T>>) {
        self.driver.handle(input);
        while let Some(output) = self.driver.poll() {
            match output {
                Output::Opened(open) => self.opened = Some(open),
                Output::Done(done) => self.done = Some(done),
                Output::Answered { thread, result } => {
                    self.answered.push((thread, result));
                    self.note_end_of_call(thread);
                }
                Output::Install(install) => self.install(install),
                Output::InstallRemote(install) => self.install_remote(install),
                Output::CloseRemote { target, number } => self.close_remote(target, number),
                Output::CloseFds { thread, numbers } => self.close_fds(thread, &numbers),
                Output::Wake(thread) => self.ready.push_back(thread),
                Output::Return { thread, result } => {
                    self.note_return(thread, result);
                    self.note_end_of_call(thread);
                }
                Output::Step { thread, function, text } => self.note(thread, Lane::Driver, function, || text),
            }
        }
    }

    /// The driver's answer to an input that is answered with success or an errno; no answer is success.
    pub(super) fn done(&mut self) -> Result<(), Errno> {
        self.done.take().unwrap_or(Ok(()))
    }

    /// Puts beside each descriptor number the file that the process has there: its own table, in its own call.
    pub(super) fn look_up(&mut self, pid: Pid, write: &[Command]) -> Vec<Option<File<T>>> {
        let table = self.processes.get(pid.index()).and_then(|process| process.table.as_ref());
        let mut files = Vec::new();
        for data in write.iter().filter_map(Command::data) {
            for placed in &data.payload.objects {
                let numbers = placed.object.descriptors();
                files.reserve_exact(numbers.len());
                for &fd in numbers {
                    let file = table.and_then(|table| table.get(fd)).filter(|file| file.can_be_sent());
                    self.devices_travel |= file.is_some_and(|file| file.as_device().is_some());
                    files.push(file.cloned());
                }
            }
        }
        files
    }

    /// Deferred: all numbers are reserved in the reader's table, then all files installed; or none.
    fn install(&mut self, install: Install<File<T>>) {
        let Install { call, sender, files } = install;
        let reader = call.thread();
        let task = self.task_of(reader);
        let mut steps = Vec::new();
        let answer = self.reserve(reader, task, &files, &mut steps);
        let mut files = files.into_iter();
        let answer = answer.map(|reserved| {
            let mut steps = steps.into_iter();
            let install = |number: Reserved| {
                let Some(file) = files.next() else { return number.number() };
                let note = steps.next().map(|step| (file.file.to_string(), file.sender_fd, step));
                let Some(table) = self.table_at(task) else { return number.number() };
                let number = table.fd_install(number, file.file, true);
                if let Some((label, sender_fd, step)) = note {
                    self.note_installed(reader, task, "fd_install", number, &label);
                    self.note_translation(reader, (sender, sender_fd), label, (task, number), step);
                }
                number
            };
            reserved.into_iter().map(install).collect()
        });
        // All of them, if none could be given a number.
        self.closing.extend(files.map(|file| (reader, file.file)));
        self.driver.handle(Input::Installed(call, answer));
    }

    /// Reserves a number for each file, or puts all back. Of a trace, says at which step each was chosen.
    fn reserve(
        &mut self,
        reader: ThreadId,
        task: Pid,
        files: &[InFlight<File<T>>],
        steps: &mut Vec<usize>,
    ) -> Result<Vec<Reserved>, Errno> {
        let lane = self.lane_of(task);
        let mut reserved = Vec::with_capacity(files.len());
        for file in files {
            let table = self.table_at(task).ok_or(Errno::ESRCH)?;
            match table.get_unused_fd_flags() {
                Ok(number) => {
                    let chosen = number.number();
                    reserved.push(number);
                    if self.trace.is_none() {
                        continue;
                    }
                    self.note(reader, lane, "get_unused_fd_flags", || {
                        format!("{chosen}: the lowest free in its own table, O_CLOEXEC")
                    });
                    steps.push(self.steps());
                    self.note(reader, Lane::Driver, "binder_alloc_copy_to_buffer", || {
                        format!("the object at offset {} says {chosen} now", file.offset)
                    });
                }
                Err(errno) => {
                    let given = reserved.len();
                    for number in reserved {
                        table.put_unused_fd(number);
                    }
                    if self.driver.profile().installs_one_by_one {
                        let devices = files[..given].iter().filter_map(|file| file.file.as_device());
                        devices.for_each(|open| self.driver.handle(Input::Flush(open)));
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

    /// Numbers that go with a buffer: closed in the table of whoever freed it, if they are open at all.
    fn close_fds(&mut self, thread: ThreadId, numbers: &[u32]) {
        let pid = self.task_of(thread);
        for &number in numbers {
            drop(self.close(pid, number));
        }
    }

    /// Whose open it is, or was.
    pub(super) fn opener(&self, open: ProcessId) -> Pid {
        self.opens.get(open.index()).map_or(Pid::FIRST, |open| open.opener)
    }

    /// Whose thread it is: of the opener, or of a child that has inherited the open.
    pub(super) fn task_of(&self, thread: ThreadId) -> Pid {
        let opener = self.opener(thread.process);
        let has = |pid: Pid| {
            let process = self.processes.get(pid.index());
            pid.raw() == thread.tid || process.is_some_and(|process| process.tids.contains(&thread.tid))
        };
        if has(opener) {
            return opener;
        }
        (0..self.processes.len()).map(Pid::from_index).find(|&pid| has(pid)).unwrap_or(opener)
    }

    /// The table of a process, if it lives.
    fn table_at(&mut self, pid: Pid) -> Option<&mut FdTable<File<T>>> {
        self.processes.get_mut(pid.index())?.table.as_mut()
    }

    /// What came out of a call, if it has returned.
    pub(super) fn returned_of(&mut self, thread: ThreadId) -> Option<WriteRead> {
        let at = self.returned.iter().position(|(id, _)| *id == thread)?;
        Some(self.returned.swap_remove(at).1)
    }

    /// What came out of another ioctl, if it has returned.
    pub(super) fn answer_of(&mut self, thread: ThreadId) -> Option<Result<Answer, Errno>> {
        let at = self.answered.iter().position(|(id, _)| *id == thread)?;
        Some(self.answered.swap_remove(at).1)
    }
}
