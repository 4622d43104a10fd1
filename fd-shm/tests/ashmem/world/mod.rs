//! The scripts' world without a kernel: processes, descriptors, mappings and pages as plain values around
//! [`Area`], which answers for the driver. It is what the real driver is compared with.

mod memory;
mod process;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use fd_shm::ashmem::Errno;

use process::{OpenFile, Process};

use crate::answer::{self, Answer};
use crate::script::{Actor, Ask, Call};
use crate::stage::Cast;

/// Everything there is.
#[derive(Default)]
pub(crate) struct World {
    /// Those who are alive.
    actors: BTreeMap<Actor, Process>,
    /// Every region that was opened, in order.
    opened: Vec<Weak<RefCell<OpenFile>>>,
    /// The driver's clock: which range was unpinned first.
    now: u64,
}

impl World {
    fn process(&mut self, actor: Actor) -> &mut Process {
        self.actors.entry(actor).or_default()
    }

    /// `open`, and the driver's list of regions.
    fn open(&mut self, actor: Actor, fd: &str) -> Rc<RefCell<OpenFile>> {
        let file = self.process(actor).open(fd);
        self.opened.retain(|file| file.strong_count() > 0);
        self.opened.push(Rc::downgrade(&file));
        file
    }

    fn create(&mut self, actor: Actor, fd: &str, name: &str, size: u64) -> Answer {
        let file = self.open(actor, fd);
        let area = &mut file.borrow_mut().area;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        answer::of(area.set_name(name.as_bytes()).and_then(|()| area.set_size(size)))
    }

    /// `ASHMEM_PURGE_ALL_CACHES`: of every region that somebody still has a descriptor of.
    fn purge_all(&mut self, actor: Actor, fd: &str) -> Result<Answer, Answer> {
        let process = self.process(actor);
        process.file(fd)?;
        if process.uid != 0 {
            return Ok(answer::of::<()>(Err(Errno::EPERM)));
        }
        let mut taken = 0;
        for file in self.opened.iter().filter_map(Weak::upgrade) {
            let OpenFile { area, pages } = &mut *file.borrow_mut();
            for range in area.purge_all() {
                pages.borrow_mut().take(range);
                taken += range.pages();
            }
        }
        Ok(answer::purged(taken.into()))
    }

    fn answer(&mut self, actor: Actor, call: &Call) -> Result<Answer, Answer> {
        self.now += 1;
        let now = self.now;
        let process = self.process(actor);
        match call {
            Call::Open { fd } => {
                self.open(actor, fd);
                Ok(answer::OK.to_owned())
            }
            Call::Create { fd, name, size } => Ok(self.create(actor, fd, name, *size)),
            Call::SetName { fd, name } => process.set_name(fd, name),
            Call::SetSize { fd, size } => {
                let size = usize::try_from(*size).unwrap_or(usize::MAX);
                Ok(answer::of(process.file(fd)?.borrow_mut().area.set_size(size)))
            }
            Call::SetMask { fd, mask } => process.set_mask(fd, *mask),
            Call::Pin { call, fd, range } => process.pin(*call, fd, *range, now),
            Call::Ask { ask: Ask::Purge, fd } => self.purge_all(actor, fd),
            Call::Ask { ask, fd } => process.ask(*ask, fd),
            Call::Mmap { map, fd, len, prot, shared, at } => process.mmap(map, fd, *len, *prot, *shared, *at),
            Call::Mprotect { map, prot } => process.mprotect(map, *prot),
            Call::Munmap { map } => {
                process.map(map)?;
                process.maps.remove(map);
                Ok(answer::OK.to_owned())
            }
            Call::Load { map, at } => process.load(map, *at),
            Call::Store { map, at, value } => process.store(map, *at, *value),
            Call::Line { map } => process.line(map),
            Call::Read { fd, len } => process.read(fd, *len),
            Call::Seek { fd, whence, offset } => process.seek(fd, *whence, *offset),
            Call::Dup { to, fd } => {
                let file = process.file(fd)?;
                process.fds.insert(to.clone(), file);
                Ok(answer::OK.to_owned())
            }
            Call::Reopen { to, fd } => {
                process.file(fd)?;
                self.open(actor, to);
                Ok(answer::OK.to_owned())
            }
            Call::Become { uid } => Ok(process.setresuid(*uid)),
            Call::ReadImpliesExec => {
                process.read_implies_exec = true;
                Ok(answer::OK.to_owned())
            }
            Call::Send { .. } | Call::Fork { .. } | Call::Die => unreachable!("the stage's"),
        }
    }
}

impl Cast for World {
    fn start(&mut self, actor: Actor) {
        self.actors.insert(actor, Process::default());
    }

    fn fork(&mut self, actor: Actor, child: Actor) {
        let copy = self.process(actor).clone();
        self.actors.insert(child, copy);
    }

    fn kill(&mut self, actor: Actor) {
        self.actors.remove(&actor);
    }

    fn send(&mut self, from: Actor, fd: &str, to: Actor, name: &str) -> Answer {
        match self.process(from).file(fd) {
            Ok(file) => {
                self.process(to).fds.insert(name.to_owned(), file);
                answer::OK.to_owned()
            }
            Err(none) => none,
        }
    }

    fn call(&mut self, actor: Actor, call: &Call) -> Answer {
        self.answer(actor, call).unwrap_or_else(|none| none)
    }
}
