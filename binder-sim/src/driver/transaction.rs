//! Transactions: a call or a reply on its way, and who waits for it (`binder_transaction`).

use super::Driver;
use super::allocation::{HeldObject, NewBuffer, Sizes, align8};
use super::install::InFlight;
use super::node::NodeId;
use super::process::ProcessId;
use super::range_alloc::BlockId;
use super::route::Route;
use super::scatter::Scatter;
use super::slab::key;
use super::thread::ThreadKey;
use crate::errno::Errno;
use crate::protocol::{ExtendedError, ObjectFlags, Payload, Refusal, SecurityContext};
use crate::protocol::{TransactionData, TransactionFlags};
use alloc::format;
use alloc::string::String;
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
    pub(crate) from: Option<ThreadKey>,
    /// Who sent it, for the books; may have gone.
    pub(crate) sender: ProcessId,
    /// The pid of whoever called, which is another's if the open was handed over (`buffer->pid`).
    pub(crate) sender_pid: u32,
    /// The uid that the receiver is told.
    pub(crate) sender_euid: u32,
    /// The next call on the sender's stack.
    pub(crate) from_parent: Option<TransactionId>,
    /// Who receives it; none once the thread that served it has gone.
    pub(crate) to: Option<ProcessId>,
    /// Who serves it, once somebody does.
    pub(crate) to_thread: Option<ThreadKey>,
    /// The next call on the receiver's stack.
    pub(crate) to_parent: Option<TransactionId>,
    /// The called node; none for a reply.
    pub(crate) node: Option<NodeId>,
    /// The method.
    pub(crate) code: u32,
    /// How.
    pub(crate) flags: TransactionFlags,
    /// Its buffer in the receiver's mapping, until that is freed.
    pub(crate) buffer: Option<BlockId>,
    /// What the receiver will read, as far as it is translated.
    pub(crate) payload: Payload,
    /// The files in flight: dropped with the transaction if it is never delivered (deferred).
    pub(crate) fixups: Vec<InFlight<F>>,
    /// What the receiver will read of who sent it.
    pub(crate) security_context: Option<SecurityContext>,
}

impl<F> Transaction<F> {
    /// Whether somebody waits, or waited, for a reply to it.
    pub(crate) fn expects_reply(&self) -> bool {
        self.node.is_some() && !self.is_one_way()
    }

    /// `TF_ONE_WAY`.
    pub(crate) fn is_one_way(&self) -> bool {
        self.flags.contains(TransactionFlags::ONE_WAY)
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

    /// `BR_DEAD_REPLY`: nobody waits for the reply any more.
    pub(crate) fn caller_gone() -> Refused {
        Refused { refusal: Refusal::DeadReply, param: None }
    }

    /// `BR_FROZEN_REPLY`.
    pub(crate) fn frozen() -> Refused {
        Refused { refusal: Refusal::FrozenReply, param: None }
    }

    /// Out of memory in whoever receives: a receiver that cannot receive at all is as good as dead.
    pub(crate) fn no_buffer(errno: Errno) -> Refused {
        if errno == Errno::ESRCH { Refused::dead(errno) } else { Refused::failed(errno) }
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
    pub(crate) buffer: NewBuffer,
    /// The payload; the objects before `next` are translated.
    pub(crate) payload: Payload,
    /// The object to be translated next.
    pub(crate) next: usize,
    /// Where the last object ended.
    pub(crate) end: u64,
    /// The file behind the next descriptor, in the caller's list of them.
    pub(crate) next_file: usize,
    /// The files so far (deferred).
    pub(crate) fixups: Vec<InFlight<F>>,
    /// The files of the last object, which wait for a number each (classic).
    pub(crate) installing: vec::IntoIter<InFlight<F>>,
    /// The numbers given to the receiver so far (classic).
    pub(crate) installed: Vec<u32>,
    /// The buffers behind the payload.
    pub(crate) scatter: Scatter,
    /// What the buffer will hold for the objects so far.
    pub(crate) held: Vec<HeldObject>,
    /// What the receiver will read of who sent it.
    pub(crate) security_context: Option<SecurityContext>,
}

impl<F: core::fmt::Debug> Driver<F> {
    /// `binder_transaction`: a command `BC_TRANSACTION` or `BC_REPLY` of `sender`.
    pub(crate) fn transaction(&mut self, sender: ThreadKey, data: TransactionData, is_reply: bool) {
        let id = self.next_id();
        let first_file = self.take_descriptors(sender, &data);
        self.threads[sender].extended_error = ExtendedError { id, command: None, param: None };
        let route = if is_reply {
            self.route_reply(sender)
        } else {
            self.route_call(sender, &data).map_err(|refused| (None, refused))
        };
        let route = match route {
            Ok(route) => route,
            Err((in_reply_to, refused)) => return self.refuse(sender, id, in_reply_to, refused),
        };
        if let Some(node) = route.node {
            // INVARIANT: taken back where the command ends: `abort`, `sent`, or right here.
            self.nodes[node].tmp += 1;
        }
        self.step(sender, "binder_transaction", |driver| match route.node {
            Some(_) => format!("handle {} is a node of {}", data.target, driver.comm(route.to)),
            None => format!("the caller that waits for this reply is {}", driver.comm(route.to)),
        });
        let TransactionData { code, flags, payload, buffers_size, .. } = data;
        let sizes = (&payload, buffers_size);
        let (buffer, scatter, security_context) = match self.new_buffer(sender, &route, sizes, flags) {
            Ok(buffer) => buffer,
            Err(refused) => {
                if let Some(node) = route.node {
                    self.put_node(node);
                }
                return self.refuse(sender, id, route.in_reply_to, refused);
            }
        };
        let building = Building {
            id,
            route,
            code,
            flags,
            buffer,
            payload,
            next: 0,
            end: 0,
            next_file: first_file,
            fixups: Vec::new(),
            installing: Vec::new().into_iter(),
            installed: Vec::new(),
            scatter,
            held: Vec::new(),
            security_context,
        };
        self.translate(sender, building);
    }

    /// The descriptors of a command are done with, whatever becomes of it: says where they begin.
    fn take_descriptors(&mut self, sender: ThreadKey, data: &TransactionData) -> usize {
        let count =
            data.payload.objects.iter().map(|placed| placed.object.descriptors().len()).sum::<usize>();
        self.call_mut(sender).map_or(0, |call| {
            call.looked_up += count;
            call.looked_up - count
        })
    }

    /// Takes room in the receiver's mapping, and a strong count on the called node, which the buffer holds.
    fn new_buffer(
        &mut self,
        sender: ThreadKey,
        route: &Route,
        (payload, buffers_size): (&Payload, Option<u64>),
        flags: TransactionFlags,
    ) -> Result<(NewBuffer, Scatter, Option<SecurityContext>), Refused> {
        let from = self.process_of(sender);
        let is_async = route.node.is_some() && flags.contains(TransactionFlags::ONE_WAY);
        let context = self.security_context(from, route.node).map_err(Refused::failed)?;
        let context_size = context.as_ref().map_or(0, |text| align8(text.len() as u64 + 1));
        let extra = buffers_size.unwrap_or(0).checked_add(context_size);
        let extra = extra.ok_or(Refused::failed(Errno::EINVAL))?;
        let sizes = Sizes { data: payload.data_size, offsets: payload.offsets_size, extra };
        let (pid, spam) = (self.caller_pid(sender), self.profile.oneway_spam);
        let alloc = self.processes[route.to].alloc.as_mut().ok_or(Refused::dead(Errno::ESRCH))?;
        let buffer = alloc.new_buf(sizes, is_async, pid, spam).map_err(Refused::no_buffer)?;
        if let Some(taken) = alloc.buffer_mut(buffer.id) {
            taken.target_node = route.node;
        }
        if let Some(node) = route.node {
            self.nodes[node].local_strong += 1;
        }
        self.step(sender, "binder_alloc_new_buf", |driver| {
            let bytes = sizes.data + sizes.offsets + sizes.extra;
            format!("{bytes} bytes in the mapping of {}", driver.comm(route.to))
        });
        let behind = align8(sizes.data) + align8(sizes.offsets);
        let scatter = Scatter::new(buffer.address + behind, extra, context_size);
        let security_context = context.map(|text| SecurityContext { address: scatter.end(), text });
        Ok((buffer, scatter, security_context))
    }

    /// The text that a node that asks for it gets to see of its caller.
    fn security_context(&self, from: ProcessId, node: Option<NodeId>) -> Result<Option<String>, Errno> {
        let wants = |node: NodeId| self.nodes[node].flags.contains(ObjectFlags::TXN_SECURITY_CTX);
        if !node.is_some_and(wants) {
            return Ok(None);
        }
        let security = self.security.as_ref().ok_or(Errno::EOPNOTSUPP)?;
        security.context(self.processes[from].credentials).map(Some)
    }

    /// Whether `building` may carry descriptors: the node accepts them, or the call that is being answered did.
    pub(crate) fn accepts_fds(&self, route: &Route) -> bool {
        match (route.in_reply_to, route.node) {
            (Some(call), _) => self.transactions[call].flags.contains(TransactionFlags::ACCEPT_FDS),
            (None, node) => {
                node.is_some_and(|node| self.nodes[node].flags.contains(ObjectFlags::ACCEPTS_FDS))
            }
        }
    }
}
