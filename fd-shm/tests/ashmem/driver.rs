//! One process's part in a script, played on the real `/dev/ashmem`.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use fd_shm::ashmem::{Device, DeviceMapping, Errno, PAGE, Prot};
use rustix::fs::{FallocateFlags, FileType, Mode, OFlags, SeekFrom};
use rustix::process::Uid;

use crate::answer::{self, Answer};
use crate::process::Player;
use crate::raw;
use crate::script::{Ask, Call, NameOperand, PinCall, Whence};

/// What the actor has, by its own names.
#[derive(Default)]
pub(crate) struct Driver {
    fds: BTreeMap<String, Device>,
    maps: BTreeMap<String, Mapped>,
}

struct Mapped {
    map: DeviceMapping,
    /// Rounded up to pages.
    len: u64,
    /// As it was last asked for.
    prot: Prot,
}

/// What a system call of rustix's answers, as the crate's own would.
fn plain<T>(answer: rustix::io::Result<T>) -> Result<T, Errno> {
    answer.map_err(|errno| Errno::from_raw(errno.raw_os_error()))
}

fn refused<T>(answer: rustix::io::Result<T>) -> Answer {
    answer::of(plain(answer).map(drop))
}

impl Driver {
    fn device(&self, fd: &str) -> Result<&Device, Answer> {
        self.fds.get(fd).ok_or_else(|| answer::no(fd))
    }

    fn map(&self, map: &str) -> Result<&Mapped, Answer> {
        self.maps.get(map).ok_or_else(|| answer::no(map))
    }

    /// Where a byte of a mapping is, if it is in it.
    fn address(&self, map: &str, at: u64) -> Result<usize, Answer> {
        let Mapped { map, len, .. } = self.map(map)?;
        if at >= *len {
            return Err(answer::OUTSIDE.to_owned());
        }
        Ok(map.address() as usize + usize::try_from(at).expect("an offset in a mapping"))
    }

    fn pin(&self, call: PinCall, fd: &str, range: Option<(u32, u32)>) -> Result<Answer, Answer> {
        let device = self.device(fd)?;
        let Some((offset, len)) = range else {
            let request = match call {
                PinCall::Pin => raw::request::PIN,
                PinCall::Unpin => raw::request::UNPIN,
                PinCall::Status => raw::request::GET_PIN_STATUS,
            };
            return Ok(answer::of(raw::ioctl_nowhere(device, request)));
        };
        Ok(match call {
            PinCall::Pin => answer::of(device.pin(offset, len)),
            PinCall::Unpin => answer::of(device.unpin(offset, len)),
            PinCall::Status => answer::of(device.pin_status(offset, len)),
        })
    }

    fn set_name(&self, fd: &str, name: &NameOperand) -> Result<Answer, Answer> {
        let device = self.device(fd)?;
        Ok(answer::of(match name {
            NameOperand::Text(name) => device.set_name(name.as_bytes()),
            NameOperand::Long(times) => device.set_name(&vec![b'x'; *times as usize]),
            NameOperand::Nowhere => raw::ioctl_nowhere(device, raw::request::SET_NAME),
        }))
    }

    fn ask(&mut self, ask: Ask, fd: &str) -> Result<Answer, Answer> {
        let device = self.device(fd)?;
        Ok(match ask {
            Ask::GetName => answer::of(device.name().map(|name| answer::name(&name))),
            Ask::GetSize => answer::of(device.size().map(|size| size as u64)),
            Ask::GetMask => answer::of(device.prot_mask().map(|mask| mask.to_string())),
            Ask::Purge => answer::of(device.purge_all_caches().map(|pages| answer::purged(pages as u64))),
            Ask::FileId => answer::of(raw::ioctl_nowhere(device, raw::request::GET_FILE_ID)),
            Ask::Unknown => answer::of(raw::ioctl_nowhere(device, raw::request::UNKNOWN)),
            Ask::Write => refused(rustix::io::write(device, b"text")),
            Ask::WriteAt => refused(rustix::io::pwrite(device, b"text", 0)),
            Ask::Truncate => refused(rustix::fs::ftruncate(device, 0)),
            Ask::Allocate => refused(rustix::fs::fallocate(device, FallocateFlags::empty(), 0, 1)),
            Ask::Stat => answer::of(plain(rustix::fs::fstat(device)).map(|found| {
                let kind = FileType::from_raw_mode(found.st_mode);
                let kind =
                    if kind == FileType::CharacterDevice { "character device" } else { "something else" };
                format!("{kind}, size {}", found.st_size)
            })),
            Ask::Link => {
                let link = fs::read_link(format!("/proc/self/fd/{}", device.as_fd().as_raw_fd()));
                link.expect("a link for each descriptor").display().to_string()
            }
            Ask::Close => {
                self.fds.remove(fd);
                answer::OK.to_owned()
            }
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
        let device = self.device(fd)?;
        let bytes = usize::try_from(len).map_err(|_| "a length beyond this machine's".to_owned())?;
        Ok(answer::of(device.mmap(bytes, prot, shared, at).map(|mapped| {
            let mapped =
                Mapped { map: mapped, len: len.next_multiple_of(PAGE as u64), prot: prot & Prot::ALL };
            self.maps.insert(map.to_owned(), mapped);
        })))
    }

    fn mprotect(&mut self, map: &str, prot: Prot) -> Result<Answer, Answer> {
        let mapped = self.maps.get_mut(map).ok_or_else(|| answer::no(map))?;
        Ok(answer::of(mapped.map.protect(prot).inspect(|()| mapped.prot = prot)))
    }

    fn load(&self, map: &str, at: u64) -> Result<Answer, Answer> {
        let address = self.address(map, at)?;
        if self.map(map)?.prot == Prot::EXEC {
            return Ok(answer::EXECUTE_ONLY.to_owned());
        }
        Ok(raw::load(address).map_or_else(str::to_owned, |byte| byte.to_string()))
    }

    fn store(&self, map: &str, at: u64, value: u8) -> Result<Answer, Answer> {
        let address = self.address(map, at)?;
        Ok(raw::store(address, value).map_or_else(str::to_owned, |()| answer::OK.to_owned()))
    }

    /// The line that holds the mapping's address. (A line may hold its neighbours too.)
    fn line(&self, map: &str) -> Result<Answer, Answer> {
        let address = self.map(map)?.map.address() as usize;
        let lines = fs::read_to_string("/proc/self/maps").expect("maps");
        let hexadecimal = |digits| u64::from_str_radix(digits, 16).expect("an address");
        for line in lines.lines() {
            let mut fields = line.splitn(6, ' ');
            let mut next = || fields.next().expect("six fields");
            let (range, rights, at) = (next(), next(), hexadecimal(next()));
            let (start, end) = range.split_once('-').expect("a range");
            let (start, end) = (hexadecimal(start), hexadecimal(end));
            if (start..end).contains(&(address as u64)) {
                let path = line.splitn(6, ' ').nth(5).expect("a path").trim();
                let (prot, sharing) = rights.split_at(3);
                return Ok(answer::maps_line(prot, sharing == "s", at + (address as u64 - start), path));
            }
        }
        Ok("no line".to_owned())
    }

    /// `read`, and where in the file it was.
    fn read(&self, fd: &str, len: u64) -> Result<Answer, Answer> {
        let device = self.device(fd)?;
        let mut buffer =
            vec![0; usize::try_from(len).map_err(|_| "a length beyond this machine's".to_owned())?];
        Ok(answer::of(plain(rustix::io::read(device, &mut buffer)).map(|got| {
            // Only what was read can be sought in.
            let end = if got > 0 { rustix::fs::tell(device).expect("a place in the file") } else { 0 };
            let from = end - got as u64;
            let set: Vec<_> =
                (from..).zip(buffer[..got].iter().copied()).filter(|(_, byte)| *byte != 0).collect();
            answer::read(got as u64, &set)
        })))
    }

    fn seek(&self, fd: &str, whence: Whence, offset: i64) -> Result<Answer, Answer> {
        let to = match whence {
            Whence::Set => SeekFrom::Start(offset.cast_unsigned()),
            Whence::Current => SeekFrom::Current(offset),
            Whence::End => SeekFrom::End(offset),
            Whence::Data => SeekFrom::Data(offset.cast_unsigned()),
            Whence::Hole => SeekFrom::Hole(offset.cast_unsigned()),
        };
        Ok(answer::of(plain(rustix::fs::seek(self.device(fd)?, to))))
    }

    fn open(&mut self, fd: &str) -> &Device {
        let device = Device::open().expect("the device");
        self.fds.insert(fd.to_owned(), device);
        &self.fds[fd]
    }

    fn duplicate(&mut self, to: &str, fd: &str) -> Result<Answer, Answer> {
        let device = self.device(fd)?;
        let twin = device.as_fd().try_clone_to_owned().expect("a free descriptor");
        self.take(to, twin);
        Ok(answer::OK.to_owned())
    }

    fn reopen(&mut self, to: &str, fd: &str) -> Result<Answer, Answer> {
        let path = format!("/proc/self/fd/{}", self.device(fd)?.as_fd().as_raw_fd());
        let opened = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
        Ok(answer::of(plain(opened).map(|opened| self.take(to, opened))))
    }

    fn answer(&mut self, call: &Call) -> Result<Answer, Answer> {
        match call {
            Call::Open { fd } => {
                self.open(fd);
                Ok(answer::OK.to_owned())
            }
            Call::Create { fd, name, size } => {
                let device = self.open(fd);
                let size = usize::try_from(*size).expect("a size of this machine's");
                Ok(answer::of(device.set_name(name.as_bytes()).and_then(|()| device.set_size(size))))
            }
            Call::SetName { fd, name } => self.set_name(fd, name),
            Call::SetSize { fd, size } => {
                let size = usize::try_from(*size).expect("a size of this machine's");
                Ok(answer::of(self.device(fd)?.set_size(size)))
            }
            Call::SetMask { fd, mask } => Ok(answer::of(self.device(fd)?.set_prot_mask(*mask))),
            Call::Pin { call, fd, range } => self.pin(*call, fd, *range),
            Call::Ask { ask, fd } => self.ask(*ask, fd),
            Call::Mmap { map, fd, len, prot, shared, at } => self.mmap(map, fd, *len, *prot, *shared, *at),
            Call::Mprotect { map, prot } => self.mprotect(map, *prot),
            Call::Munmap { map } => {
                self.maps.remove(map).map(|_| answer::OK.to_owned()).ok_or_else(|| answer::no(map))
            }
            Call::Load { map, at } => self.load(map, *at),
            Call::Store { map, at, value } => self.store(map, *at, *value),
            Call::Line { map } => self.line(map),
            Call::Read { fd, len } => self.read(fd, *len),
            Call::Seek { fd, whence, offset } => self.seek(fd, *whence, *offset),
            Call::Dup { to, fd } => self.duplicate(to, fd),
            Call::Reopen { to, fd } => self.reopen(to, fd),
            Call::Become { uid } => {
                let uid = Uid::from_raw(*uid);
                Ok(answer::of(plain(rustix::thread::set_thread_res_uid(uid, uid, uid))))
            }
            Call::ReadImpliesExec => {
                raw::read_implies_exec();
                Ok(answer::OK.to_owned())
            }
            Call::Send { .. } | Call::Fork { .. } | Call::Die => unreachable!("the stage's"),
        }
    }
}

impl Player for Driver {
    fn call(&mut self, call: &Call) -> Answer {
        self.answer(call).unwrap_or_else(|none| none)
    }

    fn give(&self, fd: &str) -> Option<BorrowedFd<'_>> {
        self.fds.get(fd).map(AsFd::as_fd)
    }

    fn take(&mut self, name: &str, fd: OwnedFd) {
        let device = Device::from_fd(fd).expect("an open file of the driver");
        self.fds.insert(name.to_owned(), device);
    }
}
