//! What a script asks of a region, asked of the real driver.

use std::os::fd::OwnedFd;

use fd_shm::ashmem::{Device, Errno, Prot};

use crate::answer::{self, Answer};
use crate::holder::Handle;
use crate::raw;
use crate::script::{Ask, NameOperand, PinCall};

/// A size as this machine has it.
fn size(size: u64) -> usize {
    usize::try_from(size).expect("a size of this machine's")
}

impl Handle for Device {
    fn open() -> Result<Self, Answer> {
        Self::open().map_err(|error| error.to_string())
    }

    fn create(name: &str, len: u64) -> Result<Self, Answer> {
        let device = <Self as Handle>::open()?;
        let sized = device.set_name(name.as_bytes()).and_then(|()| device.set_size(size(len)));
        sized.map_err(|errno| answer::of::<()>(Err(errno)))?;
        Ok(device)
    }

    fn from_fd(fd: OwnedFd) -> Result<Self, Answer> {
        Self::from_fd(fd).map_err(|error| error.to_string())
    }

    fn set_name(&self, name: &NameOperand) -> Answer {
        answer::of(match name {
            NameOperand::Text(name) => self.set_name(name.as_bytes()),
            NameOperand::Long(times) => self.set_name(&vec![b'x'; *times as usize]),
            NameOperand::Nowhere => raw::ioctl_nowhere(self, raw::request::SET_NAME),
        })
    }

    fn set_size(&self, len: u64) -> Answer {
        answer::of(self.set_size(size(len)))
    }

    fn set_mask(&self, mask: Prot) -> Answer {
        answer::of(self.set_prot_mask(mask))
    }

    fn pin(&self, call: PinCall, range: Option<(u32, u32)>) -> Answer {
        let nowhere = match call {
            PinCall::Pin => raw::request::PIN,
            PinCall::Unpin => raw::request::UNPIN,
            PinCall::Status => raw::request::GET_PIN_STATUS,
        };
        match (call, range) {
            (_, None) => answer::of(raw::ioctl_nowhere(self, nowhere)),
            (PinCall::Pin, Some((offset, len))) => answer::of(self.pin(offset, len)),
            (PinCall::Unpin, Some((offset, len))) => answer::of(self.unpin(offset, len)),
            (PinCall::Status, Some((offset, len))) => answer::of(self.pin_status(offset, len)),
        }
    }

    fn name(&self) -> Answer {
        answer::of(self.name().map(|name| answer::name(&name)))
    }

    fn size(&self) -> Answer {
        answer::of(self.size().map(|size| size as u64))
    }

    fn mask(&self) -> Answer {
        answer::of(self.prot_mask().map(|mask| mask.to_string()))
    }

    fn purge_all(&self) -> Answer {
        answer::of(self.purge_all_caches().map(|pages| answer::purged(pages as u64)))
    }

    fn ioctl(&self, ask: Ask) -> Answer {
        answer::of::<()>(match ask {
            Ask::FileId => raw::ioctl_nowhere(self, raw::request::GET_FILE_ID),
            Ask::Unknown => raw::ioctl_nowhere(self, raw::request::UNKNOWN),
            _ => Err(Errno::ENOSYS),
        })
    }
}
