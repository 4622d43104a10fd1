//! Routes: whom a call is for, and which thread has to take it.

use super::Driver;
use super::node::NodeId;
use super::process::ProcessId;
use super::thread::ThreadKey;
use super::transaction::{Refused, TransactionId};
use super::work::Work;
use crate::errno::Errno;
use crate::protocol::{TransactionData, TransactionFlags};

/// Where a transaction goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    /// The receiver.
    pub(crate) to: ProcessId,
    /// The one thread that can take it: the caller for a reply, a waiting thread for a nested call.
    pub(crate) to_thread: Option<ThreadKey>,
    /// The called node; none for a reply. The driver itself counts on it until the command is done.
    pub(crate) node: Option<NodeId>,
    /// The call that a reply answers.
    pub(crate) in_reply_to: Option<TransactionId>,
}

impl<F: core::fmt::Debug> Driver<F> {
    /// Finds the caller that a reply of `sender` answers, and takes the call off `sender`'s stack.
    pub(crate) fn route_reply(
        &mut self,
        sender: ThreadKey,
    ) -> Result<Route, (Option<TransactionId>, Refused)> {
        let out_of_turn = (None, Refused::failed(Errno::EPROTO));
        let top = self.threads[sender].stack.ok_or(out_of_turn)?;
        if self.transactions[top].to_thread != Some(sender) {
            return Err(out_of_turn);
        }
        self.threads[sender].stack = self.transactions[top].to_parent;
        let caller = self.transactions[top].from.ok_or((Some(top), Refused::caller_gone()))?;
        if self.threads[caller].stack != Some(top) {
            // Not reached: what is above the call on its caller's stack was called, by way of others, by this
            // thread, whose own stack would begin with that.
            return Err(out_of_turn);
        }
        let to = self.process_of(caller);
        Ok(Route { to, to_thread: Some(caller), node: None, in_reply_to: Some(top) })
    }

    /// Finds the node that a call of `sender` is for, and who has to take it.
    pub(crate) fn route_call(&mut self, sender: ThreadKey, data: &TransactionData) -> Result<Route, Refused> {
        let dead = Refused::dead(Errno::EINVAL);
        let from = self.process_of(sender);
        let process = &self.processes[from];
        let node = match data.target {
            0 => self.contexts[process.device as usize].manager.ok_or(dead)?,
            handle => self.node_of(from, handle, true).ok_or(Refused::failed(Errno::EINVAL))?,
        };
        let to = self.nodes[node].owner.ok_or(dead)?;
        let is_own = data.target == 0 && self.processes[to].pid == process.pid;
        if is_own || to == from {
            return Err(Refused::failed(Errno::EINVAL));
        }
        if !self.allows(from, to, |security, from, to| security.transaction(from, to)) {
            return Err(Refused::failed(Errno::EPERM));
        }
        let route = Route { to, to_thread: None, node: Some(node), in_reply_to: None };
        if data.flags.contains(TransactionFlags::ONE_WAY) {
            return Ok(route);
        }
        let thread = &self.threads[sender];
        if matches!(thread.todo.front(), Some(Work::Transaction(_))) {
            return Err(Refused::failed(Errno::EPROTO));
        }
        match thread.stack {
            Some(top) if self.transactions[top].to_thread != Some(sender) => {
                Err(Refused::failed(Errno::EPROTO))
            }
            stack => Ok(Route { to_thread: self.waiting_in(stack, to), ..route }),
        }
    }

    /// The nearest thread of `process` that waits further down the stack: a nested call goes to it.
    fn waiting_in(&self, mut stack: Option<TransactionId>, process: ProcessId) -> Option<ThreadKey> {
        while let Some(transaction) = stack {
            let transaction = &self.transactions[transaction];
            match transaction.from {
                Some(from) if self.process_of(from) == process => return Some(from),
                _ => stack = transaction.from_parent,
            }
        }
        None
    }
}
