//! Transactions: a call or a reply on its way, and who waits for it (`binder_transaction`).

use super::allocation::HeldObject;
use super::install::InFlight;
use super::node::NodeId;
use super::process::ProcessId;
use super::route::Route;
use super::slab::key;
use super::thread::{ThreadId, Work};
use super::{Driver, Translation};
use crate::errno::Errno;
use crate::protocol::{ExtendedError, ObjectFlags, Payload, Placed, Refusal, Return};
use crate::protocol::{TransactionData, TransactionFlags};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

key! {
    /// A transaction's number inside the driver.
    pub(crate) TransactionId
}

/// `struct binder_transaction`.
///
/// # Invariants
/// A call that expects a reply stands on its sender's stack (`from`, until that thread goes) and, once read, on
/// its receiver's (`to_thread`). `fixups` is empty in the classic scheme and after delivery.
#[derive(Debug)]
pub(crate) struct Transaction<F> {
    /// Who waits for the reply; none for a one-way call, a reply, or once that thread has gone.
    pub(crate) from: Option<ThreadId>,
    /// Who sent it, for the books; may have gone.
    pub(crate) sender: ProcessId,
    /// The next call on the sender's stack.
    pub(crate) from_parent: Option<TransactionId>,
    /// Who serves it, once somebody does.
    pub(crate) to_thread: Option<ThreadId>,
    /// The next call on the receiver's stack.
    pub(crate) to_parent: Option<TransactionId>,
    /// Who receives it.
    pub(crate) to: ProcessId,
    /// The called node; none for a reply.
    pub(crate) node: Option<NodeId>,
    /// The method.
    pub(crate) code: u32,
    /// How.
    pub(crate) flags: TransactionFlags,
    /// The sender's uid when it sent.
    pub(crate) sender_euid: u32,
    /// The address of its buffer in the receiver's mapping, until that is freed.
    pub(crate) buffer: Option<u64>,
    /// What the receiver will read, as far as it is translated.
    pub(crate) payload: Payload,
    /// The files in flight: dropped with the transaction if it is never delivered (deferred).
    pub(crate) fixups: Vec<InFlight<F>>,
}

impl<F> Transaction<F> {
    /// Whether somebody waits, or waited, for a reply to it.
    pub(crate) fn expects_reply(&self) -> bool {
        self.node.is_some() && !self.flags.contains(TransactionFlags::ONE_WAY)
    }
}

/// Why a transaction was not sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused {
    /// What the waiting side reads.
    pub(crate) refusal: Refusal,
    /// The parameter of the extended error.
    pub(crate) param: Option<Errno>,
}

impl Refused {
    /// `BR_FAILED_REPLY`, because of `errno`.
    pub(crate) fn failed(errno: Errno) -> Refused {
        Refused { refusal: Refusal::FailedReply, param: Some(errno) }
    }

    /// `BR_DEAD_REPLY`, because of `errno`.
    pub(crate) fn dead(errno: Errno) -> Refused {
        Refused { refusal: Refusal::DeadReply, param: Some(errno) }
    }
}

/// A transaction while its objects are translated.
#[derive(Debug)]
pub(crate) struct Building<F> {
    /// Its number, for the extended error.
    pub(crate) id: u32,
    /// Where it goes.
    pub(crate) route: Route,
    /// The method.
    pub(crate) code: u32,
    /// How.
    pub(crate) flags: TransactionFlags,
    /// The room it has in the receiver's mapping.
    pub(crate) buffer: u64,
    /// The objects that are left.
    pub(crate) source: vec::IntoIter<Placed>,
    /// The files behind the descriptors that are left.
    pub(crate) files: vec::IntoIter<Option<F>>,
    /// The payload so far.
    pub(crate) payload: Payload,
    /// Where the last object ended.
    pub(crate) end: u64,
    /// What the buffer will hold for the objects so far.
    pub(crate) held: Vec<HeldObject>,
    /// The files so far (deferred).
    pub(crate) fixups: Vec<InFlight<F>>,
    /// The numbers given to the receiver so far (classic).
    pub(crate) installed: Vec<u32>,
}

impl<F: core::fmt::Debug> Driver<F> {
    /// `binder_transaction`: a command `BC_TRANSACTION` or `BC_REPLY` of `sender`.
    pub(crate) fn transaction(
        &mut self,
        sender: ThreadId,
        data: TransactionData,
        files: Vec<Option<F>>,
        is_reply: bool,
    ) {
        self.last_id = self.last_id.wrapping_add(1);
        let id = self.last_id;
        if let Some(thread) = self.thread_mut(sender) {
            thread.extended_error = ExtendedError { id, command: None, param: None };
        }
        let route = if is_reply { self.route_reply(sender) } else { self.route_call(sender, &data) };
        let route = match route {
            Ok(route) => route,
            Err((in_reply_to, refused)) => return self.refuse(sender, id, in_reply_to, refused),
        };
        self.step(sender, "binder_transaction", |driver| match route.node {
            Some(_) => format!("handle {} is a node of {}", data.target, driver.comm(route.to)),
            None => format!("the caller that waits for this reply is {}", driver.comm(route.to)),
        });
        let is_async = !is_reply && data.flags.contains(TransactionFlags::ONE_WAY);
        let buffer = match self.new_buffer(&route, &data.payload, is_async) {
            Ok(buffer) => buffer,
            Err(Errno::ESRCH) => {
                return self.refuse(sender, id, route.in_reply_to, Refused::dead(Errno::ESRCH));
            }
            Err(errno) => return self.refuse(sender, id, route.in_reply_to, Refused::failed(errno)),
        };
        self.step(sender, "binder_alloc_new_buf", |driver| {
            let bytes = data.payload.data_size + data.payload.offsets_size;
            format!("{bytes} bytes in the mapping of {}", driver.comm(route.to))
        });
        let mut payload = data.payload;
        let objects = core::mem::take(&mut payload.objects);
        let (code, flags, source, files) = (data.code, data.flags, objects.into_iter(), files.into_iter());
        let (held, fixups, installed) = (Vec::new(), Vec::new(), Vec::new());
        let building = Building {
            id,
            route,
            code,
            flags,
            buffer,
            source,
            files,
            payload,
            end: 0,
            held,
            fixups,
            installed,
        };
        self.translate(sender, building);
    }

    /// Takes room in the receiver's mapping, and a strong count on the called node, which the buffer holds.
    fn new_buffer(&mut self, route: &Route, payload: &Payload, is_async: bool) -> Result<u64, Errno> {
        let alloc = self.processes[route.to].alloc.as_mut().ok_or(Errno::ESRCH)?;
        let address = alloc.new_buf(payload, is_async)?;
        if let Some(buffer) = alloc.buffer_mut(address) {
            buffer.target_node = route.node;
        }
        if let Some(node) = route.node {
            self.inc_node(node, true, false, None)?;
        }
        Ok(address)
    }

    /// All objects are translated: gives the transaction to its receiver.
    pub(crate) fn commit(&mut self, sender: ThreadId, building: Building<F>) {
        let Building { route, flags, buffer, .. } = building;
        let is_call = route.in_reply_to.is_none();
        let is_sync = is_call && !flags.contains(TransactionFlags::ONE_WAY);
        let stack = self.thread(sender).and_then(|thread| thread.stack);
        let transaction = Transaction {
            from: is_sync.then_some(sender),
            sender: sender.process,
            from_parent: if is_sync { stack } else { None },
            to_thread: route.to_thread,
            to_parent: None,
            to: route.to,
            node: route.node,
            code: building.code,
            flags,
            sender_euid: self.processes[sender.process].euid,
            buffer: Some(buffer),
            payload: building.payload,
            fixups: building.fixups,
        };
        let id = self.transactions.insert(transaction);
        if let Some(buffer) = self.buffer_mut(route.to, buffer) {
            buffer.transaction = Some(id);
            buffer.objects = building.held;
        }
        match (route.in_reply_to, route.to_thread) {
            (Some(call), Some(caller)) => self.commit_reply(sender, caller, call, id),
            _ => self.commit_call(sender, id, is_sync),
        }
    }

    /// Ends the call `call` with the reply `id`: the caller's stack pops, the reply is its next work.
    fn commit_reply(&mut self, sender: ThreadId, caller: ThreadId, call: TransactionId, id: TransactionId) {
        self.enqueue(sender, Work::TransactionComplete);
        self.pop_caller(caller, call);
        self.free_transaction(call);
        self.step(sender, "binder_enqueue_thread_work", |driver| {
            format!("the reply waits for the calling thread of {}", driver.comm(caller.process))
        });
        self.enqueue(caller, Work::Transaction(id));
    }

    /// `binder_proc_transaction`: the call `id` is work for a thread of its receiver, or waits its turn.
    fn commit_call(&mut self, sender: ThreadId, id: TransactionId, is_sync: bool) {
        if is_sync {
            // The sender is told together with the reply, so that one read brings both.
            self.enqueue_deferred(sender, Work::TransactionComplete);
            if let Some(thread) = self.thread_mut(sender) {
                thread.stack = Some(id);
            }
        }
        let (to, to_thread, node) =
            (self.transactions[id].to, self.transactions[id].to_thread, self.transactions[id].node);
        let in_flight = self.transactions[id].fixups.len();
        self.step(sender, "binder_proc_transaction", |driver| match in_flight {
            0 => format!("the transaction waits for {}", driver.comm(to)),
            1 => format!("the transaction waits for {}, 1 file in flight", driver.comm(to)),
            n => format!("the transaction waits for {}, {n} files in flight", driver.comm(to)),
        });
        let waits = match node {
            Some(node) if !is_sync => core::mem::replace(&mut self.nodes[node].has_async, true),
            _ => false,
        };
        if waits && let Some(node) = node {
            self.nodes[node].async_todo.push_back(id);
        } else if let Some(thread) = to_thread.or_else(|| self.select_thread(to)) {
            self.enqueue(thread, Work::Transaction(id));
        } else {
            self.processes[to].todo.push_back(Work::Transaction(id));
        }
        if !is_sync {
            self.enqueue(sender, Work::TransactionComplete);
        }
    }

    /// Undoes a transaction that is not going to be sent: references, numbers and room go back.
    pub(crate) fn abort(&mut self, sender: ThreadId, building: Building<F>, refused: Refused) {
        let Building { id, route, buffer, held, installed, fixups, .. } = building;
        // The files of earlier objects are dropped here (deferred), or their numbers closed again (classic).
        drop(fixups);
        self.close_remote(route.to, installed);
        if let Some(buffer) = self.buffer_mut(route.to, buffer) {
            buffer.objects = held;
        }
        self.release_buffer(route.to, buffer);
        self.refuse(sender, id, route.in_reply_to, refused);
    }

    /// Tells the side that waits: the sender of a call, but for a reply the *caller*; a replier is never told.
    pub(crate) fn refuse(
        &mut self,
        sender: ThreadId,
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
        let answer = match in_reply_to {
            None => {
                if let Some(thread) = self.thread_mut(sender) {
                    thread.extended_error = error;
                }
                Return::from(refusal)
            }
            Some(call) => {
                let caller = self.transactions[call].from.and_then(|caller| self.thread_mut(caller));
                if let Some(caller) = caller.filter(|caller| caller.extended_error.command.is_none()) {
                    caller.extended_error = error;
                }
                Return::TransactionComplete
            }
        };
        if let Some(thread) = self.thread_mut(sender) {
            thread.return_error = Some(answer);
        }
        self.enqueue(sender, Work::ReturnError);
        if let Some(call) = in_reply_to {
            self.send_failed_reply(call, refusal);
        }
    }

    /// `binder_send_failed_reply`: the call came to nothing; its caller, or the next live one up, reads why.
    pub(crate) fn send_failed_reply(&mut self, mut call: TransactionId, refusal: Refusal) {
        loop {
            let (from, parent) = (self.transactions[call].from, self.transactions[call].from_parent);
            if let Some(caller) = from {
                self.pop_caller(caller, call);
                if let Some(thread) = self.thread_mut(caller).filter(|thread| thread.reply_error.is_none()) {
                    thread.reply_error = Some(refusal.into());
                    self.enqueue(caller, Work::ReplyError);
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
    fn pop_caller(&mut self, caller: ThreadId, call: TransactionId) {
        let parent = self.transactions[call].from_parent;
        if let Some(thread) = self.thread_mut(caller).filter(|thread| thread.stack == Some(call)) {
            thread.stack = parent;
        }
        self.transactions[call].from = None;
    }

    /// `binder_free_transaction`: with it go the files that it still carries.
    pub(crate) fn free_transaction(&mut self, id: TransactionId) {
        let Some(transaction) = self.transactions.remove(id) else { return };
        if let Some(address) = transaction.buffer
            && let Some(buffer) = self.buffer_mut(transaction.to, address)
        {
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

    /// Whether `building` may carry descriptors: the node accepts them, or the call that is being answered did.
    pub(crate) fn accepts_fds(&self, building: &Building<F>) -> bool {
        match (building.route.in_reply_to, building.route.node) {
            (Some(call), _) => self.transactions[call].flags.contains(TransactionFlags::ACCEPT_FDS),
            (None, Some(node)) => self.nodes[node].flags.contains(ObjectFlags::ACCEPTS_FDS),
            (None, None) => false,
        }
    }

    /// Whether the numbers are chosen while the sender is held.
    pub(crate) fn is_classic(&self) -> bool {
        self.translation == Translation::Classic
    }
}
