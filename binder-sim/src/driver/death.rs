//! Death notices: a process is told when the owner of a node that it holds dies (`struct binder_ref_death`).

use super::Driver;
use super::node::NodeId;
use super::process::ProcessId;
use super::slab::key;
use super::thread::ThreadKey;
use super::work::{List, Work};
use crate::protocol::Return;

key! {
    /// A death notice's number inside the driver.
    pub(crate) DeathId
}

/// What a notice says when it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// The owner has died.
    Dead,
    /// The same; it has been taken back meanwhile, which is said next.
    DeadThenCleared,
    /// It has been taken back.
    Cleared,
}

/// A notice, from the request until the last that is to be said of it is answered.
#[derive(Debug)]
pub(crate) struct Death {
    /// Who asked for it.
    process: ProcessId,
    /// What it will say.
    cookie: u64,
    /// And of what.
    says: Says,
    /// Where its work item stands.
    list: Option<List>,
}

impl<F: core::fmt::Debug> Driver<F> {
    /// `BC_REQUEST_DEATH_NOTIFICATION`: one a handle; a second, and an unknown handle, are ignored. If the owner
    /// is dead already the notice is due at once.
    pub(crate) fn request_death(&mut self, process: ProcessId, handle: u32, cookie: u64) {
        let Some(reference) = self.processes[process].refs.get_mut(handle) else { return };
        if reference.death.is_some() {
            return;
        }
        let node = reference.node;
        let id = self.deaths.insert(Death { process, cookie, says: Says::Dead, list: None });
        reference.death = Some(id);
        if self.nodes[node].owner.is_none() {
            self.enqueue_death(id, List::Process(process));
            self.wake_process(process);
        }
    }

    /// `BC_CLEAR_DEATH_NOTIFICATION`: takes it back, if the cookie is right. A notice that is on its way, or has
    /// been read and not been answered, is taken back afterwards.
    pub(crate) fn clear_death(&mut self, thread: ThreadKey, handle: u32, cookie: u64) {
        let process = self.process_of(thread);
        let Some(reference) = self.processes[process].refs.get_mut(handle) else { return };
        let Some(id) = reference.death.filter(|&id| self.deaths[id].cookie == cookie) else { return };
        reference.death = None;
        if self.deaths[id].list.is_some() {
            self.deaths[id].says = Says::DeadThenCleared;
        } else {
            self.enqueue_cleared(thread, id);
        }
    }

    /// `BC_DEAD_BINDER_DONE`: answers a notice that was read; an unknown cookie is ignored.
    pub(crate) fn dead_binder_done(&mut self, thread: ThreadKey, cookie: u64) {
        let process = self.process_of(thread);
        let find = |work: &Work| match work {
            Work::Death(id) if self.deaths[*id].cookie == cookie => Some(*id),
            _ => None,
        };
        let Some(id) = self.processes[process].delivered_death.iter().find_map(find) else { return };
        self.dequeue_death(id);
        if self.deaths[id].says == Says::DeadThenCleared {
            self.enqueue_cleared(thread, id);
        }
    }

    /// The thread that took it back is told, if it serves calls; else its process.
    fn enqueue_cleared(&mut self, thread: ThreadKey, id: DeathId) {
        self.deaths[id].says = Says::Cleared;
        if self.threads[thread].looper.is_looper() {
            self.deaths[id].list = Some(List::Thread(thread));
            self.enqueue_thread(thread, Work::Death(id));
        } else {
            let process = self.process_of(thread);
            self.enqueue_death(id, List::Process(process));
            self.wake_process(process);
        }
    }

    /// The owner of `node` has died: `holder` is told, if it asked to be.
    pub(crate) fn send_death_notice(&mut self, holder: ProcessId, node: NodeId) {
        let refs = &self.processes[holder].refs;
        let reference = refs.find(node).and_then(|handle| refs.get(handle));
        if let Some(id) = reference.and_then(|reference| reference.death) {
            self.enqueue_death(id, List::Process(holder));
            self.wake_process(holder);
        }
    }

    /// A notice is read. Says whether the read ends with it: a process that hears of a death has things to do.
    pub(crate) fn read_death(&mut self, id: DeathId) -> (Return, bool) {
        let Death { process, cookie, says, .. } = self.deaths[id];
        if says == Says::Cleared {
            self.deaths.remove(id);
            return (Return::ClearDeathNotificationDone(cookie), false);
        }
        self.enqueue_death(id, List::DeliveredDeath(process));
        (Return::DeadBinder(cookie), true)
    }

    /// Nobody will read it, nobody will answer it. It is one that was taken back: what a handle still asks for
    /// lies in no list of a thread's, and goes before its process's lists, with the handle.
    pub(crate) fn release_death(&mut self, id: DeathId) {
        self.deaths.remove(id);
    }

    /// The handle that asked for it is gone, and it goes without a word.
    pub(crate) fn drop_death(&mut self, id: DeathId) {
        self.dequeue_death(id);
        self.deaths.remove(id);
    }

    /// Puts its work item at the end of `list`.
    fn enqueue_death(&mut self, id: DeathId, list: List) {
        self.deaths[id].list = Some(list);
        self.enqueue(list, Work::Death(id));
    }

    /// Takes its work item out of whatever list it stands in.
    fn dequeue_death(&mut self, id: DeathId) {
        if let Some(list) = self.deaths[id].list.take() {
            self.dequeue(list, Work::Death(id));
        }
    }
}
