//! Routes: whom a call is for, and which thread has to take it.

use super::Driver;
use super::node::NodeId;
use super::process::ProcessId;
use super::thread::{ThreadId, Work};
use super::transaction::{Refused, TransactionId};
use crate::errno::Errno;
use crate::protocol::{Refusal, TransactionData, TransactionFlags};

/// Where a transaction goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    /// The receiver.
    pub(crate) to: ProcessId,
    /// The one thread that can take it: the caller for a reply, a waiting thread for a nested call.
    pub(crate) to_thread: Option<ThreadId>,
    /// The called node; none for a reply.
    pub(crate) node: Option<NodeId>,
    /// The call that a reply answers.
    pub(crate) in_reply_to: Option<TransactionId>,
}

impl<F: core::fmt::Debug> Driver<F> {
    /// Finds the caller that a reply of `sender` answers, and takes the call off `sender`'s stack.
    pub(crate) fn route_reply(
        &mut self,
        sender: ThreadId,
    ) -> Result<Route, (Option<TransactionId>, Refused)> {
        let out_of_turn = Refused::failed(Errno::EPROTO);
        let top = self.thread(sender).and_then(|thread| thread.stack).ok_or((None, out_of_turn))?;
        if self.transactions[top].to_thread != Some(sender) {
            return Err((None, out_of_turn));
        }
        let (parent, from) = (self.transactions[top].to_parent, self.transactions[top].from);
        if let Some(thread) = self.thread_mut(sender) {
            thread.stack = parent;
        }
        let caller = from.ok_or((Some(top), Refused { refusal: Refusal::DeadReply, param: None }))?;
        Ok(Route { to: caller.process, to_thread: Some(caller), node: None, in_reply_to: Some(top) })
    }

    /// Finds the node that a call of `sender` is for, and who has to take it.
    pub(crate) fn route_call(
        &mut self,
        sender: ThreadId,
        data: &TransactionData,
    ) -> Result<Route, (Option<TransactionId>, Refused)> {
        let fail = |errno| (None, Refused::failed(errno));
        let dead = (None, Refused::dead(Errno::EINVAL));
        let process = &self.processes[sender.process];
        let node = match data.target {
            0 => self.contexts[process.device as usize].manager.ok_or(dead)?,
            handle => self.node_of(sender.process, handle, true).ok_or(fail(Errno::EINVAL))?,
        };
        let to = self.nodes[node].owner.ok_or(dead)?;
        let is_own = data.target == 0 && self.processes[to].pid == process.pid;
        if is_own || to == sender.process {
            return Err(fail(Errno::EINVAL));
        }
        let route = Route { to, to_thread: None, node: Some(node), in_reply_to: None };
        if data.flags.contains(TransactionFlags::ONE_WAY) {
            return Ok(route);
        }
        let Some(thread) = self.thread(sender) else { return Ok(route) };
        if matches!(thread.todo.front(), Some(Work::Transaction(_))) {
            return Err(fail(Errno::EPROTO));
        }
        match thread.stack {
            Some(top) if self.transactions[top].to_thread != Some(sender) => Err(fail(Errno::EPROTO)),
            stack => Ok(Route { to_thread: self.waiting_in(stack, to), ..route }),
        }
    }

    /// The nearest thread of `process` that waits further down the stack: a nested call goes to it.
    fn waiting_in(&self, mut stack: Option<TransactionId>, process: ProcessId) -> Option<ThreadId> {
        while let Some(transaction) = stack {
            let transaction = &self.transactions[transaction];
            match transaction.from {
                Some(from) if from.process == process => return Some(from),
                _ => stack = transaction.from_parent,
            }
        }
        None
    }
}
