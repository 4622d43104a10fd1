//! A process of the simulated world: its descriptors, its mappings, and what its calls do.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use fd_shm::ashmem::{Area, Errno, Prot, Whence as From};

use super::memory::{Mapping, Memory, PAGE_BYTES, Pages};
use crate::answer::{self, Answer};
use crate::script::{Ask, NameOperand, PinCall, Whence};

/// An open file of the device: a region lives exactly as long. What holds an `Rc` of it is a descriptor.
pub(super) struct OpenFile {
    pub(super) area: Area,
    pub(super) pages: Rc<RefCell<Pages>>,
}

/// One actor.
#[derive(Default, Clone)]
pub(super) struct Process {
    pub(super) uid: u32,
    /// READ_IMPLIES_EXEC.
    pub(super) read_implies_exec: bool,
    pub(super) fds: BTreeMap<String, Rc<RefCell<OpenFile>>>,
    pub(super) maps: BTreeMap<String, Mapping>,
}

impl Process {
    pub(super) fn file(&self, fd: &str) -> Result<Rc<RefCell<OpenFile>>, Answer> {
        self.fds.get(fd).cloned().ok_or_else(|| answer::no(fd))
    }

    pub(super) fn map(&mut self, map: &str) -> Result<&mut Mapping, Answer> {
        self.maps.get_mut(map).ok_or_else(|| answer::no(map))
    }

    /// A new region, under a name of this process.
    pub(super) fn open(&mut self, fd: &str) -> Rc<RefCell<OpenFile>> {
        let file = Rc::new(RefCell::new(OpenFile { area: Area::new(), pages: Rc::default() }));
        self.fds.insert(fd.to_owned(), file.clone());
        file
    }

    pub(super) fn set_name(&self, fd: &str, name: &NameOperand) -> Result<Answer, Answer> {
        let file = self.file(fd)?;
        let area = &mut file.borrow_mut().area;
        Ok(answer::of(match name {
            NameOperand::Text(name) => area.set_name(name.as_bytes()),
            NameOperand::Long(times) => area.set_name(&vec![b'x'; *times as usize]),
            NameOperand::Nowhere => Err(Errno::EFAULT), // copied before anything is looked at
        }))
    }

    pub(super) fn set_mask(&self, fd: &str, mask: Prot) -> Result<Answer, Answer> {
        let file = self.file(fd)?;
        let area = &mut file.borrow_mut().area;
        Ok(answer::of(match self.read_implies_exec {
            true => area.set_prot_mask_read_implies_exec(mask),
            false => area.set_prot_mask(mask),
        }))
    }

    pub(super) fn pin(
        &self,
        call: PinCall,
        fd: &str,
        range: Option<(u32, u32)>,
        now: u64,
    ) -> Result<Answer, Answer> {
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

    pub(super) fn ask(&mut self, ask: Ask, fd: &str) -> Result<Answer, Answer> {
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
            Ask::Close => {
                self.fds.remove(fd);
                answer::OK.to_owned()
            }
            Ask::Purge => unreachable!("a call to the driver, not to a region"),
        })
    }

    pub(super) fn mmap(
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

    pub(super) fn mprotect(&mut self, map: &str, prot: Prot) -> Result<Answer, Answer> {
        let implied = self.read_implies_exec && prot.contains(Prot::READ);
        let map = self.map(map)?;
        let prot = if implied { prot | map.may & Prot::EXEC } else { prot };
        if !map.may.contains(prot) {
            return Ok(answer::of::<()>(Err(Errno::EACCES)));
        }
        map.prot = prot;
        Ok(answer::OK.to_owned())
    }

    pub(super) fn load(&mut self, map: &str, at: u64) -> Result<Answer, Answer> {
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

    pub(super) fn store(&mut self, map: &str, at: u64, value: u8) -> Result<Answer, Answer> {
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

    pub(super) fn line(&mut self, map: &str) -> Result<Answer, Answer> {
        let map = self.map(map)?;
        let name = String::from_utf8_lossy(&map.name);
        let path = match &*name {
            "dev/ashmem" => "/dev/ashmem (deleted)".to_owned(),
            name => format!("/dev/ashmem/{name} (deleted)"),
        };
        Ok(answer::maps_line(map.prot, matches!(map.memory, Memory::Shared(..)), map.at, &path))
    }

    pub(super) fn read(&self, fd: &str, len: u64) -> Result<Answer, Answer> {
        let file = self.file(fd)?;
        let OpenFile { area, pages } = &mut *file.borrow_mut();
        let len = usize::try_from(len).map_err(|_| "a length beyond this machine's".to_owned())?;
        Ok(answer::of(area.read(len).map(|part| {
            let set = pages.borrow().set_in(part.clone());
            answer::read(part.end - part.start, &set)
        })))
    }

    pub(super) fn seek(&self, fd: &str, whence: Whence, offset: i64) -> Result<Answer, Answer> {
        let file = self.file(fd)?;
        let OpenFile { area, pages } = &mut *file.borrow_mut();
        let found = match whence {
            Whence::Set => area.lseek(offset, From::Set),
            Whence::Current => area.lseek(offset, From::Current),
            Whence::End => area.lseek(offset, From::End),
            // The region says whether it may be sought in, the file where its memory is, and the region goes
            // there.
            Whence::Data | Whence::Hole => area
                .lseek(0, From::Current)
                .and_then(|_| pages.borrow().seek(whence, offset, area.size() as u64))
                .and_then(|found| area.lseek(found.cast_signed(), From::Set)),
        };
        Ok(answer::of(found))
    }

    pub(super) fn setresuid(&mut self, uid: u32) -> Answer {
        if self.uid != 0 && self.uid != uid {
            return answer::of::<()>(Err(Errno::EPERM));
        }
        self.uid = uid;
        answer::OK.to_owned()
    }
}
