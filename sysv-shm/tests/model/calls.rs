//! The calls that a program makes in one process: through the crate where the crate has them, raw where it
//! does not (flags that it rules out, a mapping that is cut in pieces, a fork).

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::ptr;

use libc::{c_int, c_void, shmid_ds};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use sysv_shm::{Error, Key, Segment, SegmentId, SegmentOptions};

use crate::facts::{Answer, Seen};
use crate::step::{Get, Part, Slot};

/// What a process is told to do: an action with the kernel's numbers in it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Call {
    Get(Get),
    Attach(Slot, i32, bool),
    Protect(Slot, Part),
    Unmap(Slot, Part),
    Detach(Slot),
    Remove(i32),
    Set(i32, u32),
    Stat(i32),
    Fork,
    Exec,
    Exit,
}

/// What this process has attached.
///
/// # Invariants
///
/// Each address is one that `shmat` gave, with `pages` pages behind it, and neither was detached nor wholly
/// unmapped since. No reference into this memory exists: an address never leaves this type.
#[derive(Debug, Default)]
pub(crate) struct Attachments(BTreeMap<Slot, Mapped>);

/// One attachment.
#[derive(Debug, Clone, Copy)]
struct Mapped {
    address: usize,
    pages: usize,
}

impl Attachments {
    /// Makes one call of those that leave the process what it is.
    pub(crate) fn call(&mut self, call: Call) -> Answer {
        let result = match call {
            Call::Get(arguments) => get(arguments).map(Answer::Got),
            Call::Attach(slot, id, read_only) => self.attach(slot, id, read_only),
            Call::Protect(slot, part) => self.protect(slot, part),
            Call::Unmap(slot, part) => self.unmap(slot, part),
            Call::Detach(slot) => self.detach(slot),
            Call::Remove(id) => found(id).and_then(|it| it.remove().map_err(errno)).map(|()| Answer::Done),
            Call::Set(id, mode) => set(id, mode),
            Call::Stat(id) => found(id)
                .and_then(|it| it.stat().map_err(errno))
                .map(|stat| Answer::Stat(Seen::from_stat(&stat))),
            Call::Fork | Call::Exec | Call::Exit => Err(Errno::ENOSYS),
        };
        result.unwrap_or_else(|errno| Answer::Refused(errno as i32))
    }

    fn attach(&mut self, slot: Slot, id: i32, read_only: bool) -> Result<Answer, Errno> {
        let flags = if read_only { libc::SHM_RDONLY } else { 0 };
        // SAFETY: with address NULL, shmat(2) replaces no mapping.
        let address = unsafe { libc::shmat(id, ptr::null(), flags) };
        if address.addr() == usize::MAX {
            return Err(Errno::last());
        }
        // INVARIANT: shmat maps the whole segment, in whole pages.
        let pages = found(id)?.size().map_err(errno)?.div_ceil(page());
        self.0.insert(slot, Mapped { address: address.expose_provenance(), pages });
        Ok(Answer::Done)
    }

    fn protect(&self, slot: Slot, part: Part) -> Result<Answer, Errno> {
        let (address, len) = self.range(slot, part)?;
        // SAFETY: the pages are of an attachment of ours (the type's invariant), which nothing refers to.
        Errno::result(unsafe { libc::mprotect(address, len, libc::PROT_READ) }).map(|_| Answer::Done)
    }

    fn unmap(&mut self, slot: Slot, part: Part) -> Result<Answer, Errno> {
        let (address, len) = self.range(slot, part)?;
        // SAFETY: the pages are of an attachment of ours (the type's invariant), which nothing refers to.
        Errno::result(unsafe { libc::munmap(address, len) })?;
        // INVARIANT: what is wholly unmapped is forgotten.
        self.0.retain(|&it, mapped| it != slot || len < mapped.pages * page());
        Ok(Answer::Done)
    }

    fn detach(&mut self, slot: Slot) -> Result<Answer, Errno> {
        // A slot without an attachment stands for a page where there never is one (`vm.mmap_min_addr`).
        // INVARIANT: what is detached is forgotten.
        let address = self.0.remove(&slot).map_or(page(), |mapped| mapped.address);
        // SAFETY: an attachment of ours (the type's invariant), which nothing refers to; or nothing.
        Errno::result(unsafe { libc::shmdt(ptr::with_exposed_provenance(address)) }).map(|_| Answer::Done)
    }

    /// Address and length of a part of what is attached as `slot`.
    fn range(&self, slot: Slot, part: Part) -> Result<(*mut c_void, usize), Errno> {
        let Mapped { address, pages } = *self.0.get(&slot).ok_or(Errno::ENOENT)?;
        let range = part.of(pages);
        let start = ptr::with_exposed_provenance_mut(address + range.start * page());
        Ok((start, range.len() * page()))
    }
}

impl Drop for Attachments {
    fn drop(&mut self) {
        for slot in self.0.keys().copied().collect::<Vec<_>>() {
            // A failure would show as a segment that stays attached.
            let _ = self.detach(slot);
        }
    }
}

/// `shmget`, through the crate when it can say it.
fn get(arguments: Get) -> Result<i32, Errno> {
    let Get { key, size, create, exclusive, no_reserve, mode } = arguments;
    let options = SegmentOptions::new().mode(mode);
    let segment = match (create, exclusive, no_reserve) {
        (true, false, false) => options.create(Key::new(key), size),
        (true, true, false) => options.create_new(Key::new(key), size),
        (false, false, false) if key != 0 => options.open(Key::new(key), size),
        _ => {
            let mut flags = c_int::try_from(mode).map_err(|_| Errno::ERANGE)?;
            for (set, flag) in
                [(create, libc::IPC_CREAT), (exclusive, libc::IPC_EXCL), (no_reserve, libc::SHM_NORESERVE)]
            {
                flags |= if set { flag } else { 0 };
            }
            // SAFETY: shmget(2) takes numbers only.
            return Errno::result(unsafe { libc::shmget(key, size, flags) });
        }
    };
    segment.map(|segment| segment.id().number()).map_err(errno)
}

/// `shmctl(id, IPC_SET)`: the caller becomes the owner.
fn set(id: i32, mode: u32) -> Result<Answer, Errno> {
    // SAFETY: a `shmid_ds` is numbers only, and zero is one.
    let mut buffer: shmid_ds = unsafe { std::mem::zeroed() };
    buffer.shm_perm.uid = rustix::process::geteuid().as_raw();
    buffer.shm_perm.gid = rustix::process::getegid().as_raw();
    buffer.shm_perm.mode = mode.try_into().map_err(|_| Errno::ERANGE)?;
    // SAFETY: IPC_SET reads one `shmid_ds`.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_SET, &raw mut buffer) }).map(|_| Answer::Done)
}

fn found(id: i32) -> Result<Segment, Errno> {
    Segment::from_id(SegmentId::new(id)).map_err(errno)
}

/// What the kernel said; the crate refuses nothing by itself here.
#[allow(clippy::needless_pass_by_value)] // for map_err
fn errno(error: Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::ENOSYS))
}

/// Bytes of a page.
pub(crate) fn page() -> usize {
    rustix::param::page_size()
}

/// This process's standard input, as the socket that whoever started it put there; once.
pub(crate) fn socket_at_standard_input() -> UnixStream {
    // SAFETY: a helper asks for it first thing and reads standard input in no other way.
    UnixStream::from(unsafe { OwnedFd::from_raw_fd(0) })
}

/// `fork()` - the child's pid in the parent, `None` in the child.
pub(crate) fn fork() -> Result<Option<i32>, Errno> {
    // SAFETY: the child goes on with this thread alone. It allocates, which the C library allows after a
    // fork, and talks over its socket; it takes no lock that another thread of a helper could have held.
    let pid = Errno::result(unsafe { libc::fork() })?;
    Ok((pid != 0).then_some(pid))
}

/// Children are reaped by the kernel: nobody here waits for a forked one.
pub(crate) fn nobody_waits() {
    // SAFETY: ignoring a signal installs no handler.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

/// `_exit(0)`
pub(crate) fn exit() -> ! {
    // SAFETY: ends the process without running anything.
    unsafe { libc::_exit(0) }
}
