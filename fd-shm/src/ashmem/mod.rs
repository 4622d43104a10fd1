//! ashmem, rule by rule: Android's shared memory, whose pages its holders may lend to the system.
//!
//! A region has a name, a size, and a descriptor that is handed over. What made it ashmem is *pinning*: pages
//! that a holder unpins may be taken by the system when memory is short, and pinning them again tells whether
//! that has happened. Linux 5.18 dropped the driver; what replaced it, memfd, has no such thing.
//!
//! * [`Area`]: the driver's state machine, pure: every call with its answer. Checked against the real driver.
//! * [`Device`]: the real driver, where there is one: the same calls, answered by the kernel.
//! * [`Region`]: the entry point: over memfd, with the driver's pins kept in its own file or
//!   with none; or of the driver.
//! * [`Shrinker`] and [`PressureTrigger`]: purging many regions, oldest first, when the
//!   kernel says that memory is short.
//! * [`MemoryFile`] and [`SharedMemory`]: Java's classes, by their contracts. The names of the NDK and of
//!   libcutils (`ASharedMemory_create`, `ashmem_pin_region`...) find the methods of `Region`.

mod area;
mod device;
mod layout;
mod memory_file;
mod pinning;
mod pins;
mod pressure;
mod prot;
mod ranges;
mod region;
mod shared_memory;
mod shrinker;
mod table;

#[cfg(test)]
mod crash;

pub use area::{Area, PAGE, Pin, PinStatus, Whence};
pub(crate) use device::is_device;
pub use device::{Device, DeviceMapping};
pub(crate) use layout::Layout;
pub use memory_file::{MemoryFile, MemoryStream};
// Part of the interface: where nix changes, this crate's version has to say so.
pub use nix::errno::Errno;
pub use pressure::PressureTrigger;
pub use prot::Prot;
pub use ranges::Unpinned;
pub use region::{Pinning, Region};
pub use shared_memory::{SharedBuffer, SharedMemory};
pub use shrinker::{Freed, Purged, Shrinker};
pub(crate) use table::{Head as PinTable, RECENT};
