//! References: the handles under which a process holds the nodes of others.
//!
//! The kernel's Rust driver keeps this in `process.rs`, the C driver as `struct binder_ref`.

use super::Driver;
use super::death::DeathId;
use super::freeze_notice::NoticeId;
use super::node::NodeId;
use super::process::ProcessId;
use super::thread::ThreadKey;
use crate::errno::Errno;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// `struct binder_ref`: one handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reference {
    /// What it names.
    pub(crate) node: NodeId,
    /// Strong counts: `BC_ACQUIRE`s and buffers.
    pub(crate) strong: u32,
    /// Weak counts: `BC_INCREFS`s and buffers.
    pub(crate) weak: u32,
    /// The notice that was asked for, should the node's owner die.
    pub(crate) death: Option<DeathId>,
    /// The notice that was asked for, whenever the node's owner is frozen or thawed.
    pub(crate) freeze: Option<NoticeId>,
}

/// The handles of one process.
///
/// # Invariants
/// One handle a node. `free` lists exactly the numbers from 1 below the highest ever used that name nothing, so
/// that the lowest free number is found without a search. 0 is only for the manager's node.
#[derive(Debug, Default)]
pub(crate) struct References {
    /// The handles by number.
    by_handle: Vec<Option<Reference>>,
    /// The number of each node.
    by_node: BTreeMap<NodeId, u32>,
    /// The free numbers.
    free: BTreeSet<u32>,
}

impl References {
    /// The handle under this number.
    pub(crate) fn get(&self, handle: u32) -> Option<&Reference> {
        self.by_handle.get(handle as usize)?.as_ref()
    }

    /// The handle under this number.
    pub(crate) fn get_mut(&mut self, handle: u32) -> Option<&mut Reference> {
        self.by_handle.get_mut(handle as usize)?.as_mut()
    }

    /// The number of the handle on `node`.
    pub(crate) fn find(&self, node: NodeId) -> Option<u32> {
        self.by_node.get(&node).copied()
    }

    /// The lowest number that names something.
    pub(crate) fn first(&self) -> Option<u32> {
        self.iter().next().map(|(handle, _)| handle)
    }

    /// A new handle, without counts, under the lowest free number: from 0 for the manager's node, else from 1.
    fn insert(&mut self, node: NodeId, is_manager: bool) -> u32 {
        if self.by_handle.is_empty() {
            self.by_handle.push(None);
        }
        let next = u32::try_from(self.by_handle.len()).unwrap_or(u32::MAX);
        let handle = if is_manager && self.by_handle[0].is_none() {
            0
        } else if let Some(lowest) = self.free.pop_first() {
            lowest
        } else {
            self.by_handle.push(None);
            next
        };
        let reference = Reference { node, strong: 0, weak: 0, death: None, freeze: None };
        self.by_handle[handle as usize] = Some(reference);
        self.by_node.insert(node, handle);
        handle
    }

    /// Takes the handle away; its number is free at once.
    fn remove(&mut self, handle: u32) -> Option<Reference> {
        let reference = self.by_handle.get_mut(handle as usize)?.take()?;
        self.by_node.remove(&reference.node);
        if handle != 0 {
            // INVARIANT: the number was used and now names nothing.
            self.free.insert(handle);
        }
        Some(reference)
    }

    /// The handles with their numbers, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Reference)> {
        (0..).zip(&self.by_handle).filter_map(|(handle, slot)| slot.as_ref().map(|r| (handle, r)))
    }
}

impl<F: core::fmt::Debug> Driver<F> {
    /// The node under `handle` of `process`, if it is held (strongly, when `strong` is asked for).
    pub(crate) fn node_of(&self, process: ProcessId, handle: u32, strong: bool) -> Option<NodeId> {
        let reference = self.processes[process].refs.get(handle)?;
        (!strong || reference.strong > 0).then_some(reference.node)
    }

    /// `binder_inc_ref_for_node`: one more count of `process` on `node`; says under which handle.
    pub(crate) fn inc_ref_for_node(
        &mut self,
        process: ProcessId,
        node: NodeId,
        strong: bool,
        sender: Option<ThreadKey>,
    ) -> u32 {
        let found = self.processes[process].refs.find(node);
        let handle = match found {
            Some(handle) => handle,
            None => {
                self.next_id();
                // INVARIANT: one more handle on the node; `remove_ref` takes it back.
                self.nodes[node].holders.insert(process);
                let context = &self.contexts[self.processes[process].device as usize];
                let is_manager = context.manager == Some(node);
                self.processes[process].refs.insert(node, is_manager)
            }
        };
        self.inc_ref(process, handle, strong, sender);
        handle
    }

    /// `binder_inc_ref`: one more count; the first of its kind counts on the node. Of a handle that is not held
    /// there is nothing to count.
    fn inc_ref(&mut self, process: ProcessId, handle: u32, strong: bool, sender: Option<ThreadKey>) {
        let Some(reference) = self.processes[process].refs.get_mut(handle) else { return };
        let count = if strong { &mut reference.strong } else { &mut reference.weak };
        *count = count.saturating_add(1);
        if *count == 1 {
            let node = reference.node;
            self.inc_node(node, strong, true, sender);
        }
    }

    /// `binder_dec_ref`: one count less; the handle goes when none is left. Nothing to take is ignored.
    pub(crate) fn dec_ref(&mut self, process: ProcessId, handle: u32, strong: bool) {
        let Some(reference) = self.processes[process].refs.get_mut(handle) else { return };
        let count = if strong { &mut reference.strong } else { &mut reference.weak };
        if *count == 0 {
            return;
        }
        *count -= 1;
        let (last, gone, node) = (*count == 0, reference.strong == 0 && reference.weak == 0, reference.node);
        if strong && last {
            self.dec_node(node, true, true);
        }
        if gone {
            self.remove_ref(process, handle);
        }
    }

    /// `binder_cleanup_ref`: takes the handle away, with whatever it still counts and asked for.
    pub(crate) fn remove_ref(&mut self, process: ProcessId, handle: u32) {
        let Some(reference) = self.processes[process].refs.remove(handle) else { return };
        if reference.strong > 0 {
            self.dec_node(reference.node, true, true);
        }
        if let Some(node) = self.nodes.get_mut(reference.node) {
            // INVARIANT: pairs with `inc_ref_for_node`.
            node.holders.remove(&process);
            self.dec_node(reference.node, false, true);
        }
        if let Some(death) = reference.death {
            self.drop_death(death);
        }
        if let Some(notice) = reference.freeze {
            self.drop_freeze_notice(notice);
        }
    }

    /// `BC_INCREFS`, `BC_ACQUIRE`, `BC_RELEASE`, `BC_DECREFS`: a handle that is not held (strongly, for the
    /// strong two) is ignored; handle 0 can be counted from nothing, except by the manager itself.
    pub(crate) fn count(
        &mut self,
        process: ProcessId,
        handle: u32,
        strong: bool,
        up: bool,
    ) -> Result<(), Errno> {
        let manager = self.contexts[self.processes[process].device as usize].manager;
        if let (true, 0, Some(manager)) = (up, handle, manager) {
            if self.nodes[manager].owner == Some(process) {
                return Err(Errno::EINVAL);
            }
            self.inc_ref_for_node(process, manager, strong, None);
        } else if self.node_of(process, handle, strong).is_some() {
            if up {
                self.inc_ref(process, handle, strong, None);
            } else {
                self.dec_ref(process, handle, strong);
            }
        }
        Ok(())
    }
}
