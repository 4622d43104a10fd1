//! The calls that processes make of the device.

use super::{Caller, File, Pid, World};
use crate::driver::{Input, ProcessId, Read, Security, ThreadId, WriteRead};
use crate::errno::Errno;
use crate::error::Error;
use crate::protocol::{Answer, Command, ExtendedError, Ioctl, ObjectFlags};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl<T> World<T> {
    /// `seteuid`: for what the process sends, and whether it may be a manager, from now on.
    ///
    /// # Errors
    /// `ESRCH`: no such process.
    pub fn set_euid(&mut self, pid: Pid, euid: u32) -> Result<(), Error> {
        self.table_mut(pid, &|| format!("seteuid(pid {pid}, {euid})"))?;
        self.processes[pid.index()].euid = euid;
        let opens = self.opens.iter().filter(|open| open.opener == pid && !open.is_closed);
        let opens: Vec<ProcessId> = opens.map(|open| open.id).collect();
        opens.into_iter().for_each(|process| self.handle(Input::SetEuid { process, euid }));
        Ok(())
    }

    /// Has a security module asked from now on.
    pub fn set_security(&mut self, security: Arc<dyn Security<File<T>>>) {
        self.driver.set_security(security);
    }

    /// The main thread of a process, and the device that it opened first.
    ///
    /// # Errors
    /// `EBADF`: the device is not open.
    pub fn main(&self, pid: Pid, call: &str) -> Result<Caller, Error> {
        let fd = self.processes.get(pid.index()).and_then(|process| process.device_fd);
        let closed = || Error::new(format!("{call}(pid {pid})"), Errno::EBADF, "it has no open device");
        Ok(Caller { pid, tid: pid.raw(), fd: fd.ok_or_else(closed)? })
    }

    /// `ioctl(BINDER_SET_CONTEXT_MGR_EXT)`: the process is reached as handle 0 from now on.
    ///
    /// The older `BINDER_SET_CONTEXT_MGR` is the same with [`ObjectFlags::NONE`]: such a manager can never
    /// receive a descriptor.
    ///
    /// # Errors
    /// `EBADF`: the device is not open. `EBUSY`: there is a manager. `EPERM`: the first had another uid.
    pub fn set_context_manager(&mut self, pid: Pid, flags: ObjectFlags) -> Result<(), Error> {
        let caller = self.main(pid, "ioctl")?;
        self.ioctl(caller, Ioctl::SetContextMgrExt { ptr: 0, cookie: 0, flags }).map(drop)
    }

    /// `ioctl(BINDER_GET_EXTENDED_ERROR)`: why the main thread's last transaction was refused; clears it.
    ///
    /// # Errors
    /// `EBADF`: the device is not open. `EINVAL`: this kernel has no such ioctl.
    pub fn extended_error(&mut self, pid: Pid) -> Result<ExtendedError, Error> {
        self.extended_error_of(pid, pid.raw())
    }

    /// [`extended_error`](World::extended_error) of the thread `tid`.
    ///
    /// # Errors
    /// As there.
    pub fn extended_error_of(&mut self, pid: Pid, tid: u32) -> Result<ExtendedError, Error> {
        let caller = Caller { tid, ..self.main(pid, "ioctl")? };
        match self.ioctl(caller, Ioctl::GetExtendedError)? {
            Some(Answer::ExtendedError(error)) => Ok(error),
            _ => Ok(ExtendedError::default()),
        }
    }

    /// Any ioctl but `BINDER_WRITE_READ`. `None`: a `BINDER_FREEZE` that waits; what comes of it is then to be had
    /// from [`take_answer`](World::take_answer).
    ///
    /// # Errors
    /// `EBADF`: no device is open there. `EBUSY`: the thread is inside another call. Otherwise the driver's.
    pub fn ioctl(&mut self, caller: Caller, ioctl: Ioctl) -> Result<Option<Answer>, Error> {
        let call = || format!("ioctl(pid {}, tid {}, {ioctl})", caller.pid, caller.tid);
        let thread = self.thread(caller, &call)?;
        let euid = self.processes[caller.pid.index()].euid;
        self.handle(Input::Ioctl { thread, euid, ioctl });
        let answer = self.answer_of(thread).transpose();
        answer.map_err(|errno| Error::new(call(), errno, meaning(errno)))
    }

    /// `poll`: whether a read would find something.
    ///
    /// # Errors
    /// `EBADF`: no device is open there.
    pub fn poll(&mut self, caller: Caller) -> Result<bool, Error> {
        let call = || format!("poll(pid {}, tid {})", caller.pid, caller.tid);
        let thread = self.thread(caller, &call)?;
        self.handle(Input::Poll(thread));
        Ok(matches!(self.answer_of(thread), Some(Ok(Answer::Readable(true)))))
    }

    /// What came of a `BINDER_FREEZE` that had to wait.
    pub fn take_answer(&mut self, caller: Caller) -> Option<Result<Answer, Errno>> {
        let thread = self.thread(caller, &String::new).ok()?;
        self.answer_of(thread)
    }

    /// A `BINDER_FREEZE` that waits has waited for long enough.
    ///
    /// # Errors
    /// `EBADF`: no device is open there.
    pub fn time_up(&mut self, caller: Caller) -> Result<(), Error> {
        let thread = self.thread(caller, &|| format!("time_up(pid {}, tid {})", caller.pid, caller.tid))?;
        self.handle(Input::TimeUp(thread));
        Ok(())
    }

    /// A signal: a call that waits comes back with `EINTR`.
    ///
    /// # Errors
    /// `EBADF`: no device is open there.
    pub fn interrupt(&mut self, caller: Caller) -> Result<(), Error> {
        let thread = self.thread(caller, &|| format!("kill(pid {}, tid {})", caller.pid, caller.tid))?;
        self.interrupt_thread(thread);
        Ok(())
    }

    /// The same, whatever has become of the number by which the call was made.
    pub fn interrupt_thread(&mut self, thread: ThreadId) {
        self.ready.retain(|&ready| ready != thread);
        self.handle(Input::Interrupt(thread));
    }

    /// `ioctl(BINDER_WRITE_READ)` of the main thread: commands, then a read. `None`: the thread waits; what comes
    /// of it is then to be had from [`take_returned`](World::take_returned).
    ///
    /// # Errors
    /// `EBADF`: the device is not open. `EBUSY`: the thread is inside a call. `EINVAL`: room for less than a
    /// return.
    pub fn write_read(
        &mut self,
        pid: Pid,
        write: Vec<Command>,
        read: Read,
    ) -> Result<Option<WriteRead>, Error> {
        let caller = self.main(pid, "ioctl")?;
        self.write_read_by(caller, write, read)
    }

    /// [`write_read`](World::write_read) of the thread `tid`.
    ///
    /// # Errors
    /// As there.
    pub fn write_read_of(
        &mut self,
        pid: Pid,
        tid: u32,
        write: Vec<Command>,
        read: Read,
    ) -> Result<Option<WriteRead>, Error> {
        let caller = Caller { tid, ..self.main(pid, "ioctl")? };
        self.write_read_by(caller, write, read)
    }

    /// [`write_read`](World::write_read) of any thread, through any number.
    ///
    /// # Errors
    /// As there.
    pub fn write_read_by(
        &mut self,
        caller: Caller,
        write: Vec<Command>,
        read: Read,
    ) -> Result<Option<WriteRead>, Error> {
        let call = || format!("ioctl(pid {}, tid {}, BINDER_WRITE_READ)", caller.pid, caller.tid);
        let thread = self.thread(caller, &call)?;
        self.note_call(caller.pid, &write, read);
        let files = self.look_up(caller.pid, &write);
        let (pid, euid) = (caller.pid.raw(), self.processes[caller.pid.index()].euid);
        self.handle(Input::WriteRead { thread, pid, euid, write, files, read });
        let refused = "the thread is inside another call, or the room is less than a return";
        self.done().map_err(|errno| Error::new(call(), errno, refused))?;
        Ok(self.returned_of(thread))
    }

    /// What came out of the main thread's call that had to wait.
    pub fn take_returned(&mut self, pid: Pid) -> Option<WriteRead> {
        self.take_returned_by(pid, pid.raw())
    }

    /// What came out of the call of thread `tid` that had to wait.
    pub fn take_returned_by(&mut self, pid: Pid, tid: u32) -> Option<WriteRead> {
        let process = self.open_of(pid)?;
        self.returned_of(ThreadId { process, tid })
    }

    /// What came out of the call of any thread, through any number, that had to wait.
    pub fn take_returned_of(&mut self, caller: Caller) -> Option<WriteRead> {
        let thread = self.thread(caller, &String::new).ok()?;
        self.returned_of(thread)
    }

    /// What came out of the call of a thread that had to wait, whatever has become of the number it was made by.
    pub fn take_returned_of_thread(&mut self, thread: ThreadId) -> Option<WriteRead> {
        self.returned_of(thread)
    }

    /// What came of a `BINDER_FREEZE` of a thread that had to wait, likewise.
    pub fn take_answer_of_thread(&mut self, thread: ThreadId) -> Option<Result<Answer, Errno>> {
        self.answer_of(thread)
    }

    /// The open under a number of a process, as the driver numbers it.
    pub fn open_at_fd(&self, pid: Pid, fd: u32) -> Option<ProcessId> {
        self.table(pid)?.get(fd)?.as_device()
    }

    /// The open of a process, as the driver numbers it: of the device that it opened first.
    pub fn open_of(&self, pid: Pid) -> Option<ProcessId> {
        let process = self.processes.get(pid.index())?;
        process.table.as_ref()?.get(process.device_fd?)?.as_device()
    }

    /// The device that a process has under `fd`.
    pub(super) fn device(&self, pid: Pid, fd: u32, call: &dyn Fn() -> String) -> Result<ProcessId, Error> {
        let device = self.table(pid).and_then(|table| table.get(fd)?.as_device());
        device.ok_or_else(|| Error::new(call(), Errno::EBADF, "the process has no device open there"))
    }

    /// The thread that makes a call.
    fn thread(&mut self, caller: Caller, call: &dyn Fn() -> String) -> Result<ThreadId, Error> {
        let Caller { pid, tid, fd } = caller;
        let process = self.device(pid, fd, call)?;
        if tid != pid.raw() {
            self.processes[pid.index()].tids.insert(tid);
        }
        Ok(ThreadId { process, tid })
    }
}

/// What an error of an ioctl means, whichever it was.
fn meaning(errno: Errno) -> &'static str {
    match errno {
        Errno::EPERM => "not for this caller",
        Errno::EBUSY => "there is a manager already, or the thread is inside another call",
        Errno::EAGAIN => "the process still has something to do",
        Errno::EFAULT => "the argument cannot be read",
        _ => "this kernel has no such ioctl, or it cannot be done with this argument",
    }
}
