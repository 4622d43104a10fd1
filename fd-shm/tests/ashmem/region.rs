//! What a script asks of a region, asked of this crate's own over a memory file, which keeps its pins itself.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use fd_shm::ashmem::{Errno, Pinning, Prot};
use fd_shm::{Error, Region};

use crate::answer::{self, Answer, Value};
use crate::holder::Handle;
use crate::script::{Ask, NameOperand, PinCall};

/// What a region of this crate's has no call for.
pub(crate) const NOT_OFFERED: &str = "not offered";

/// What is said by no errno: writing is sealed, and so nothing can be purged.
pub(crate) const SEALED: &str = "sealed against purging";

/// An answer of the crate's: in words, by errno, or by what kind of refusal it is.
fn of<T: Value>(answer: fd_shm::Result<T>) -> Answer {
    answer.map_or_else(|error| refusal(&error), Value::words)
}

fn refusal(error: &Error) -> Answer {
    match error.raw_os_error() {
        _ if error.is_sealed() => SEALED.to_owned(),
        Some(errno) => answer::of::<()>(Err(Errno::from_raw(errno))),
        None => format!("refused: {error}"),
    }
}

impl Handle for Region {
    fn open() -> Result<Self, Answer> {
        Err(NOT_OFFERED.to_owned())
    }

    fn create(name: &str, size: u64) -> Result<Self, Answer> {
        let size = usize::try_from(size).expect("a size of this machine's");
        Self::create_with(name, size, Pinning::Kept).map_err(|error| refusal(&error))
    }

    fn from_fd(fd: OwnedFd) -> Result<Self, Answer> {
        Self::from_fd(fd).map_err(|error| refusal(&error))
    }

    fn set_name(&self, _: &NameOperand) -> Answer {
        NOT_OFFERED.to_owned()
    }

    fn set_size(&self, _: u64) -> Answer {
        NOT_OFFERED.to_owned()
    }

    fn set_mask(&self, mask: Prot) -> Answer {
        of(self.set_prot_mask(mask))
    }

    fn pin(&self, call: PinCall, range: Option<(u32, u32)>) -> Answer {
        let Some((offset, len)) = range else { return NOT_OFFERED.to_owned() };
        let (offset, len) = (offset as usize, len as usize);
        match call {
            PinCall::Pin => of(self.pin(offset, len)),
            PinCall::Unpin => of(self.unpin(offset, len)),
            PinCall::Status => of(self.pin_status(offset, len)),
        }
    }

    fn name(&self) -> Answer {
        of(self.name().map(|name| answer::name(name.as_bytes())))
    }

    fn size(&self) -> Answer {
        of(Ok(self.len() as u64))
    }

    fn mask(&self) -> Answer {
        of(self.prot_mask().map(|mask| mask.to_string()))
    }

    fn purge_all(&self) -> Answer {
        of(self.purge_all().map(|pages| answer::purged(pages as u64)))
    }

    fn ioctl(&self, _: Ask) -> Answer {
        NOT_OFFERED.to_owned()
    }
}
