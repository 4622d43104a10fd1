//! Looking at values and setting them outside any operation, and changing owner and mode: `semctl`.

use libc::c_int;

use super::diagnosis;
use crate::error::{Cause, Error, Result};
use crate::{SemaphoreSet, SemaphoreSetStat, sys};

impl SemaphoreSet {
    /// `semctl(id, index, GETVAL)` - the value of one semaphore.
    ///
    /// # Errors
    ///
    /// | errno | meaning |
    /// | --- | --- |
    /// | EINVAL | the set has no semaphore with that index; or the id names no set |
    /// | EIDRM | the set is just being removed |
    /// | EACCES | the mode bits do not let this process read |
    #[doc(alias = "GETVAL")]
    pub fn get(&self, index: u16) -> Result<u16> {
        self.ask(index, sys::GETVAL, "GETVAL").map(|value| u16::try_from(value).unwrap_or(u16::MAX))
    }

    /// `semctl(id, 0, GETALL)` - all values, as they are at one moment.
    ///
    /// # Errors
    ///
    /// As [`get`](SemaphoreSet::get). Refused when the id becomes another set meanwhile.
    pub fn get_all(&self) -> Result<Vec<u16>> {
        let count = self.stat()?.count;
        let values = sys::semctl_get_all(self.id().number(), count)
            .map_err(|errno| diagnosis::control(self.id(), None, "GETALL", errno))?;
        if values.contains(&u16::MAX) {
            // The kernel had fewer than we were told a moment ago.
            let call = format!("semctl({}, 0, GETALL)", self.id());
            let meaning = format!("id {} became another set meanwhile, with fewer semaphores", self.id());
            return Err(Error::refused(call, Cause::Removed, meaning));
        }
        Ok(values)
    }

    /// `semctl(id, index, SETVAL)` - sets one semaphore, wakes who can go on, and **clears what all processes
    /// would undo** on it.
    ///
    /// So it is for initialising, and for repair: a lock that was released in this way is released again by
    /// its owner, and then has room for two. It is no operation: [`SemaphoreSetStat::operated_at`] stays.
    ///
    /// # Errors
    ///
    /// ERANGE: `value` is above SEMVMX, 32767. EACCES: the mode bits do not let this process change values.
    /// Else as [`get`](SemaphoreSet::get).
    #[doc(alias = "SETVAL")]
    pub fn set(&self, index: u16, value: u16) -> Result<()> {
        let set = sys::semctl_set_value(self.id().number(), index, value);
        set.map_err(|errno| diagnosis::control(self.id(), Some(index), &format!("SETVAL, {value}"), errno))
    }

    /// `semctl(id, 0, SETALL)` - sets all semaphores at one moment, with the effects of
    /// [`set`](SemaphoreSet::set) on each.
    ///
    /// # Errors
    ///
    /// As [`set`](SemaphoreSet::set). Refused unless there is one value for each semaphore.
    pub fn set_all(&self, values: &[u16]) -> Result<()> {
        let explain = |errno| diagnosis::control(self.id(), None, "SETALL", errno);
        // Not `stat`: setting takes no read permission.
        if let Some(SemaphoreSetStat { count, .. }) = diagnosis::look(self.id())
            && count != values.len()
        {
            let call = format!("semctl({}, 0, SETALL)", self.id());
            let meaning = format!("{} values were given, the set has {count} semaphores", values.len());
            return Err(Error::refused(call, Cause::Invalid, meaning));
        }
        sys::semctl_set_all(self.id().number(), values).map_err(explain)
    }

    /// `semctl(id, index, GETPID)` - the process that last changed one semaphore or waited for its zero (or
    /// whose exit did), `None` when none ever did or it cannot be seen from here.
    ///
    /// # Errors
    ///
    /// As [`get`](SemaphoreSet::get).
    pub fn last_pid(&self, index: u16) -> Result<Option<u32>> {
        self.ask(index, sys::GETPID, "GETPID").map(|pid| (pid != 0).then_some(pid.unsigned_abs()))
    }

    /// `semctl(id, index, GETNCNT)` - how many wait for one semaphore to have more.
    ///
    /// Of several operations that cannot be done, a waiter waits for the first.
    ///
    /// # Errors
    ///
    /// As [`get`](SemaphoreSet::get).
    pub fn waiting_for_more(&self, index: u16) -> Result<u32> {
        self.ask(index, sys::GETNCNT, "GETNCNT").map(c_int::unsigned_abs)
    }

    /// `semctl(id, index, GETZCNT)` - how many wait for one semaphore to be 0.
    ///
    /// # Errors
    ///
    /// As [`get`](SemaphoreSet::get).
    pub fn waiting_for_zero(&self, index: u16) -> Result<u32> {
        self.ask(index, sys::GETZCNT, "GETZCNT").map(c_int::unsigned_abs)
    }

    fn ask(&self, index: u16, command: c_int, name: &str) -> Result<c_int> {
        sys::semctl_get(self.id().number(), index, command)
            .map_err(|errno| diagnosis::control(self.id(), Some(index), name, errno))
    }

    /// `semctl(id, 0, IPC_SET)` - changes the mode bits, and leaves the owner.
    ///
    /// # Errors
    ///
    /// EPERM: neither owner nor creator. EACCES: the mode bits do not let this process read, which it has to
    /// before it can change a part. EINVAL, EIDRM: it was removed. Refused when the mode has bits beyond
    /// 0777.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        if mode > 0o777 {
            let call = format!("semctl({}, 0, IPC_SET, mode 0{mode:o})", self.id());
            return Err(Error::refused(call, Cause::Invalid, "a mode has no bits beyond 0777"));
        }
        self.change(|permissions| permissions.mode = mode)
    }

    /// `semctl(id, 0, IPC_SET)` - gives the set to another owner and group, and leaves the mode bits. The
    /// creator keeps his rights.
    ///
    /// # Errors
    ///
    /// As [`set_mode`](SemaphoreSet::set_mode); EINVAL also for a uid or gid that this user namespace does
    /// not know.
    pub fn set_owner(&self, uid: u32, gid: u32) -> Result<()> {
        self.change(|permissions| (permissions.uid, permissions.gid) = (uid, gid))
    }

    fn change(&self, change: impl FnOnce(&mut sys::Permissions)) -> Result<()> {
        let mut raw = sys::semctl_stat(self.id().number())
            .map_err(|errno| diagnosis::control(self.id(), None, "IPC_STAT", errno))?;
        change(&mut raw.permissions);
        sys::semctl_set(self.id().number(), raw.permissions)
            .map_err(|errno| diagnosis::control(self.id(), None, "IPC_SET", errno))
    }
}
