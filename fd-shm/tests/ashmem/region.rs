//! What a script asks of a region, asked of this crate's own.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use fd_shm::ashmem::{Errno, Pinning, Prot};
use fd_shm::{Error, Region};

use crate::answer::{self, Answer, Value};
use crate::holder::Handle;
use crate::script::{Ask, NameOperand, PinCall};

/// What a region of this crate's has no call for.
const NOT_OFFERED: &str = "not offered";

/// What is said by no errno: writing is sealed, and so nothing can be purged.
const SEALED: &str = "sealed against purging";

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

/// A region of the crate's: over the real driver, or over a memory file that keeps its pins itself.
pub(crate) struct Own<const DRIVER: bool>(Region);

pub(crate) type OverMemfd = Own<false>;
pub(crate) type OverDriver = Own<true>;

impl<const DRIVER: bool> AsFd for Own<DRIVER> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<const DRIVER: bool> Handle for Own<DRIVER> {
    fn open() -> Result<Self, Answer> {
        Err(NOT_OFFERED.to_owned())
    }

    fn create(name: &str, size: u64) -> Result<Self, Answer> {
        let size = usize::try_from(size).expect("a size of this machine's");
        let pinning = if DRIVER { Pinning::Driver } else { Pinning::Kept };
        Region::create_with(name, size, pinning).map(Self).map_err(|error| refusal(&error))
    }

    fn from_fd(fd: OwnedFd) -> Result<Self, Answer> {
        Region::from_fd(fd).map(Self).map_err(|error| refusal(&error))
    }

    fn set_name(&self, _: &NameOperand) -> Answer {
        NOT_OFFERED.to_owned()
    }

    fn set_size(&self, _: u64) -> Answer {
        NOT_OFFERED.to_owned()
    }

    fn set_mask(&self, mask: Prot) -> Answer {
        of(self.0.set_prot_mask(mask))
    }

    fn pin(&self, call: PinCall, range: Option<(u32, u32)>) -> Answer {
        let Some((offset, len)) = range else { return NOT_OFFERED.to_owned() };
        let (offset, len) = (offset as usize, len as usize);
        match call {
            PinCall::Pin => of(self.0.pin(offset, len)),
            PinCall::Unpin => of(self.0.unpin(offset, len)),
            PinCall::Status => of(self.0.pin_status(offset, len)),
        }
    }

    fn name(&self) -> Answer {
        of(self.0.name().map(|name| answer::name(name.as_bytes())))
    }

    fn size(&self) -> Answer {
        of(Ok(self.0.len() as u64))
    }

    fn mask(&self) -> Answer {
        of(self.0.prot_mask().map(|mask| mask.to_string()))
    }

    fn purge_all(&self) -> Answer {
        of(self.0.purge_all().map(|pages| answer::purged(pages as u64)))
    }

    fn ioctl(&self, _: Ask) -> Answer {
        NOT_OFFERED.to_owned()
    }
}
