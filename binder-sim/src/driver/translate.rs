//! Translation: each object of a payload is rewritten to mean the same to the receiver (`binder_translate_*`).

use super::allocation::HeldObject;
use super::install::{HeldSender, InFlight, InstallRemote};
use super::process::ProcessId;
use super::scatter::number_descriptors;
use super::security::{Credentials, Security};
use super::thread::{Hold, ThreadKey};
use super::transaction::{Building, Refused};
use super::{Driver, Output, Translation};
use crate::errno::Errno;
use crate::protocol::{Object, ObjectFlags};
use alloc::boxed::Box;
use alloc::format;

impl<F: core::fmt::Debug> Driver<F> {
    /// Translates the objects that are left, and sends; or holds the sender, or refuses.
    pub(crate) fn translate(&mut self, sender: ThreadKey, mut building: Building<F>) {
        if let Some(file) = self.go_on_translating(sender, &mut building) {
            self.hold_sender(sender, Box::new(building), file);
        }
    }

    /// The same, as far as it goes: a file that needs a number first is handed back (classic).
    pub(crate) fn go_on_translating(
        &mut self,
        sender: ThreadKey,
        building: &mut Building<F>,
    ) -> Option<InFlight<F>> {
        match self.translate_all(sender, building) {
            Ok(None) => self.commit(sender, building),
            Ok(file) => return file,
            Err(errno) => self.abort(sender, building, Refused::failed(errno)),
        }
        None
    }

    /// The sender stays inside its call until the receiver's table has answered (classic).
    pub(crate) fn hold_sender(&mut self, sender: ThreadKey, building: Box<Building<F>>, file: InFlight<F>) {
        let call = HeldSender { thread: self.threads[sender].id, target: building.route.to };
        if let Some(held) = self.call_mut(sender) {
            // INVARIANT: the one place that makes a `HeldSender`; `installed_remotely` takes the hold back.
            held.hold = Hold::Building(building);
            self.outputs.push_back(Output::InstallRemote(InstallRemote { call, file }));
        }
    }

    /// Translates object after object. A file that needs a number first is handed back (classic).
    fn translate_all(
        &mut self,
        sender: ThreadKey,
        building: &mut Building<F>,
    ) -> Result<Option<InFlight<F>>, Errno> {
        if building.next == 0 {
            check_sizes(building)?;
        }
        loop {
            if let Some(file) = building.installing.next() {
                return Ok(Some(file));
            }
            if building.next == building.payload.objects.len() {
                break;
            }
            self.translate_object(sender, building)?;
            if self.translation == Translation::Classic {
                building.installing = core::mem::take(&mut building.fixups).into_iter();
            }
        }
        let payload = &mut building.payload;
        if building.end < payload.data_size && (payload.bytes.len() as u64) < payload.data_size {
            return Err(Errno::EFAULT);
        }
        building.scatter.copy(payload)?;
        if self.translation == Translation::Classic {
            let arrays = number_descriptors(payload, &building.installed);
            if let Some(buffer) = self.buffer_mut(building.route.to, building.buffer.id) {
                buffer.arrays = arrays;
            }
        }
        Ok(None)
    }

    /// Translates the next object, where it stands.
    fn translate_object(&mut self, sender: ThreadKey, building: &mut Building<F>) -> Result<(), Errno> {
        check_object(building)?;
        let index = building.next;
        let placed = &mut building.payload.objects[index];
        let offset = placed.offset;
        building.end = offset + placed.object.wire_size() as u64;
        building.next += 1;
        let translated = match placed.object {
            Object::Binder { ptr, cookie, flags, strong } => {
                self.translate_binder(sender, building, (ptr, cookie), flags, strong)?
            }
            Object::Handle { handle, flags, strong } => {
                self.translate_handle(sender, building, handle, flags, strong)?
            }
            Object::Fd { fd, cookie, pad_flags } => {
                self.translate_fd(sender, building, fd, offset)?;
                // The number is 0 until somebody has chosen one.
                Object::Fd { fd: 0, cookie, pad_flags }
            }
            Object::FdArray { .. } => return self.translate_fd_array(sender, building, index),
            Object::Ptr { .. } => {
                return building.scatter.translate_ptr(&mut building.payload.objects, index);
            }
            Object::Unknown { .. } => return Err(Errno::EINVAL),
        };
        building.payload.objects[index].object = translated;
        Ok(())
    }

    /// `binder_translate_fd`: may it travel, and is it there? Takes the reference that travels. `offset` is where
    /// its number will be written.
    fn translate_fd(
        &mut self,
        sender: ThreadKey,
        building: &mut Building<F>,
        fd: u32,
        offset: u64,
    ) -> Result<(), Errno> {
        let looked_up = self.call_mut(sender).and_then(|call| call.files.get_mut(building.next_file));
        let file = looked_up.and_then(Option::take);
        building.next_file += 1;
        if !self.accepts_fds(&building.route) {
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
        let (from, to) = (self.process_of(sender), building.route.to);
        if !self.allows(from, to, |security, from, to| security.transfer_file(from, to, &file)) {
            self.step(sender, "security_binder_transfer_file", |_| format!("{file:?} may not go there"));
            return Err(Errno::EPERM);
        }
        if self.translation == Translation::Deferred {
            self.step(sender, "list_add_tail", |_| format!("{file:?} joins t->fd_fixups; the object says 0"));
        }
        building.fixups.push(InFlight { offset, sender_fd: fd, file });
        Ok(())
    }

    /// `binder_translate_fd_array`: the same for each descriptor of an array in a buffer.
    fn translate_fd_array(
        &mut self,
        sender: ThreadKey,
        building: &mut Building<F>,
        index: usize,
    ) -> Result<(), Errno> {
        let place = building.scatter.translate_fd_array(&building.payload.objects, index)?;
        let Object::FdArray { num_fds, fds, .. } = &mut building.payload.objects[index].object else {
            // Not reached: the line above has looked.
            return Err(Errno::EINVAL);
        };
        // What is said beyond their number is nobody's; its files are passed over.
        let last_file = building.next_file + fds.len();
        fds.truncate(usize::try_from(*num_fds).unwrap_or(usize::MAX));
        let (num_fds, fds) = (*num_fds, core::mem::take(fds));
        let Some(address) = place else {
            building.next_file = last_file;
            return Ok(());
        };
        let offset = address - building.buffer.address;
        for (&fd, place) in fds.iter().zip((offset..).step_by(4)) {
            self.translate_fd(sender, building, fd, place)?;
        }
        // The rest of them cannot be read.
        if (fds.len() as u64) < num_fds {
            return Err(Errno::EINVAL);
        }
        building.next_file = last_file;
        if let Object::FdArray { fds: place, .. } = &mut building.payload.objects[index].object {
            *place = fds;
        }
        Ok(())
    }

    /// `binder_translate_binder`: the sender's own node becomes a handle of the receiver.
    fn translate_binder(
        &mut self,
        sender: ThreadKey,
        building: &mut Building<F>,
        (ptr, cookie): (u64, u64),
        flags: ObjectFlags,
        strong: bool,
    ) -> Result<Object, Errno> {
        let (from, to) = (self.process_of(sender), building.route.to);
        let node = self.get_node(from, (ptr, cookie), flags);
        let handle = if self.nodes[node].cookie != cookie {
            Err(Errno::EINVAL)
        } else if !self.allows(from, to, |security, from, to| security.transfer_binder(from, to)) {
            Err(Errno::EPERM)
        } else {
            Ok(self.inc_ref_for_node(to, node, strong, Some(sender)))
        };
        self.put_node(node);
        let handle = handle?;
        building.held.push(HeldObject::Handle { handle, strong });
        self.step(sender, "binder_translate_binder", |driver| {
            format!("node {ptr:#x} is handle {handle} in {}", driver.comm(to))
        });
        Ok(Object::Handle { handle, flags, strong })
    }

    /// `binder_translate_handle`: a handle becomes the receiver's handle, or comes home to its owner.
    fn translate_handle(
        &mut self,
        sender: ThreadKey,
        building: &mut Building<F>,
        handle: u32,
        flags: ObjectFlags,
        strong: bool,
    ) -> Result<Object, Errno> {
        let (from, to) = (self.process_of(sender), building.route.to);
        let node = self.node_of(from, handle, strong).ok_or(Errno::EINVAL)?;
        if !self.allows(from, to, |security, from, to| security.transfer_binder(from, to)) {
            return Err(Errno::EPERM);
        }
        self.nodes[node].tmp += 1;
        let translated = if self.nodes[node].owner == Some(to) {
            self.come_home(building, node, flags, strong)
        } else {
            let handle = self.inc_ref_for_node(to, node, strong, None);
            building.held.push(HeldObject::Handle { handle, strong });
            Object::Handle { handle, flags, strong }
        };
        self.put_node(node);
        self.step(sender, "binder_translate_handle", |driver| {
            format!("handle {handle} is {translated} in {}", driver.comm(to))
        });
        Ok(translated)
    }

    /// A handle on the receiver's own node.
    fn come_home(
        &mut self,
        building: &mut Building<F>,
        node: super::node::NodeId,
        flags: ObjectFlags,
        strong: bool,
    ) -> Object {
        self.inc_node(node, strong, false, None);
        building.held.push(HeldObject::Node { node, strong });
        let (ptr, cookie) = (self.nodes[node].ptr, self.nodes[node].cookie);
        Object::Binder { ptr, cookie, flags, strong }
    }

    /// Asks the security module, if there is one.
    pub(crate) fn allows(
        &self,
        from: ProcessId,
        to: ProcessId,
        question: impl FnOnce(&dyn Security<F>, Credentials, Credentials) -> bool,
    ) -> bool {
        self.security.as_ref().is_none_or(|security| {
            let [from, to] = [from, to].map(|process| self.processes[process].credentials);
            question(&**security, from, to)
        })
    }
}

/// The sizes that the sender says: the offsets can be read, and are whole; so is the area behind them.
fn check_sizes<F>(building: &mut Building<F>) -> Result<(), Errno> {
    let payload = &mut building.payload;
    let listed = payload.offsets_size / 8;
    if payload.offsets_cut || (payload.objects.len() as u64) < listed {
        return Err(Errno::EFAULT);
    }
    if !payload.offsets_size.is_multiple_of(8) || !building.scatter.is_aligned() {
        return Err(Errno::EINVAL);
    }
    payload.objects.truncate(usize::try_from(listed).unwrap_or(usize::MAX));
    payload.bytes.truncate(usize::try_from(payload.data_size).unwrap_or(usize::MAX));
    Ok(())
}

/// The next object: after the last, inside the data, 4-aligned, all of it there and readable.
///
/// `EFAULT` is found while the bytes before the object are copied, so it comes first.
fn check_object<F>(building: &Building<F>) -> Result<(), Errno> {
    let payload = &building.payload;
    let placed = &payload.objects[building.next];
    let (offset, size, readable) = (placed.offset, payload.data_size, payload.bytes.len() as u64);
    if offset != building.end && (offset < building.end || offset > size || offset > readable) {
        return Err(Errno::EFAULT);
    }
    let left = size.checked_sub(offset).ok_or(Errno::EINVAL)?;
    let looked_at = left.min(Object::SIZE_MAX as u64);
    if !offset.is_multiple_of(4) || offset + looked_at > readable || left < placed.object.wire_size() as u64 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}
