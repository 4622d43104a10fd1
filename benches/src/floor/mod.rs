//! The floor: the same work as our libraries do, in the system calls of libc and nothing else.
//!
//! # Layout
//!
//! * `memory.rs`: memory that two processes have mapped, with nothing between us and its address;
//! * `system_v.rs`: shmget, shmat, shmctl, semop;
//! * `memfd.rs`: memfd_create, ftruncate, fcntl, mmap;
//! * `posix.rs`: shm_open;
//! * `socket.rs`: sendmsg and recvmsg with a descriptor;
//! * `futex.rs`: futex;
//! * `process.rs`: fork, waitpid, pidfd_getfd, and open in /proc.

pub(crate) mod futex;
pub(crate) mod memfd;
pub(crate) mod memory;
pub(crate) mod posix;
pub(crate) mod process;
pub(crate) mod socket;
pub(crate) mod system_v;
