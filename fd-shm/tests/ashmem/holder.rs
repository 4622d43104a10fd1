//! One process's part in a script: its descriptors, whatever is behind them, and its mappings.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use fd_shm::ashmem::{Errno, PAGE, Prot};
use rustix::fs::{FallocateFlags, FileType, Mode, OFlags, SeekFrom};
use rustix::process::Uid;

use crate::answer::{self, Answer};
use crate::process::Player;
use crate::raw;
use crate::script::{Ask, Call, NameOperand, PinCall, Whence};

/// What a descriptor stands for: a region of the driver's, or one of this crate's. What the kernel answers
/// for every file is not asked here.
pub(crate) trait Handle: AsFd + Sized {
    /// A region without name and size.
    fn open() -> Result<Self, Answer>;

    fn create(name: &str, size: u64) -> Result<Self, Answer>;

    /// From a descriptor that was duplicated, received or opened by its path.
    fn from_fd(fd: OwnedFd) -> Result<Self, Answer>;

    fn set_name(&self, name: &NameOperand) -> Answer;

    fn set_size(&self, size: u64) -> Answer;

    fn set_mask(&self, mask: Prot) -> Answer;

    fn pin(&self, call: PinCall, range: Option<(u32, u32)>) -> Answer;

    fn name(&self) -> Answer;

    fn size(&self) -> Answer;

    fn mask(&self) -> Answer;

    fn purge_all(&self) -> Answer;

    /// An ioctl that is not among these.
    fn ioctl(&self, ask: Ask) -> Answer;
}

/// What an actor has, by its own names.
pub(crate) struct Holder<H> {
    fds: BTreeMap<String, H>,
    maps: BTreeMap<String, Mapped>,
}

impl<H> Default for Holder<H> {
    fn default() -> Self {
        Self { fds: BTreeMap::new(), maps: BTreeMap::new() }
    }
}

struct Mapped {
    map: raw::Map,
    /// As it was last asked for.
    prot: Prot,
}

/// What a system call of rustix's answers, as the crate's own would.
fn plain<T>(answer: rustix::io::Result<T>) -> Result<T, Errno> {
    answer.map_err(|errno| Errno::from_raw(errno.raw_os_error()))
}

/// The same, where only the refusal is of interest.
fn refused<T>(answer: rustix::io::Result<T>) -> Answer {
    answer::of(plain(answer).map(drop))
}

impl<H: Handle> Holder<H> {
    fn handle(&self, fd: &str) -> Result<&H, Answer> {
        self.fds.get(fd).ok_or_else(|| answer::no(fd))
    }

    fn map(&self, map: &str) -> Result<&Mapped, Answer> {
        self.maps.get(map).ok_or_else(|| answer::no(map))
    }

    /// Where a byte of a mapping is, if it is in it.
    fn address(&self, map: &str, at: u64) -> Result<usize, Answer> {
        let place = self.map(map)?.map.address();
        let at = usize::try_from(at).ok().filter(|at| *at < place.len().next_multiple_of(PAGE));
        at.map(|at| place.start + at).ok_or_else(|| answer::OUTSIDE.to_owned())
    }

    fn ask(&mut self, ask: Ask, fd: &str) -> Result<Answer, Answer> {
        let handle = self.handle(fd)?;
        Ok(match ask {
            Ask::GetName => handle.name(),
            Ask::GetSize => handle.size(),
            Ask::GetMask => handle.mask(),
            Ask::Purge => handle.purge_all(),
            Ask::FileId | Ask::Unknown => handle.ioctl(ask),
            Ask::Write => refused(rustix::io::write(handle, b"text")),
            Ask::WriteAt => refused(rustix::io::pwrite(handle, b"text", 0)),
            Ask::Truncate => refused(rustix::fs::ftruncate(handle, 0)),
            Ask::Allocate => refused(rustix::fs::fallocate(handle, FallocateFlags::empty(), 0, 1)),
            Ask::Stat => {
                answer::of(plain(rustix::fs::fstat(handle)).map(|found| {
                    match FileType::from_raw_mode(found.st_mode) {
                        FileType::CharacterDevice => format!("character device, size {}", found.st_size),
                        _ => "a file with a size".to_owned(),
                    }
                }))
            }
            Ask::Link => {
                let link = fs::read_link(format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd()));
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
        let len = usize::try_from(len).map_err(|_| "a length beyond this machine's".to_owned())?;
        let mapped = raw::Map::new(self.handle(fd)?.as_fd(), len, prot, shared, at);
        Ok(answer::of(mapped.map(|mapped| {
            self.maps.insert(map.to_owned(), Mapped { map: mapped, prot: prot & Prot::ALL });
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
        let address = self.map(map)?.map.address().start;
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
        let handle = self.handle(fd)?;
        let mut buffer =
            vec![0; usize::try_from(len).map_err(|_| "a length beyond this machine's".to_owned())?];
        Ok(answer::of(plain(rustix::io::read(handle, &mut buffer)).map(|got| {
            // Only what was read can be sought in.
            let end = if got > 0 { rustix::fs::tell(handle).expect("a place in the file") } else { 0 };
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
        Ok(answer::of(plain(rustix::fs::seek(self.handle(fd)?, to))))
    }

    /// Gives a region its name, or says why there is none.
    fn keep(&mut self, fd: &str, made: Result<H, Answer>) -> Answer {
        match made {
            Ok(handle) => {
                self.fds.insert(fd.to_owned(), handle);
                answer::OK.to_owned()
            }
            Err(refused) => refused,
        }
    }

    fn duplicate(&mut self, to: &str, fd: &str) -> Result<Answer, Answer> {
        let twin = self.handle(fd)?.as_fd().try_clone_to_owned().expect("a free descriptor");
        Ok(self.take(to, twin))
    }

    fn reopen(&mut self, to: &str, fd: &str) -> Result<Answer, Answer> {
        let path = format!("/proc/self/fd/{}", self.handle(fd)?.as_fd().as_raw_fd());
        let opened = plain(rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()));
        Ok(opened.map_or_else(|errno| answer::of::<()>(Err(errno)), |opened| self.take(to, opened)))
    }

    fn answer(&mut self, call: &Call) -> Result<Answer, Answer> {
        match call {
            Call::Open { fd } => Ok(self.keep(fd, H::open())),
            Call::Create { fd, name, size } => Ok(self.keep(fd, H::create(name, *size))),
            Call::SetName { fd, name } => Ok(self.handle(fd)?.set_name(name)),
            Call::SetSize { fd, size } => Ok(self.handle(fd)?.set_size(*size)),
            Call::SetMask { fd, mask } => Ok(self.handle(fd)?.set_mask(*mask)),
            Call::Pin { call, fd, range } => Ok(self.handle(fd)?.pin(*call, *range)),
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

impl<H: Handle> Player for Holder<H> {
    fn call(&mut self, call: &Call) -> Answer {
        self.answer(call).unwrap_or_else(|none| none)
    }

    fn give(&self, fd: &str) -> Option<BorrowedFd<'_>> {
        self.fds.get(fd).map(AsFd::as_fd)
    }

    fn take(&mut self, name: &str, fd: OwnedFd) -> Answer {
        self.keep(name, H::from_fd(fd))
    }
}
