//! Failures: a transaction that is not sent, not delivered, or not answered; and who is told.

use super::Driver;
use super::allocation::HeldObject;
use super::process::ProcessId;
use super::range_alloc::BlockId;
use super::thread::{ReturnError, ThreadKey};
use super::transaction::{Building, Refused, Transaction, TransactionId};
use super::work::{List, Work};
use crate::protocol::{ExtendedError, Refusal};
use alloc::format;
use alloc::vec::Vec;
use core::mem::take;

impl<F: core::fmt::Debug> Driver<F> {
    /// Undoes a transaction that is not going to be sent: references, numbers and room go back.
    pub(crate) fn abort(&mut self, sender: ThreadKey, building: &mut Building<F>, refused: Refused) {
        let Building { id, route, buffer, .. } = *building;
        // The files of earlier objects are dropped here (deferred), or their numbers closed again (classic).
        building.fixups.clear();
        building.installing = Vec::new().into_iter();
        self.close_remote(route.to, take(&mut building.installed));
        if let Some(taken) = self.buffer_mut(route.to, buffer.id) {
            taken.objects = take(&mut building.held);
            taken.arrays.clear();
        }
        self.release_buffer(route.to, buffer.id);
        if let Some(node) = route.node {
            self.put_node(node);
        }
        self.refuse(sender, id, route.in_reply_to, refused);
    }

    /// The same for one that its receiver did not take.
    pub(crate) fn take_back(
        &mut self,
        sender: ThreadKey,
        debug_id: u32,
        id: TransactionId,
        refused: Refused,
    ) {
        if let Some(transaction) = self.transactions.remove(id)
            && let (Some(to), Some(buffer)) = (transaction.to, transaction.buffer)
        {
            drop(transaction);
            self.release_buffer(to, buffer);
        }
        self.refuse(sender, debug_id, None, refused);
    }

    /// Tells the side that waits: the sender of a call, but for a reply the *caller*; a replier is never told.
    pub(crate) fn refuse(
        &mut self,
        sender: ThreadKey,
        id: u32,
        in_reply_to: Option<TransactionId>,
        refused: Refused,
    ) {
        let Refused { refusal, param } = refused;
        self.step(sender, "binder_transaction", |_| match param {
            Some(errno) => format!("refused: {refusal}, -{errno}"),
            None => format!("refused: {refusal}"),
        });
        let error = ExtendedError { id, command: Some(refusal), param };
        let Some(call) = in_reply_to else {
            self.threads[sender].extended_error = error;
            self.threads[sender].return_error = Some(ReturnError::Refused(refusal));
            return self.enqueue_thread(sender, Work::ReturnError);
        };
        let caller = self.transactions[call].from.and_then(|caller| self.threads.get_mut(caller));
        if let Some(caller) = caller.filter(|caller| caller.extended_error.command.is_none()) {
            caller.extended_error = error;
        }
        self.threads[sender].return_error = Some(ReturnError::Complete);
        self.enqueue_thread(sender, Work::ReturnError);
        self.send_failed_reply(call, refusal);
    }

    /// `binder_send_failed_reply`: the call came to nothing; its caller, or the next live one up, reads why.
    pub(crate) fn send_failed_reply(&mut self, mut call: TransactionId, refusal: Refusal) {
        loop {
            let (from, parent) = (self.transactions[call].from, self.transactions[call].from_parent);
            if let Some(caller) = from {
                self.pop_caller(caller, call);
                if self.threads[caller].reply_error.is_none() {
                    self.threads[caller].reply_error = Some(refusal);
                    self.enqueue_thread(caller, Work::ReplyError);
                }
            }
            self.free_transaction(call);
            match parent {
                Some(parent) if from.is_none() => call = parent,
                _ => return,
            }
        }
    }

    /// `binder_pop_transaction`: the caller no longer waits for `call`.
    pub(crate) fn pop_caller(&mut self, caller: ThreadKey, call: TransactionId) {
        let thread = &mut self.threads[caller];
        if thread.stack == Some(call) {
            thread.stack = self.transactions[call].from_parent;
        }
        self.transactions[call].from = None;
    }

    /// `binder_free_transaction`: with it go the files that it still carries.
    pub(crate) fn free_transaction(&mut self, id: TransactionId) {
        let Some(&Transaction { to, buffer, .. }) = self.transactions.get(id) else { return };
        self.transactions.discard(id);
        let Some(to) = to else { return };
        self.count_outstanding(to, -1);
        if let Some(buffer) = buffer.and_then(|buffer| self.buffer_mut(to, buffer)) {
            buffer.transaction = None;
        }
    }

    /// `binder_cleanup_transaction`: a transaction that will not be delivered; its caller reads `refusal`.
    pub(crate) fn cleanup_transaction(&mut self, id: TransactionId, refusal: Refusal) {
        if self.transactions[id].expects_reply() {
            self.send_failed_reply(id, refusal);
        } else {
            self.free_transaction(id);
        }
    }

    /// Gives a buffer's room back, and every reference that it held. The numbers of descriptors in arrays are
    /// its owner's to close.
    pub(crate) fn release_buffer(&mut self, process: ProcessId, buffer: BlockId) {
        let alloc = self.processes.get_mut(process).and_then(|process| process.alloc.as_mut());
        let Some(buffer) = alloc.and_then(|alloc| alloc.free_buf(buffer)) else { return };
        if let Some(node) = buffer.target_node {
            self.dec_node(node, true, false);
        }
        for object in buffer.objects {
            match object {
                HeldObject::Handle { handle, strong } => self.dec_ref(process, handle, strong),
                HeldObject::Node { node, strong } => {
                    if let Some(held) = self.nodes.get_mut(node) {
                        held.tmp += 1;
                        self.dec_node(node, strong, false);
                        self.put_node(node);
                    }
                }
            }
        }
    }

    /// The buffer of a transaction that nobody will read stays where it is.
    pub(crate) fn lose_buffer(&mut self, id: TransactionId) {
        let place = self.transactions.get(id).and_then(|unread| unread.to.zip(unread.buffer));
        if let Some(buffer) = place.and_then(|(to, buffer)| self.buffer_mut(to, buffer)) {
            buffer.is_lost = true;
        }
    }

    /// `binder_release_work`: what nobody will read.
    pub(crate) fn release_work(&mut self, list: List) {
        while let Some(work) = self.list_mut(list).and_then(|list| list.pop_front()) {
            match work {
                Work::Transaction(id) => {
                    self.lose_buffer(id);
                    self.cleanup_transaction(id, Refusal::DeadReply);
                }
                Work::Node(node) => {
                    if let Some(node) = self.nodes.get_mut(node) {
                        node.work = None;
                    }
                }
                Work::Death(id) => self.release_death(id),
                Work::Freeze(id) => self.release_freeze_notice(id),
                Work::Complete(_) | Work::ReturnError | Work::ReplyError => {}
            }
        }
    }
}
