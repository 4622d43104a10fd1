//! The write part of an ioctl: commands, one after the other (`binder_thread_write`).

use super::thread::ThreadKey;
use super::{Driver, Output};
use crate::errno::Errno;
use crate::protocol::Command;
use alloc::vec::Vec;

impl<F: core::fmt::Debug> Driver<F> {
    /// Does the commands that are left, until one leaves an answer to be read, or holds the thread (which then
    /// goes on from here).
    pub(crate) fn thread_write(&mut self, key: ThreadKey) {
        loop {
            let Some(thread) = self.threads.get_mut(key) else { return };
            let refused = thread.return_error.is_some();
            let Some(call) = thread.call.as_mut() else { return };
            if call.is_held() {
                return;
            }
            let Some(command) = (if refused { None } else { call.commands.next() }) else { break };
            let size = command.wire_size();
            if let Err(errno) = self.command(key, command) {
                return self.finish_with(key, errno);
            }
            // INVARIANT: counted when begun; a refused transaction counts as taken.
            if let Some(call) = self.call_mut(key) {
                call.consumed += size;
            }
        }
        self.thread_read(key);
    }

    /// One command: the driver's table of contents.
    fn command(&mut self, key: ThreadKey, command: Command) -> Result<(), Errno> {
        let process = self.process_of(key);
        match command {
            Command::Transaction(data) => self.transaction(key, data, false),
            Command::Reply(data) => self.transaction(key, data, true),
            Command::FreeBuffer(address) => self.free_buffer(key, address),
            Command::IncRefs(handle) => self.count(process, handle, false, true)?,
            Command::Acquire(handle) => self.count(process, handle, true, true)?,
            Command::Release(handle) => self.count(process, handle, true, false)?,
            Command::DecRefs(handle) => self.count(process, handle, false, false)?,
            Command::IncRefsDone { ptr, cookie } => self.count_done(process, ptr, cookie, false),
            Command::AcquireDone { ptr, cookie } => self.count_done(process, ptr, cookie, true),
            Command::RegisterLooper => self.register_looper(key),
            Command::EnterLooper => {
                let looper = &mut self.threads[key].looper;
                (looper.invalid, looper.entered) = (looper.invalid | looper.registered, true);
            }
            Command::ExitLooper => self.threads[key].looper.exited = true,
            Command::RequestDeathNotification { handle, cookie } => {
                self.request_death(process, handle, cookie);
            }
            Command::ClearDeathNotification { handle, cookie } => self.clear_death(key, handle, cookie),
            Command::DeadBinderDone(cookie) => self.dead_binder_done(key, cookie),
            command => return self.newer_command(key, &command),
        }
        Ok(())
    }

    /// A command that not every kernel has, or none.
    fn newer_command(&mut self, key: ThreadKey, command: &Command) -> Result<(), Errno> {
        let process = self.process_of(key);
        match *command {
            // The word is looked at first: one that this kernel does not know is that, whatever follows it.
            Command::Unreadable { word } if self.profile.freeze_notification || !is_freeze_notice(word) => {
                Err(Errno::EFAULT)
            }
            _ if !self.profile.freeze_notification => Err(Errno::EINVAL),
            Command::RequestFreezeNotification { handle, cookie } => {
                self.request_freeze_notice(process, handle, cookie)
            }
            Command::ClearFreezeNotification { handle, cookie } => {
                self.clear_freeze_notice(process, handle, cookie)
            }
            Command::FreezeNotificationDone(cookie) => self.freeze_notice_done(process, cookie),
            _ => Err(Errno::EINVAL),
        }
    }

    /// `BC_REGISTER_LOOPER`: a thread that the driver asked for. One that comes unasked is noted as such; what
    /// is noted is never looked at.
    fn register_looper(&mut self, key: ThreadKey) {
        let process = self.process_of(key);
        let (thread, process) = (&mut self.threads[key], &mut self.processes[process]);
        if thread.looper.entered || process.requested_threads == 0 {
            thread.looper.invalid = true;
        } else {
            process.requested_threads -= 1;
            process.requested_threads_started += 1;
        }
        thread.looper.registered = true;
    }

    /// `BC_FREE_BUFFER`: an address that names no buffer, or one not yet delivered, is ignored.
    fn free_buffer(&mut self, key: ThreadKey, address: u64) {
        let process = self.process_of(key);
        let Some(alloc) = self.processes[process].alloc.as_mut() else { return };
        let Some(id) = alloc.find(address) else { return };
        let Some(buffer) = alloc.buffer_mut(id).filter(|buffer| buffer.allow_user_free) else { return };
        buffer.allow_user_free = false;
        let (transaction, node) = (buffer.transaction.take(), buffer.target_node.filter(|_| buffer.is_async));
        let arrays = core::mem::take(&mut buffer.arrays);
        if let Some(transaction) = transaction.and_then(|id| self.transactions.get_mut(id)) {
            transaction.buffer = None;
        }
        if let Some(node) = node {
            self.next_async(node);
        }
        self.release_buffer(process, id);
        self.close_arrays(key, arrays);
    }

    /// `binder_deferred_fd_close`: the descriptors of arrays go with their buffer, whatever is open under their
    /// numbers by now. The thread has to come back to be rid of them.
    fn close_arrays(&mut self, key: ThreadKey, numbers: Vec<u32>) {
        if numbers.is_empty() {
            return;
        }
        self.threads[key].need_return = true;
        let thread = self.threads[key].id;
        self.step(key, "binder_deferred_fd_close", |_| {
            let numbers: Vec<_> = numbers.iter().map(alloc::string::ToString::to_string).collect();
            alloc::format!("the array's numbers are closed: {}", numbers.join(" "))
        });
        self.outputs.push_back(Output::CloseFds { thread, numbers });
    }
}

/// Whether a word is one of the three about freeze notifications.
fn is_freeze_notice(word: u32) -> bool {
    use crate::wire::bc::*;
    matches!(
        word,
        BC_REQUEST_FREEZE_NOTIFICATION | BC_CLEAR_FREEZE_NOTIFICATION | BC_FREEZE_NOTIFICATION_DONE
    )
}
