//! Locks for the processes that share a region: one for peers that trust each other, one for those that do
//! not.
//!
//! | | [`RobustMutex`] | [`Lock`] |
//! | --- | --- | --- |
//! | who decides | a word in the memory, written by every peer | the kernel, from its list of file locks |
//! | a peer that writes nonsense | undefined behaviour in this process: its constructors are `unsafe` | a report that is not true |
//! | a peer that never lets go | `TimedOut` for who asks with a limit, a wait without end for who does not | `TimedOut` |
//! | the owner is killed | the kernel marks the word and wakes the next | the kernel closes the file, and so unlocks it |
//! | the next owner | is told, and must repair or give up for all | is told |
//! | lock and unlock, uncontended | no system call | two system calls |

#[cfg(not(target_os = "android"))] // bionic has no robust mutexes
mod pthread;

#[cfg(not(target_os = "android"))]
mod robust;

mod strangers;

#[cfg(test)]
mod crash;

#[cfg(not(target_os = "android"))]
pub use robust::{RobustLocked, RobustMutex};
pub use strangers::{Lock, LockWord, Locked};
