//! Freeze notices: a process is told when the owner of a node that it holds is frozen or thawed
//! (`struct binder_ref_freeze`, since 6.12).

use super::Driver;
use super::node::NodeId;
use super::process::ProcessId;
use super::slab::key;
use super::work::{List, Work};
use crate::errno::Errno;
use crate::protocol::Return;
use alloc::vec::Vec;

key! {
    /// A freeze notice's number inside the driver.
    pub(crate) NoticeId
}

/// A notice, from the request until its end is read. It is said again and again, one at a time.
#[derive(Debug)]
pub(crate) struct FreezeNotice {
    /// Who asked for it.
    process: ProcessId,
    /// What it says.
    cookie: u64,
    /// Whether the owner is frozen, as it is to be said next.
    is_frozen: bool,
    /// It has been read and not been answered.
    sent: bool,
    /// Something has changed since it was read.
    resend: bool,
    /// It has been taken back, which is all that is left to be said.
    cleared: bool,
    /// Where its work item stands.
    list: Option<List>,
}

impl<F: core::fmt::Debug> Driver<F> {
    /// `BC_REQUEST_FREEZE_NOTIFICATION`: one a handle; how things are is said at once, if there is an owner.
    pub(crate) fn request_freeze_notice(
        &mut self,
        process: ProcessId,
        handle: u32,
        cookie: u64,
    ) -> Result<(), Errno> {
        let reference = self.processes[process].refs.get_mut(handle).ok_or(Errno::EINVAL)?;
        if reference.freeze.is_some() {
            return Err(Errno::EINVAL);
        }
        let node = reference.node;
        let notice = FreezeNotice {
            process,
            cookie,
            is_frozen: false,
            sent: false,
            resend: false,
            cleared: false,
            list: None,
        };
        let id = self.freeze_notices.insert(notice);
        reference.freeze = Some(id);
        if let Some(owner) = self.nodes[node].owner {
            self.freeze_notices[id].is_frozen = self.processes[owner].is_frozen;
            self.enqueue_notice(id, process);
        }
        Ok(())
    }

    /// `BC_CLEAR_FREEZE_NOTIFICATION`: takes it back. One that is on its way says so instead; one that has been
    /// read says so when it is answered.
    pub(crate) fn clear_freeze_notice(
        &mut self,
        process: ProcessId,
        handle: u32,
        cookie: u64,
    ) -> Result<(), Errno> {
        let reference = self.processes[process].refs.get_mut(handle).ok_or(Errno::EINVAL)?;
        let id = reference.freeze.filter(|&id| self.freeze_notices[id].cookie == cookie);
        let id = id.ok_or(Errno::EINVAL)?;
        reference.freeze = None;
        let notice = &mut self.freeze_notices[id];
        notice.cleared = true;
        if notice.list.is_none() {
            self.enqueue_notice(id, process);
        } else if notice.sent {
            notice.resend = true;
        }
        Ok(())
    }

    /// `BC_FREEZE_NOTIFICATION_DONE`: answers a notice that was read; what changed meanwhile is said now.
    pub(crate) fn freeze_notice_done(&mut self, process: ProcessId, cookie: u64) -> Result<(), Errno> {
        let find = |work: &Work| match work {
            Work::Freeze(id) if self.freeze_notices[*id].cookie == cookie => Some(*id),
            _ => None,
        };
        let found = self.processes[process].delivered_freeze.iter().find_map(find);
        let id = found.ok_or(Errno::EINVAL)?;
        self.dequeue_notice(id);
        let notice = &mut self.freeze_notices[id];
        notice.sent = false;
        if core::mem::take(&mut notice.resend) {
            self.enqueue_notice(id, process);
        }
        Ok(())
    }

    /// `binder_add_freeze_work`: `owner` has been frozen or thawed; whoever asked for it is told.
    pub(crate) fn send_freeze_notices(&mut self, owner: ProcessId, is_frozen: bool) {
        let nodes: Vec<NodeId> = self.processes[owner].nodes.values().copied().collect();
        for node in nodes {
            let holders: Vec<ProcessId> = self.nodes[node].holders.iter().copied().collect();
            for holder in holders {
                let refs = &self.processes[holder].refs;
                let reference = refs.find(node).and_then(|handle| refs.get(handle));
                if let Some(id) = reference.and_then(|reference| reference.freeze) {
                    self.send_freeze_notice(id, is_frozen);
                }
            }
            // The kernel looks after each node whether it is the last that holds it.
            self.nodes[node].tmp += 1;
            self.put_node(node);
            if self.processes[owner].is_dead {
                // So it is in the kernel: an open that is being taken apart tells of one node.
                break;
            }
        }
    }

    /// One of them.
    fn send_freeze_notice(&mut self, id: NoticeId, is_frozen: bool) {
        let notice = &mut self.freeze_notices[id];
        let changed = core::mem::replace(&mut notice.is_frozen, is_frozen) != is_frozen;
        if notice.list.is_none() {
            let process = notice.process;
            self.enqueue_notice(id, process);
        } else if notice.sent && changed {
            notice.resend = true;
        }
    }

    /// A notice is read. Says whether the read ends with it.
    pub(crate) fn read_freeze_notice(&mut self, id: NoticeId) -> (Return, bool) {
        let notice = &mut self.freeze_notices[id];
        let FreezeNotice { process, cookie, is_frozen, cleared, .. } = *notice;
        if cleared {
            self.freeze_notices.remove(id);
            return (Return::ClearFreezeNotificationDone(cookie), false);
        }
        notice.sent = true;
        notice.list = Some(List::DeliveredFreeze(process));
        self.enqueue(List::DeliveredFreeze(process), Work::Freeze(id));
        (Return::FrozenBinder { cookie, is_frozen }, true)
    }

    /// Nobody will read it, nobody will answer it. It is one that was taken back, as with a death's.
    pub(crate) fn release_freeze_notice(&mut self, id: NoticeId) {
        self.freeze_notices.remove(id);
    }

    /// The handle that asked for it is gone, and it goes without a word.
    pub(crate) fn drop_freeze_notice(&mut self, id: NoticeId) {
        self.dequeue_notice(id);
        self.freeze_notices.remove(id);
    }

    /// It is to be read.
    fn enqueue_notice(&mut self, id: NoticeId, process: ProcessId) {
        self.freeze_notices[id].list = Some(List::Process(process));
        self.enqueue_process(process, Work::Freeze(id));
    }

    /// Takes its work item out of whatever list it stands in.
    fn dequeue_notice(&mut self, id: NoticeId) {
        if let Some(list) = self.freeze_notices[id].list.take() {
            self.dequeue(list, Work::Freeze(id));
        }
    }
}
