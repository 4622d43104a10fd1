//! The scripts' world without a kernel: processes, descriptors, mappings and pages as plain values around
//! [`Area`], which answers for the driver. It is what the real driver is compared with.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use fd_shm::ashmem::{Area, Errno, PAGE, Prot, Unpinned, Whence as From};

use crate::answer::{self, Answer};
use crate::script::{Actor, Ask, Call, NameOperand, PinCall, Whence};
use crate::stage::Cast;

const PAGE_BYTES: u64 = PAGE as u64;

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

/// An open file of the device: a region lives exactly as long. What holds an `Rc` of it is a descriptor.
struct OpenFile {
    area: Area,
    pages: Rc<RefCell<Pages>>,
}

/// The memory behind a region: the file that the driver makes, which mappings keep even when the region is gone.
#[derive(Default, Clone)]
struct Pages {
    /// Pages that have memory, with their bytes that are not 0.
    present: BTreeMap<u64, BTreeMap<u64, u8>>,
}

/// One actor.
#[derive(Default, Clone)]
struct Process {
    uid: u32,
    /// READ_IMPLIES_EXEC.
    read_implies_exec: bool,
    fds: BTreeMap<String, Rc<RefCell<OpenFile>>>,
    maps: BTreeMap<String, Mapping>,
}

/// A mapping.
#[derive(Clone)]
struct Mapping {
    memory: Memory,
    /// Rounded up to pages.
    len: u64,
    /// Where in the file it begins.
    at: u64,
    prot: Prot,
    /// What `mprotect` may give it.
    may: Prot,
    /// The region's name when it was backed.
    name: Vec<u8>,
}

#[derive(Clone)]
enum Memory {
    /// The region's own pages, and its size.
    Shared(Rc<RefCell<Pages>>, u64),
    /// Zeros of its own, which only carry the region's name.
    Private(Pages),
}

impl Pages {
    /// Touches a byte, which gives its page memory.
    fn byte(&mut self, at: u64) -> &mut u8 {
        self.present.entry(at / PAGE_BYTES).or_default().entry(at).or_default()
    }

    fn take(&mut self, range: Unpinned) {
        for page in range.first..range.end {
            self.present.remove(&page.into());
        }
    }

    /// Bytes that are not 0 in a part of the file.
    fn set_in(&self, part: std::ops::Range<u64>) -> Vec<(u64, u8)> {
        let bytes = self.present.values().flatten().map(|(at, value)| (*at, *value));
        bytes.filter(|(at, value)| part.contains(at) && *value != 0).collect()
    }

    /// `SEEK_DATA` and `SEEK_HOLE` of a file of this size.
    fn seek(&self, whence: Whence, offset: i64, size: u64) -> Result<u64, Errno> {
        let offset = u64::try_from(offset).ok().filter(|offset| *offset < size).ok_or(Errno::ENXIO)?;
        let wanted = |page: &u64| self.present.contains_key(page) == (whence == Whence::Data);
        let pages = offset / PAGE_BYTES..size.div_ceil(PAGE_BYTES);
        match pages.into_iter().find(wanted).map(|page| (page * PAGE_BYTES).max(offset)) {
            Some(found) => Ok(found),
            None if whence == Whence::Hole => Ok(size),
            None => Err(Errno::ENXIO),
        }
    }
}

impl Mapping {
    /// Whether the byte can be touched: the signal if it cannot.
    fn check(&self, at: u64, allowed: bool) -> Result<(), &'static str> {
        if !allowed {
            return Err(answer::SIGSEGV);
        }
        match self.memory {
            // The driver checks the length of a mapping, and not where in the file it lies.
            Memory::Shared(_, size) if self.at + at >= size.next_multiple_of(PAGE_BYTES) => {
                Err(answer::SIGBUS)
            }
            _ => Ok(()),
        }
    }

    fn byte<T>(&mut self, at: u64, touch: impl FnOnce(&mut u8) -> T) -> T {
        match &mut self.memory {
            Memory::Shared(pages, _) => touch(pages.borrow_mut().byte(self.at + at)),
            Memory::Private(pages) => touch(pages.byte(at)),
        }
    }
}

impl Process {
    fn file(&self, fd: &str) -> Result<Rc<RefCell<OpenFile>>, Answer> {
        self.fds.get(fd).cloned().ok_or_else(|| answer::no(fd))
    }

    fn map(&mut self, map: &str) -> Result<&mut Mapping, Answer> {
        self.maps.get_mut(map).ok_or_else(|| answer::no(map))
    }

    /// A new region, under a name of this process.
    fn open(&mut self, fd: &str) -> Rc<RefCell<OpenFile>> {
        let file = Rc::new(RefCell::new(OpenFile { area: Area::new(), pages: Rc::default() }));
        self.fds.insert(fd.to_owned(), file.clone());
        file
    }

    fn set_name(&self, fd: &str, name: &NameOperand) -> Result<Answer, Answer> {
        let file = self.file(fd)?;
        let area = &mut file.borrow_mut().area;
        Ok(answer::of(match name {
            NameOperand::Text(name) => area.set_name(name.as_bytes()),
            NameOperand::Long(times) => area.set_name(&vec![b'x'; *times as usize]),
            NameOperand::Nowhere => Err(Errno::EFAULT), // copied before anything is looked at
        }))
    }

    fn set_mask(&self, fd: &str, mask: Prot) -> Result<Answer, Answer> {
        let file = self.file(fd)?;
        let area = &mut file.borrow_mut().area;
        Ok(answer::of(match self.read_implies_exec {
            true => area.set_prot_mask_read_implies_exec(mask),
            false => area.set_prot_mask(mask),
        }))
    }

    fn pin(&self, call: PinCall, fd: &str, range: Option<(u32, u32)>, now: u64) -> Result<Answer, Answer> {
        let file = self.file(fd)?;
        let area = &mut file.borrow_mut().area;
        let Some((offset, len)) = range else {
            return Ok(answer::of::<()>(Err(Errno::EFAULT))); // likewise
        };
        Ok(match call {
            PinCall::Pin => answer::of(area.pin(offset, len, now)),
            PinCall::Unpin => answer::of(area.unpin(offset, len, now)),
            PinCall::Status => answer::of(area.pin_status(offset, len)),
        })
    }

    fn ask(&mut self, ask: Ask, fd: &str) -> Result<Answer, Answer> {
        let file = self.file(fd)?;
        let area = &file.borrow().area;
        Ok(match ask {
            Ask::GetName => answer::name(area.name()),
            Ask::GetSize => answer::of(Ok(area.size() as u64)),
            Ask::GetMask => area.prot_mask().to_string(),
            Ask::FileId | Ask::Unknown => answer::of::<()>(Err(Errno::ENOTTY)),
            Ask::Write | Ask::WriteAt | Ask::Truncate => answer::of(area.write().map(|_| ())),
            Ask::Allocate => answer::of::<()>(Err(Errno::ENODEV)),
            Ask::Stat => "character device, size 0".to_owned(),
            Ask::Link => "/dev/ashmem".to_owned(),
            Ask::Close => answer::of(Ok(drop(self.fds.remove(fd)))),
            Ask::Purge => unreachable!("a call to the driver, not to a region"),
        })
    }

    fn mmap(
        &mut self,
        map: &str,
        fd: &str,
        len: u64,
        prot: Prot,
        shared: bool,
        at: u64,
    ) -> Result<Answer, Answer> {
        let file = self.file(fd)?;
        let OpenFile { area, pages } = &mut *file.borrow_mut();
        let implied = self.read_implies_exec && prot.contains(Prot::READ);
        let prot = if implied { prot | Prot::EXEC } else { prot } & Prot::ALL;
        let bytes = usize::try_from(len).map_err(|_| "a length beyond this machine's".to_owned())?;
        Ok(answer::of(area.mmap(bytes, prot).map(|may| {
            let size = area.size() as u64;
            let memory =
                if shared { Memory::Shared(pages.clone(), size) } else { Memory::Private(Pages::default()) };
            let (name, len) = (area.name().to_vec(), len.next_multiple_of(PAGE_BYTES));
            self.maps.insert(map.to_owned(), Mapping { memory, len, at, prot, may, name });
        })))
    }

    fn mprotect(&mut self, map: &str, prot: Prot) -> Result<Answer, Answer> {
        let implied = self.read_implies_exec && prot.contains(Prot::READ);
        let map = self.map(map)?;
        let prot = if implied { prot | map.may & Prot::EXEC } else { prot };
        if !map.may.contains(prot) {
            return Ok(answer::of::<()>(Err(Errno::EACCES)));
        }
        map.prot = prot;
        Ok(answer::OK.to_owned())
    }

    fn load(&mut self, map: &str, at: u64) -> Result<Answer, Answer> {
        let map = self.map(map)?;
        if at >= map.len {
            return Ok(answer::OUTSIDE.to_owned());
        }
        if map.prot == Prot::EXEC {
            return Ok(answer::EXECUTE_ONLY.to_owned());
        }
        // Write permission brings read permission with it on this processor.
        let checked = map.check(at, map.prot != Prot::NONE);
        Ok(checked.map_or_else(str::to_owned, |()| map.byte(at, |byte| byte.to_string())))
    }

    fn store(&mut self, map: &str, at: u64, value: u8) -> Result<Answer, Answer> {
        let map = self.map(map)?;
        if at >= map.len {
            return Ok(answer::OUTSIDE.to_owned());
        }
        let checked = map.check(at, map.prot.contains(Prot::WRITE));
        Ok(checked.map_or_else(str::to_owned, |()| {
            map.byte(at, |byte| *byte = value);
            answer::OK.to_owned()
        }))
    }

    fn line(&mut self, map: &str) -> Result<Answer, Answer> {
        let map = self.map(map)?;
        let name = String::from_utf8_lossy(&map.name);
        let path = match &*name {
            "dev/ashmem" => "/dev/ashmem (deleted)".to_owned(),
            name => format!("/dev/ashmem/{name} (deleted)"),
        };
        Ok(answer::maps_line(map.prot, matches!(map.memory, Memory::Shared(..)), map.at, &path))
    }

    fn read(&self, fd: &str, len: u64) -> Result<Answer, Answer> {
        let file = self.file(fd)?;
        let OpenFile { area, pages } = &mut *file.borrow_mut();
        let len = usize::try_from(len).map_err(|_| "a length beyond this machine's".to_owned())?;
        Ok(answer::of(area.read(len).map(|part| {
            let set = pages.borrow().set_in(part.clone());
            answer::read(part.end - part.start, &set)
        })))
    }

    fn seek(&self, fd: &str, whence: Whence, offset: i64) -> Result<Answer, Answer> {
        let file = self.file(fd)?;
        let OpenFile { area, pages } = &mut *file.borrow_mut();
        let found = match whence {
            Whence::Set => area.lseek(offset, From::Set),
            Whence::Current => area.lseek(offset, From::Current),
            Whence::End => area.lseek(offset, From::End),
            // The region says whether it may be sought in, the file where its memory is, and the region goes there.
            Whence::Data | Whence::Hole => area
                .lseek(0, From::Current)
                .and_then(|_| pages.borrow().seek(whence, offset, area.size() as u64))
                .and_then(|found| area.lseek(found.cast_signed(), From::Set)),
        };
        Ok(answer::of(found))
    }

    fn setresuid(&mut self, uid: u32) -> Answer {
        if self.uid != 0 && self.uid != uid {
            return answer::of::<()>(Err(Errno::EPERM));
        }
        self.uid = uid;
        answer::OK.to_owned()
    }
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
