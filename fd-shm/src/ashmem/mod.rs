//! ashmem, rule by rule: Android's shared memory, whose pages its holders may lend to the system.
//!
//! A region has a name, a size, and a descriptor that is handed over. What made it ashmem is *pinning*: pages
//! that a holder unpins may be taken by the system when memory is short, and pinning them again tells whether
//! that has happened. Linux 5.18 dropped the driver; what replaced it, memfd, has no such thing.
//!
//! * [`Area`]: the driver's state machine, pure: every call with its answer. Checked against the real driver.
//! * [`Device`]: the real driver, where there is one: the same calls, answered by the kernel.
//! * [`Region`]: the entry point, over memfd.

mod area;
mod device;
mod prot;
mod ranges;
mod region;

pub use area::{Area, PAGE, Pin, PinStatus, Whence};
pub use device::{Device, DeviceMapping};
pub use nix::errno::Errno;
pub use prot::Prot;
pub use ranges::Unpinned;
pub use region::Region;
