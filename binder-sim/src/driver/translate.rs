//! Translation: each object of a payload is rewritten to mean the same to the receiver (`binder_translate_*`).

use super::Driver;
use super::allocation::HeldObject;
use super::install::{HeldSender, InFlight, InstallRemote};
use super::process::ProcessId;
use super::thread::ThreadId;
use super::transaction::{Building, Refused};
use super::{Installed, Output};
use crate::errno::Errno;
use crate::protocol::{Object, ObjectFlags, Placed};
use alloc::format;
use alloc::vec::Vec;

/// What became of one object.
enum Translated<F> {
    /// It is rewritten.
    Done,
    /// The sender is held until the receiver's table has answered (classic).
    Wait(InFlight<F>),
}

impl<F: core::fmt::Debug> Driver<F> {
    /// Translates the objects that are left, and sends; or holds the sender, or refuses.
    pub(crate) fn translate(&mut self, sender: ThreadId, mut building: Building<F>) {
        while let Some(placed) = building.source.next() {
            match self.translate_object(sender, &mut building, placed) {
                Ok(Translated::Done) => {}
                Ok(Translated::Wait(file)) => {
                    let call = HeldSender { thread: sender, target: building.route.to };
                    if let Some(held) = self.call_mut(sender) {
                        held.building = Some(building);
                        self.outputs.push_back(Output::InstallRemote(InstallRemote { call, file }));
                    }
                    return;
                }
                Err(errno) => return self.abort(sender, building, Refused::failed(errno)),
            }
        }
        self.commit(sender, building);
    }

    /// Translates one object.
    fn translate_object(
        &mut self,
        sender: ThreadId,
        building: &mut Building<F>,
        placed: Placed,
    ) -> Result<Translated<F>, Errno> {
        let Placed { offset, object } = placed;
        check_offset(building, offset)?;
        building.end = offset + Object::SIZE as u64;
        let object = match object {
            Object::Binder { ptr, cookie, flags, strong } => {
                self.translate_binder(sender, building, (ptr, cookie), flags, strong)?
            }
            Object::Handle { handle, flags, strong } => {
                self.translate_handle(sender.process, building, handle, flags, strong)?
            }
            Object::Fd { fd, cookie, pad_flags } => {
                let file = building.files.next().flatten();
                let file = self.translate_fd(sender, building, fd, offset, file)?;
                // The number is 0 until somebody has chosen one.
                let object = Object::Fd { fd: 0, cookie, pad_flags };
                building.payload.objects.push(Placed { offset, object });
                if self.is_classic() {
                    return Ok(Translated::Wait(file));
                }
                building.fixups.push(file);
                return Ok(Translated::Done);
            }
            Object::FdArray { .. } | Object::Ptr { .. } | Object::Unknown { .. } => {
                return Err(Errno::EINVAL);
            }
        };
        building.payload.objects.push(Placed { offset, object });
        Ok(Translated::Done)
    }

    /// `binder_translate_fd`: may it travel, and is it there? Takes the reference that travels.
    fn translate_fd(
        &mut self,
        sender: ThreadId,
        building: &Building<F>,
        fd: u32,
        offset: u64,
        file: Option<F>,
    ) -> Result<InFlight<F>, Errno> {
        if !self.accepts_fds(building) {
            self.step(sender, "binder_translate_fd", |_| {
                format!("FD {fd}: the receiver does not accept descriptors")
            });
            return Err(Errno::EPERM);
        }
        let Some(file) = file else {
            self.step(sender, "fget", |_| format!("{fd} names no open file of the sender"));
            return Err(Errno::EBADF);
        };
        self.step(sender, "fget", |_| format!("{fd} of the sender is {file:?}: one more reference"));
        if !self.is_classic() {
            self.step(sender, "list_add_tail", |_| format!("{file:?} joins t->fd_fixups; the object says 0"));
        }
        Ok(InFlight { offset, sender_fd: fd, file })
    }

    /// `binder_translate_binder`: the sender's own node becomes a handle of the receiver.
    fn translate_binder(
        &mut self,
        sender: ThreadId,
        building: &mut Building<F>,
        (ptr, cookie): (u64, u64),
        flags: ObjectFlags,
        strong: bool,
    ) -> Result<Object, Errno> {
        let node = self.new_node(sender.process, ptr, cookie, flags);
        if self.nodes[node].cookie != cookie {
            return Err(Errno::EINVAL);
        }
        let counted = self.inc_ref_for_node(building.route.to, node, strong, Some(sender));
        let handle = counted.inspect_err(|_| self.reap_node(node))?;
        building.held.push(HeldObject::Handle { handle, strong });
        self.step(sender, "binder_translate_binder", |driver| {
            format!("node {ptr:#x} is handle {handle} in {}", driver.comm(building.route.to))
        });
        Ok(Object::Handle { handle, flags, strong })
    }

    /// `binder_translate_handle`: a handle becomes the receiver's handle, or comes home to its owner.
    fn translate_handle(
        &mut self,
        sender: ProcessId,
        building: &mut Building<F>,
        handle: u32,
        flags: ObjectFlags,
        strong: bool,
    ) -> Result<Object, Errno> {
        let node = self.node_of(sender, handle, strong).ok_or(Errno::EINVAL)?;
        let to = building.route.to;
        if self.nodes[node].owner == Some(to) {
            self.inc_node(node, strong, false, None)?;
            building.held.push(HeldObject::Node { node, strong });
            let (ptr, cookie) = (self.nodes[node].ptr, self.nodes[node].cookie);
            return Ok(Object::Binder { ptr, cookie, flags, strong });
        }
        let handle = self.inc_ref_for_node(to, node, strong, None)?;
        building.held.push(HeldObject::Handle { handle, strong });
        Ok(Object::Handle { handle, flags, strong })
    }

    /// Classic: the receiver's table has answered, the sender goes on.
    pub(crate) fn installed_remotely(&mut self, call: HeldSender, answer: Result<u32, Errno>) {
        let sender = call.thread;
        let Some(mut building) = self.call_mut(sender).and_then(|call| call.building.take()) else {
            // The sender went meanwhile: nobody will ever tell the receiver of the number.
            self.close_remote(call.target, answer.into_iter().collect());
            return;
        };
        if !self.is_alive(&building) {
            self.close_remote(call.target, answer.into_iter().collect());
            self.abort(sender, building, Refused::dead(Errno::ESRCH));
        } else if let (Ok(number), Some(last)) = (answer, building.payload.objects.last_mut()) {
            if let Object::Fd { fd, .. } = &mut last.object {
                *fd = number;
            }
            building.installed.push(number);
            self.step(sender, "fp->fd = target_fd", |_| {
                format!("the object says {number} now; the receiver knows nothing yet")
            });
            self.translate(sender, building);
        } else {
            // Whatever the table said, a sender reads ENOMEM.
            self.abort(sender, building, Refused::failed(Errno::ENOMEM));
        }
        self.thread_write(sender);
    }

    /// Whether the receiver (and the calling thread, for a reply) is still there.
    fn is_alive(&self, building: &Building<F>) -> bool {
        let route = building.route;
        let caller = route.to_thread.is_none_or(|thread| self.thread(thread).is_some());
        caller && self.processes.get(route.to).is_some_and(|process| process.alloc.is_some())
    }

    /// `task_close_fd`: numbers that a receiver was given for a transaction that never came (classic).
    pub(crate) fn close_remote(&mut self, target: ProcessId, numbers: Vec<u32>) {
        for number in numbers {
            self.outputs.push_back(Output::CloseRemote { target, number });
        }
    }

    /// Deferred: the reader's own table has answered, the delivery goes on or comes to nothing.
    pub(crate) fn installed(&mut self, reader: ThreadId, answer: Installed) {
        let Some(id) = self.call_mut(reader).and_then(|call| call.delivering.take()) else { return };
        match answer {
            Ok(numbers) => {
                let objects = self.transactions[id].payload.objects.iter_mut();
                let fds = objects.filter_map(|placed| match &mut placed.object {
                    Object::Fd { fd, .. } => Some(fd),
                    _ => None,
                });
                for (fd, number) in fds.zip(numbers) {
                    *fd = number;
                }
                self.deliver(reader, id);
                self.finish(reader, None);
            }
            Err(_) => self.deliver_failed(reader, id),
        }
    }
}

/// The offset of an object: after the last, inside the data, 4-aligned, with room for the object.
///
/// `EFAULT` is found while the bytes before the object are copied, so it comes first.
fn check_offset<F>(building: &Building<F>, offset: u64) -> Result<(), Errno> {
    let size = building.payload.data_size;
    if offset < building.end || offset > size {
        Err(Errno::EFAULT)
    } else if !offset.is_multiple_of(4) || size - offset < Object::SIZE as u64 {
        Err(Errno::EINVAL)
    } else {
        Ok(())
    }
}
