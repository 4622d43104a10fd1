//! Locks for the processes that share a region: one for peers that trust each other, two for those that do
//! not.
//!
//! | | [`RobustMutex`] | [`Lock`] | [`SlotLock`] |
//! | --- | --- | --- | --- |
//! | who decides | a word in the memory, written by every peer | the kernel, from its list of file locks | a word in the memory; the kernel says who is alive |
//! | a peer that writes nonsense | undefined behaviour in this process: its constructors are `unsafe` | a report that is not true | two are let in, or a report that is not true |
//! | a peer that never lets go | `TimedOut` for who asks with a limit, a wait without end for who does not | `TimedOut` | `TimedOut` |
//! | the owner is killed | the kernel marks the word and wakes the next | the kernel closes the file, and so unlocks it | the next one finds its slot empty |
//! | the next owner | is told, and must repair or give up for all | is told | is told |
//! | lock and unlock, uncontended | no system call | two system calls | no system call |

#[cfg(not(target_os = "android"))] // bionic has no robust mutexes
mod pthread;

#[cfg(not(target_os = "android"))]
mod robust;

mod strangers;

mod slot;

#[cfg(test)]
pub(crate) mod crash;

#[cfg(test)]
mod slot_crash;

#[cfg(not(target_os = "android"))]
pub use robust::{RobustLocked, RobustMutex};
pub use slot::{SlotLock, SlotLocked, SlotWord};
pub(crate) use strangers::reach;
pub use strangers::{Lock, LockWord, Locked};
