//! How a segment is attached: the arguments of `shmat`.

use libc::c_int;

use crate::attachment::{Attachment, ReadAttachment};
use crate::error::{Cause, Error, Result};
use crate::head::Head;
use crate::mapped::Mapped;
use crate::{Segment, diagnosis, stack, sys};

/// Where and with what rights a segment is attached.
///
/// [`Segment::attach`] lets the kernel choose the address, which is right nearly always: the same segment
/// lies at different addresses in different processes, and nothing in it should be an address.
///
/// `SHM_REMAP`, which replaces whatever is mapped at the address, is not among the options: see
/// [`Reservation`](crate::Reservation).
///
/// # Examples
///
/// ```
/// use sysv_shm::{AttachOptions, Key, Segment};
///
/// let segment = Segment::create(Key::PRIVATE, 4096)?.remove_on_drop();
/// let executable = AttachOptions::new().executable().attach_read_only::<()>(&segment);
/// // The mode is 0600, without an x bit; whoever has CAP_IPC_OWNER is let in all the same.
/// assert!(executable.is_ok() || executable.is_err_and(|error| error.is_permission_denied()));
/// # Ok::<(), sysv_shm::Error>(())
/// ```
///
/// # References
///
/// shmop(2); `do_shmat` in the kernel's `ipc/shm.c`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct AttachOptions {
    /// The address asked for; `None` for any.
    address: Option<usize>,
    /// `SHM_RND` and `SHM_EXEC`, where asked for.
    flags: c_int,
    /// Whether huge pages will do.
    huge_pages: bool,
}

impl AttachOptions {
    /// Anywhere, for reading (and writing), of small pages only: what [`Segment::attach`] uses.
    #[must_use]
    pub const fn new() -> Self {
        Self { address: None, flags: 0, huge_pages: false }
    }

    /// At `address` exactly, or not at all.
    ///
    /// It has to be a multiple of the page size (on 32-bit ARM, of SHMLBA: four pages), and the whole segment
    /// has to fit between what is mapped already: the kernel replaces nothing. Nor may it end right under the
    /// main thread's stack, in the pages (256) that the kernel keeps free there: a deep call would have its
    /// variables in the segment.
    #[must_use]
    pub const fn at(self, address: usize) -> Self {
        Self { address: Some(address), flags: self.flags & !sys::SHM_RND, ..self }
    }

    /// `SHM_RND` - at `address` rounded down to a multiple of SHMLBA (the page size, but on 32-bit ARM), or
    /// not at all.
    #[must_use]
    pub const fn at_rounded(self, address: usize) -> Self {
        Self { address: Some(address), flags: self.flags | sys::SHM_RND, ..self }
    }

    /// `SHM_EXEC` - with the right to execute, which needs an x bit of the segment's mode (or CAP_IPC_OWNER).
    ///
    /// The kernel looks at that bit here only: an attachment made without this can be made executable by
    /// `mprotect`, with no such bit.
    #[must_use]
    pub const fn executable(self) -> Self {
        Self { flags: self.flags | sys::SHM_EXEC, ..self }
    }

    /// Takes a segment of huge pages, too, and with it a risk: SIGBUS, which ends the process.
    ///
    /// Huge pages come from a pool of fixed size. A segment made with
    /// [`no_reserve`](crate::SegmentOptions::no_reserve) has none set aside, and in any other whoever may
    /// write it can punch a hole (`madvise` with MADV_REMOVE), whose page goes to whoever is next. Touching a
    /// part that has no page while none is free is SIGBUS. So [`Segment::attach`] refuses huge pages; take
    /// them from peers that you trust as far as that. Small pages come from all of memory, where a shortage
    /// is answered by the OOM killer and not by a signal to the reader.
    #[must_use]
    pub const fn accept_huge_pages(self) -> Self {
        Self { huge_pages: true, ..self }
    }

    /// `shmat(id, address, flags)` - as [`Segment::attach`], with these options.
    ///
    /// # Errors
    ///
    /// As [`Segment::attach`], and EINVAL: the address is not a multiple of the page size, or something is
    /// mapped there. Refused for an address in the first page, and right under the main thread's stack.
    pub fn attach<T: Head + ?Sized>(self, segment: &Segment) -> Result<Attachment<T>> {
        self.check_address(segment, 0)?;
        Ok(Attachment::new(Mapped::new(*segment, self, 0)?))
    }

    /// `shmat(id, address, SHM_RDONLY | flags)` - as [`Segment::attach_read_only`], with these options.
    ///
    /// # Errors
    ///
    /// As [`attach`](AttachOptions::attach), with read permission being enough.
    pub fn attach_read_only<T: Head + ?Sized>(self, segment: &Segment) -> Result<ReadAttachment<T>> {
        self.check_address(segment, sys::SHM_RDONLY)?;
        Ok(ReadAttachment::new(Mapped::new(*segment, self, sys::SHM_RDONLY)?))
    }

    /// Refuses addresses that `shmat` takes for something else: 0 is any, and what SHM_RND makes 0 is page 0,
    /// where a privileged process may map, and which nobody can use. And those where the stack would grow
    /// into the segment: looked at before it is there, since looking takes stack.
    fn check_address(self, segment: &Segment, access: c_int) -> Result<()> {
        let Some(address) = self.address else { return Ok(()) };
        let refused = |meaning| {
            let call = diagnosis::attach_call(segment.id(), address, access | self.flags);
            Err(Error::refused(call, Cause::Invalid, meaning))
        };
        if address < sys::page_size() {
            return refused("nothing can be attached in the first page");
        }
        match segment.size() {
            Ok(size) if stack::could_grow_into(address, size) => refused(stack::WHY_NOT),
            _ => Ok(()), // a segment that is gone has no size, and `shmat` says so
        }
    }

    /// The address as `shmat` takes it: 0 for any.
    pub(crate) fn address(self) -> usize {
        self.address.unwrap_or(0)
    }

    /// The flags as `shmat` takes them, but for SHM_RDONLY.
    pub(crate) fn flags(self) -> c_int {
        self.flags
    }

    /// Whether huge pages will do.
    pub(crate) fn accepts_huge_pages(self) -> bool {
        self.huge_pages
    }
}
