//! The write part of an ioctl: commands, one after the other (`binder_thread_write`).

use super::thread::ThreadId;
use super::{Driver, Looked};
use crate::errno::Errno;
use crate::protocol::Command;

impl<F: core::fmt::Debug> Driver<F> {
    /// Does the commands that are left, until one leaves an answer to be read, or holds the thread (which then
    /// goes on from here).
    pub(crate) fn thread_write(&mut self, id: ThreadId) {
        loop {
            let Some(thread) = self.thread_mut(id) else { return };
            let refused = thread.return_error.is_some();
            let Some(call) = thread.call.as_mut() else { return };
            if call.building.is_some() {
                return;
            }
            let Some(command) = (if refused { None } else { call.commands.next() }) else { break };
            let size = command.command.wire_size();
            if let Err(errno) = self.command(id, command) {
                return self.finish_with(id, errno);
            }
            // INVARIANT: counted when begun; a refused transaction counts as taken.
            if let Some(call) = self.call_mut(id) {
                call.consumed += size;
            }
        }
        self.thread_read(id);
    }

    /// One command: the driver's table of contents.
    fn command(&mut self, id: ThreadId, looked: Looked<F>) -> Result<(), Errno> {
        match looked.command {
            Command::Transaction(data) => self.transaction(id, data, looked.files, false),
            Command::Reply(data) => self.transaction(id, data, looked.files, true),
            Command::FreeBuffer(address) => self.free_buffer(id, address),
            Command::IncRefs(handle) => self.count(id, handle, false, true)?,
            Command::Acquire(handle) => self.count(id, handle, true, true)?,
            Command::Release(handle) => self.count(id, handle, true, false)?,
            Command::DecRefs(handle) => self.count(id, handle, false, false)?,
            Command::IncRefsDone { ptr, cookie } => self.count_done(id, ptr, cookie, false),
            Command::AcquireDone { ptr, cookie } => self.count_done(id, ptr, cookie, true),
            Command::RegisterLooper => self.looper(id, |looper| looper.registered = true),
            Command::EnterLooper => self.looper(id, |looper| looper.entered = true),
            Command::ExitLooper => self.looper(id, |looper| looper.exited = true),
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    /// Notes what the thread says of itself.
    fn looper(&mut self, id: ThreadId, note: impl FnOnce(&mut super::thread::Looper)) {
        if let Some(thread) = self.thread_mut(id) {
            note(&mut thread.looper);
        }
    }

    /// `BC_INCREFS`, `BC_ACQUIRE`, `BC_RELEASE`, `BC_DECREFS`: a handle that is not held (strongly, for the
    /// strong two) is ignored; handle 0 can be counted from nothing, except by the manager itself.
    fn count(&mut self, id: ThreadId, handle: u32, strong: bool, up: bool) -> Result<(), Errno> {
        let process = id.process;
        let manager = self.contexts[self.processes[process].device as usize].manager;
        if let (true, 0, Some(manager)) = (up, handle, manager) {
            if self.nodes[manager].owner == Some(process) {
                return Err(Errno::EINVAL);
            }
            if self.inc_ref_for_node(process, manager, strong, None).is_ok() {
                return Ok(());
            }
        }
        if self.node_of(process, handle, strong).is_some() {
            if up {
                // A count that the node refuses is ignored like an unknown handle.
                let _ = self.inc_ref(process, handle, strong, None);
            } else {
                self.dec_ref(process, handle, strong);
            }
        }
        Ok(())
    }

    /// `BC_INCREFS_DONE`, `BC_ACQUIRE_DONE`: the owner has counted; the driver lets go of its own count.
    fn count_done(&mut self, id: ThreadId, ptr: u64, cookie: u64, strong: bool) {
        let Some(&node_id) = self.processes[id.process].nodes.get(&ptr) else { return };
        let node = &mut self.nodes[node_id];
        let pending = if strong { &mut node.pending_strong } else { &mut node.pending_weak };
        if node.cookie == cookie && core::mem::take(pending) {
            self.dec_node(node_id, strong, false);
        }
    }

    /// `BC_FREE_BUFFER`: an address that names no buffer, or one not yet delivered, is ignored.
    fn free_buffer(&mut self, id: ThreadId, address: u64) {
        let Some(buffer) = self.buffer_mut(id.process, address) else { return };
        if !core::mem::take(&mut buffer.allow_user_free) {
            return;
        }
        let (transaction, node) = (buffer.transaction.take(), buffer.target_node);
        let is_async = buffer.is_async;
        if let Some(transaction) = transaction.and_then(|id| self.transactions.get_mut(id)) {
            transaction.buffer = None;
        }
        if let (true, Some(node)) = (is_async, node) {
            self.next_async(node);
        }
        self.release_buffer(id.process, address);
    }
}
