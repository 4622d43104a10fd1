//! The ioctls of the device (`binder_ioctl`).

use super::thread::{Call, Hold, Read, ThreadId, ThreadKey};
use super::{Driver, Output};
use crate::errno::Errno;
use crate::protocol::{Answer, Command, Ioctl, ObjectFlags, number};
use alloc::vec::Vec;

/// `BINDER_CURRENT_PROTOCOL_VERSION` of a 64-bit kernel.
const PROTOCOL_VERSION: u32 = 8;

impl<F: core::fmt::Debug> Driver<F> {
    /// The thread that makes a call, if it is free to make one.
    fn enter(&mut self, id: ThreadId) -> Result<ThreadKey, Errno> {
        let key = self.get_thread(id).ok_or(Errno::EBADF)?;
        let thread = &self.threads[key];
        if thread.call.is_some() || thread.freezer.is_some() { Err(Errno::EBUSY) } else { Ok(key) }
    }

    /// Begins a `BINDER_WRITE_READ`.
    pub(crate) fn write_read(
        &mut self,
        id: ThreadId,
        (pid, euid): (u32, u32),
        (write, files): (Vec<Command>, Vec<Option<F>>),
        read: Read,
    ) -> Result<(), Errno> {
        // A kernel does not notice, and writes past the end.
        let consumed = if read.size == 0 { 0 } else { read.consumed };
        if (1..4).contains(&read.size) || consumed > read.size || !consumed.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        let key = self.enter(id)?;
        self.threads[key].call = Some(Call {
            pid,
            euid,
            commands: write.into_iter(),
            files,
            looked_up: 0,
            consumed: 0,
            read,
            returns: Vec::new(),
            used: 0,
            is_reading: false,
            takes_process_work: false,
            hold: Hold::Nothing,
        });
        self.thread_write(key);
        Ok(())
    }

    /// Any other ioctl.
    pub(crate) fn ioctl(&mut self, id: ThreadId, euid: u32, ioctl: Ioctl) {
        match self.enter(id) {
            Ok(key) => {
                if let Some(result) = self.do_ioctl(key, euid, ioctl) {
                    self.answer(key, result);
                }
            }
            Err(errno) => self.outputs.push_back(Output::Answered { thread: id, result: Err(errno) }),
        }
    }

    /// An ioctl returns; its thread has come back.
    pub(crate) fn answer(&mut self, key: ThreadKey, result: Result<Answer, Errno>) {
        self.threads[key].need_return = false;
        let thread = self.threads[key].id;
        self.outputs.push_back(Output::Answered { thread, result });
    }

    /// What comes of it. None where the thread has to wait, or is gone.
    fn do_ioctl(&mut self, key: ThreadKey, euid: u32, ioctl: Ioctl) -> Option<Result<Answer, Errno>> {
        let process = self.process_of(key);
        if let Err(errno) = self.check_argument(key, &ioctl) {
            return Some(Err(errno));
        }
        let answer = match ioctl {
            Ioctl::Version => Answer::Version(PROTOCOL_VERSION),
            Ioctl::SetMaxThreads(most) => {
                self.processes[process].max_threads = most;
                Answer::Done
            }
            Ioctl::ThreadExit | Ioctl::BadPointer(number::THREAD_EXIT) => {
                let thread = self.threads[key].id;
                self.release_thread(key);
                self.outputs.push_back(Output::Answered { thread, result: Ok(Answer::Done) });
                return None;
            }
            Ioctl::SetContextMgr | Ioctl::BadPointer(number::SET_CONTEXT_MGR) => {
                let done = self.set_context_manager((process, euid), (0, 0), ObjectFlags::NONE);
                return Some(done.map(|()| Answer::Done));
            }
            Ioctl::SetContextMgrExt { ptr, cookie, flags } => {
                let done = self.set_context_manager((process, euid), (ptr, cookie), flags);
                return Some(done.map(|()| Answer::Done));
            }
            Ioctl::GetNodeDebugInfo { ptr } => Answer::NodeDebugInfo(self.node_debug_info(process, ptr)),
            Ioctl::GetNodeInfoForRef(info) => {
                return Some(self.node_info_for_ref(process, info).map(Answer::NodeInfoForRef));
            }
            Ioctl::Freeze { pid, enable, timeout_ms } => return self.freeze(key, pid, enable, timeout_ms),
            Ioctl::GetFrozenInfo { pid } => return Some(self.frozen_info(pid).map(Answer::FrozenInfo)),
            Ioctl::EnableOnewaySpamDetection(on) => {
                self.processes[process].oneway_spam_detection = on;
                Answer::Done
            }
            Ioctl::GetExtendedError => {
                Answer::ExtendedError(core::mem::take(&mut self.threads[key].extended_error))
            }
            Ioctl::SetIdleTimeout(_) | Ioctl::SetIdlePriority(_) => return Some(Err(Errno::EINVAL)),
            Ioctl::BadPointer(_) | Ioctl::Unknown(_) => return Some(Err(Errno::EINVAL)),
        };
        Some(Ok(answer))
    }

    /// Whether this kernel has the ioctl, and can read its argument.
    fn check_argument(&mut self, key: ThreadKey, ioctl: &Ioctl) -> Result<(), Errno> {
        let exists = match ioctl.number() {
            number::FREEZE | number::GET_FROZEN_INFO => self.profile.freeze,
            number::ENABLE_ONEWAY_SPAM_DETECTION => self.profile.oneway_spam.is_some(),
            number::GET_EXTENDED_ERROR => self.profile.extended_error,
            _ => true,
        };
        if !exists {
            return Err(Errno::EINVAL);
        }
        match ioctl {
            Ioctl::BadPointer(number::SET_CONTEXT_MGR | number::THREAD_EXIT) => Ok(()),
            Ioctl::BadPointer(number::GET_EXTENDED_ERROR) => {
                // It is gone all the same.
                self.threads[key].extended_error = Default::default();
                Err(Errno::EFAULT)
            }
            Ioctl::BadPointer(
                number::WRITE_READ
                | number::GET_NODE_DEBUG_INFO
                | number::GET_NODE_INFO_FOR_REF
                | number::FREEZE
                | number::GET_FROZEN_INFO
                | number::ENABLE_ONEWAY_SPAM_DETECTION,
            ) => Err(Errno::EFAULT),
            _ => Ok(()),
        }
    }
}
