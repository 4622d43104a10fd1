//! References: the handles under which a process holds the nodes of others.
//!
//! The kernel's Rust driver keeps this in `process.rs`, the C driver as `struct binder_ref`.

use super::Driver;
use super::node::NodeId;
use super::process::ProcessId;
use super::thread::ThreadId;
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

    /// A new handle, without counts, under the lowest free number: from 0 for the manager's node, else from 1.
    fn insert(&mut self, node: NodeId, is_manager: bool) -> u32 {
        if self.by_handle.is_empty() {
            self.by_handle.push(None);
        }
        let next = u32::try_from(self.by_handle.len()).unwrap_or(u32::MAX);
        let handle = match (is_manager && self.by_handle[0].is_none(), self.free.pop_first()) {
            (true, popped) => {
                self.free.extend(popped);
                0
            }
            (false, Some(lowest)) => lowest,
            (false, None) => {
                self.by_handle.push(None);
                next
            }
        };
        self.by_handle[handle as usize] = Some(Reference { node, strong: 0, weak: 0 });
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
        sender: Option<ThreadId>,
    ) -> Result<u32, Errno> {
        let is_manager = self.contexts[self.processes[process].device as usize].manager == Some(node);
        let handle = match self.processes[process].refs.find(node) {
            Some(handle) => handle,
            None => {
                // INVARIANT: one more handle on the node; `remove_ref` takes it back.
                self.nodes[node].refs += 1;
                self.processes[process].refs.insert(node, is_manager)
            }
        };
        let counted = self.inc_ref(process, handle, strong, sender);
        if counted.is_err()
            && self.processes[process].refs.get(handle).is_some_and(|r| r.strong + r.weak == 0)
        {
            self.remove_ref(process, handle);
        }
        counted.map(|()| handle)
    }

    /// `binder_inc_ref`: one more count; the first of its kind counts on the node.
    pub(crate) fn inc_ref(
        &mut self,
        process: ProcessId,
        handle: u32,
        strong: bool,
        sender: Option<ThreadId>,
    ) -> Result<(), Errno> {
        let reference = *self.processes[process].refs.get(handle).ok_or(Errno::EINVAL)?;
        let count = if strong { reference.strong } else { reference.weak };
        let raised = count.checked_add(1).ok_or(Errno::EINVAL)?;
        if count == 0 {
            self.inc_node(reference.node, strong, true, sender)?;
        }
        if let Some(reference) = self.processes[process].refs.get_mut(handle) {
            *if strong { &mut reference.strong } else { &mut reference.weak } = raised;
        }
        Ok(())
    }

    /// `binder_dec_ref`: one count less; the handle goes when none is left. Nothing to take is ignored.
    pub(crate) fn dec_ref(&mut self, process: ProcessId, handle: u32, strong: bool) {
        let Some(reference) = self.processes[process].refs.get_mut(handle) else { return };
        let count = if strong { &mut reference.strong } else { &mut reference.weak };
        if *count == 0 {
            return;
        }
        *count -= 1;
        let (last, gone, node) = (*count == 0, reference.strong + reference.weak == 0, reference.node);
        if strong && last {
            self.dec_node(node, true, true);
        }
        if gone {
            self.remove_ref(process, handle);
        }
    }

    /// `binder_cleanup_ref`: takes the handle away, with whatever it still counts.
    pub(crate) fn remove_ref(&mut self, process: ProcessId, handle: u32) {
        let Some(reference) = self.processes[process].refs.remove(handle) else { return };
        if reference.strong > 0 {
            self.dec_node(reference.node, true, true);
        }
        // INVARIANT: pairs with `inc_ref_for_node`.
        let node = &mut self.nodes[reference.node];
        node.refs = node.refs.saturating_sub(1);
        self.dec_node(reference.node, false, true);
    }
}
