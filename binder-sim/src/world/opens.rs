//! Opens of the device: how they begin, what holds them, and how they end.

use super::{File, Open, Pid, World};
use crate::driver::{Device, Input, ProcessId, ThreadId};
use crate::errno::Errno;
use crate::error::Error;
use alloc::format;
use alloc::vec::Vec;

/// Where a process maps the device first: the same everywhere, so that a page shows the same address everywhere.
pub(crate) const MAPPING_BASE: u64 = 0x7000_0000;

/// How far apart the mappings of one process are.
pub(crate) const MAPPING_STEP: u64 = 0x0100_0000;

/// The bytes of a page.
pub(crate) const PAGE: usize = 4096;

impl<T> World<T> {
    /// `open("/dev/binder")`: takes a number, like any open file.
    ///
    /// # Errors
    /// `ESRCH`: no such process. `EMFILE`: its table is full.
    pub fn open_device(&mut self, pid: Pid) -> Result<u32, Error> {
        self.open_device_of(pid, Device::Binder)
    }

    /// `open` of one of the devices; a process can have several opens, each of which is a process to the driver.
    ///
    /// # Errors
    /// `ESRCH`: no such process. `EMFILE`: its table is full.
    pub fn open_device_of(&mut self, pid: Pid, device: Device) -> Result<u32, Error> {
        let call = || format!("open(pid {pid}, {:?})", device.path());
        let full = |errno| Error::new(call(), errno, "every number below the limit is in use");
        let number = self.table_mut(pid, &call)?.get_unused_fd_flags().map_err(full)?;
        let process = &self.processes[pid.index()];
        let (euid, comm) = (process.euid, process.name.clone());
        self.handle(Input::Open { device, pid: pid.raw(), euid, comm });
        let Some(open) = self.opened.take() else {
            self.table_mut(pid, &call)?.put_unused_fd(number);
            return Err(Error::new(call(), Errno::ENOMEM, "the driver did not open"));
        };
        let file = File::device(device.path(), open);
        self.watch(&file);
        let entry = Open { id: open, opener: pid, watch: file.watch(), is_closed: false, is_left: false };
        match self.opens.get_mut(open.index()) {
            Some(place) => *place = entry,
            None => self.opens.push(entry),
        }
        // Close-on-exec, as everybody opens it.
        let fd = self.table_mut(pid, &call)?.fd_install(number, file, true);
        self.processes[pid.index()].device_fd.get_or_insert(fd);
        Ok(fd)
    }

    /// `mmap` of the device that the process opened first: room to receive `size` bytes of transactions.
    ///
    /// # Errors
    /// `EBADF`: the device is not open. `EBUSY`: it is mapped already. `EINVAL`: `size` is 0.
    pub fn mmap(&mut self, pid: Pid, size: usize) -> Result<(), Error> {
        let fd = self.main(pid, "mmap")?.fd;
        self.mmap_fd(pid, fd, size, false)
    }

    /// `mmap` of the device under `fd`, perhaps writable.
    ///
    /// # Errors
    /// As [`mmap`](World::mmap), and: `EINVAL`: another process opened it. `EPERM`: writable.
    pub fn mmap_fd(&mut self, pid: Pid, fd: u32, size: usize, write: bool) -> Result<(), Error> {
        let call = || format!("mmap(pid {pid}, fd {fd}, {size})");
        let process = self.device(pid, fd, &call)?;
        let base = MAPPING_BASE + u64::from(self.processes[pid.index()].mapped) * MAPPING_STEP;
        let size = size.checked_next_multiple_of(PAGE).unwrap_or(0);
        self.handle(Input::Mmap { process, pid: pid.raw(), base, size, write });
        let why = "the device can be mapped once, with a size, not writable, and by its opener";
        self.done().map_err(|errno| Error::new(call(), errno, why))?;
        let process = &mut self.processes[pid.index()];
        process.mapped += 1;
        process.mappings.extend(process.table.as_ref().and_then(|table| table.get(fd)).cloned());
        Ok(())
    }

    /// `munmap` of the device under `fd`.
    ///
    /// # Errors
    /// `EBADF`: no device is open there.
    pub fn munmap(&mut self, pid: Pid, fd: u32) -> Result<(), Error> {
        let open = self.device(pid, fd, &|| format!("munmap(pid {pid}, fd {fd})"))?;
        self.munmap_open(pid, open);
        Ok(())
    }

    /// `munmap` of an open that may have no number any more: its mapping may be all that holds it.
    pub fn munmap_open(&mut self, pid: Pid, open: ProcessId) {
        let Some(process) = self.processes.get_mut(pid.index()) else { return };
        let mapped = process.mappings.iter().position(|file| file.as_device() == Some(open));
        if let Some(at) = mapped {
            let file = process.mappings.swap_remove(at);
            self.unmapped(file);
            self.run_eagerly();
        }
    }

    /// `munmap` of a part of an open's mapping: what is left of it holds the file, and to the driver all of it is
    /// gone (`binder_vma_close`).
    pub fn munmap_part(&mut self, open: ProcessId) {
        self.handle(Input::Munmap(open));
    }

    /// The mapping of an open is gone, and with it perhaps the open.
    pub(super) fn unmapped(&mut self, file: File<T>) {
        let Some(open) = file.as_device() else { return };
        drop(file);
        self.handle(Input::Munmap(open));
        self.note_lost_device(open);
    }

    /// Leaves what closes have to do for later; it is done by [`run_deferred`](World::run_deferred), one open at a
    /// time. Otherwise it is done at once.
    pub fn set_eager(&mut self, is_eager: bool) {
        self.is_eager = is_eager;
    }

    /// How many opens have something left to be done.
    pub fn deferred(&self) -> usize {
        self.driver.deferred()
    }

    /// Does what a close has left to do, for one open. Where one of its threads has polled, the kernel waits in the
    /// middle; then whoever was woken can run ([`run`](World::run)) before the next call goes on with it.
    pub fn run_deferred(&mut self) {
        self.handle(Input::RunDeferred);
        self.note_lost_devices();
    }

    /// A number of a device was closed. With the last reference the open ends.
    pub(super) fn closed_device(&mut self, file: File<T>) {
        let Some(open) = file.as_device() else { return };
        drop(file);
        self.handle(Input::Flush(open));
        for process in &mut self.processes {
            let is_open = |fd| process.table.as_ref().is_some_and(|table| table.get(fd).is_some());
            process.device_fd = process.device_fd.filter(|&fd| is_open(fd));
        }
        self.note_lost_device(open);
    }

    /// Does what closes have left to do, unless it is to be done later. While a release waits, whoever was woken
    /// runs; what that closes is done when the release is over.
    pub(super) fn run_eagerly(&mut self) {
        while self.is_eager && !self.is_pausing && self.driver.deferred() > 0 {
            self.run_deferred();
            if self.driver.is_pausing() {
                self.is_pausing = true;
                self.run();
                self.is_pausing = false;
            }
        }
    }

    /// Tells the driver of an open that nothing holds any more: no number, no mapping, no message, no call.
    pub(super) fn note_lost_device(&mut self, id: ProcessId) {
        let Some(open) = self.opens.get_mut(id.index()).filter(|open| open.id == id) else { return };
        if open.watch.references() > 0 || open.is_closed {
            return;
        }
        if self.driver.is_inside(id) {
            open.is_left = true;
            return;
        }
        (open.is_closed, open.is_left) = (true, false);
        self.handle(Input::Close(id));
    }

    /// The same of all opens, where the last reference may have gone with a message.
    pub(super) fn note_lost_devices(&mut self) {
        if self.devices_travel {
            let ids: Vec<ProcessId> = self.opens.iter().map(|open| open.id).collect();
            ids.into_iter().for_each(|id| self.note_lost_device(id));
        }
    }

    /// A call has returned. What its thread let go of goes now, and with it, or with a message that nobody will
    /// read, perhaps the last that held an open.
    pub(super) fn note_end_of_call(&mut self, thread: ThreadId) {
        self.closing.retain(|(closer, _)| *closer != thread);
        self.note_left(thread.process);
        if self.devices_travel {
            self.note_lost_devices();
            self.run_eagerly();
        }
    }

    /// A call of an open has returned: it may have been the last thing that held it.
    pub(super) fn note_left(&mut self, id: ProcessId) {
        if self.opens.get(id.index()).is_some_and(|open| open.is_left && open.id == id) {
            self.note_lost_device(id);
            self.run_eagerly();
        }
    }

    /// The threads of a process that ends: whatever they wait for, they are not coming back.
    pub(super) fn kill_threads(&mut self, pid: Pid) {
        let tids: Vec<u32> = self.processes[pid.index()].tids.iter().copied().chain([pid.raw()]).collect();
        let opens: Vec<ProcessId> = self.opens.iter().filter(|open| !open.is_closed).map(|o| o.id).collect();
        for process in opens {
            for &tid in &tids {
                let thread = ThreadId { process, tid };
                self.ready.retain(|&ready| ready != thread);
                self.handle(Input::Interrupt(thread));
                drop((self.returned_of(thread), self.answer_of(thread)));
            }
        }
    }
}
