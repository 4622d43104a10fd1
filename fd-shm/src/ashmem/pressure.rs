//! Being told by the kernel that memory is short: a trigger on `/proc/pressure/memory`.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags};

use crate::error::{Error, Kind, Meanings, Result};
use crate::fixed::stat;

/// Where the kernel says how long tasks have waited for memory.
const PATH: &str = "/proc/pressure/memory";

/// What the kernel means when it sets no trigger.
const TRIGGER: Meanings = &[
    (Errno::ENOENT, Kind::System, "this kernel measures no pressure (CONFIG_PSI)"),
    (Errno::EOPNOTSUPP, Kind::System, "this kernel measures no pressure (it was started with psi=0)"),
    (Errno::EACCES, Kind::PermissionDenied, "this user may not set a trigger"),
    (Errno::EPERM, Kind::PermissionDenied, "without CAP_SYS_RESOURCE the window is a multiple of 2 s"),
    (Errno::EINVAL, Kind::InvalidInput, "a window has 0.5 to 10 s, and no more of it is waited than it has"),
    (Errno::EBUSY, Kind::System, "this open file has a trigger already"),
];

/// A trigger: it fires when tasks have waited for memory for too much of a window of time.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use fd_shm::ashmem::PressureTrigger;
///
/// match PressureTrigger::open(Duration::from_millis(150), Duration::from_secs(2)) {
///     Ok(trigger) => println!("set: {trigger:?}"),
///     Err(refused) => println!("not on this machine: {refused}"),
/// }
/// ```
///
/// # References
///
/// `Documentation/accounting/psi.rst`; `kernel/sched/psi.c` (`psi_trigger_create`, `psi_trigger_poll`).
#[derive(Debug)]
pub struct PressureTrigger {
    /// The open file that has the trigger.
    fd: OwnedFd,
}

impl PressureTrigger {
    /// `write("/proc/pressure/memory", "some STALL WINDOW")` - fires, once a window at most, when some task
    /// has waited for memory for `stall` within `window`.
    ///
    /// # Errors
    ///
    /// ENOENT and EOPNOTSUPP where the kernel measures no pressure; EPERM and EACCES
    /// ([`is_permission_denied`](Error::is_permission_denied)) for a window that is no multiple of 2 s,
    /// without CAP_SYS_RESOURCE; EINVAL ([`is_invalid_input`](Error::is_invalid_input)) for times that the
    /// kernel does not take.
    pub fn open(stall: Duration, window: Duration) -> Result<Self> {
        let fd = rustix::fs::open(PATH, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| Error::system(format!("open({PATH})"), e.raw_os_error(), TRIGGER))?;
        let trigger = format!("some {} {}", stall.as_micros(), window.as_micros());
        // The kernel wants the zero byte that ends a string in C.
        rustix::io::write(&fd, format!("{trigger}\0").as_bytes())
            .map_err(|e| Error::system(format!("write({PATH}, \"{trigger}\")"), e.raw_os_error(), TRIGGER))?;
        Ok(Self { fd })
    }
}

impl AsFd for PressureTrigger {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// `poll(trigger, POLLPRI or POLLIN, timeout)` - waits until `trigger` has something to say: whether it has,
/// or time was over, or a signal came.
///
/// A trigger of the kernel's is a regular file of `/proc` or of a cgroup. Such a file can always be read, so
/// it says that it has fired by POLLPRI, and POLLIN says nothing. Any other descriptor that stands in its
/// place says it by being readable.
pub(super) fn wait(trigger: BorrowedFd<'_>, timeout: Duration) -> Result<bool> {
    let number = trigger.as_raw_fd();
    let regular = FileType::from_raw_mode(stat(trigger)?.st_mode) == FileType::RegularFile;
    let (fires, name) = if regular { (PollFlags::PRI, "POLLPRI") } else { (PollFlags::IN, "POLLIN") };
    let call = || format!("poll({number}, {name})");
    let mut polled = [PollFd::from_borrowed_fd(trigger, fires)];
    let timeout = Timespec::try_from(timeout).ok(); // more seconds than the kernel can count are no limit
    let answer = poll(&mut polled, timeout.as_ref());
    let said = polled[0].revents();
    match answer {
        Ok(0) | Err(rustix::io::Errno::INTR) => Ok(false),
        // A file of the kernel's whose trigger is gone says POLLPRI as well as POLLERR.
        Ok(_) if said.contains(fires) && !said.intersects(PollFlags::ERR | PollFlags::NVAL) => Ok(true),
        Ok(_) => Err(Error::refused(call(), Kind::Gone, "what the trigger was set on is gone")),
        Err(e) => Err(Error::system(call(), e.raw_os_error(), &[])),
    }
}
